package access

import (
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// differences are where this package does not do what Net::Server does, by
// the number that DIFFERENCES.md gives them. A case in which the two disagree
// must be one of these, and each of these must show in some case.
var differences = map[string]func(c perlCase, theirs, ours outcome) bool{
	"1": func(c perlCase, theirs, ours outcome) bool { // alternatives are anchored whole
		return theirs.end != "died" && ours.end != "died" && anyText(c, "allow", "deny", func(s string) bool { return strings.Contains(s, "|") })
	},
	"2": func(c perlCase, theirs, ours outcome) bool { // what cannot be read stops the start
		return ours.end == "died" && !perlSyntax(c) && !backwards(c) && !oddWords(c)
	},
	"3": func(c perlCase, theirs, ours outcome) bool { // Perl's own syntax stops the start
		return ours.end == "died" && perlSyntax(c)
	},
	"4": func(c perlCase, theirs, ours outcome) bool { // a bare address is a network
		return theirs.end == "died" && anyText(c, "cidr_allow", "cidr_deny", func(s string) bool {
			_, err := netip.ParseAddr(s)
			return err == nil
		})
	},
	"5": func(c perlCase, theirs, ours outcome) bool { // so do ranges and digits that mean something else
		return ours.end == "died" && theirs.end != "died" && backwards(c)
	},
	"6": func(c perlCase, theirs, ours outcome) bool { // and words that mean the contrary, or nothing
		return ours.end == "died" && theirs.end != "died" && oddWords(c)
	},
	"7": func(c perlCase, theirs, ours outcome) bool { // a client without a name has none
		return theirs.end != "died" && ours.end != "died" && looksUp(c) && c.DNS.Names == nil
	},
	"8": func(c perlCase, theirs, ours outcome) bool { // nor has one whose name could not be one
		return ours.end == "denied" && looksUp(c) && slices.ContainsFunc(names(c), func(s string) bool { return !isHostname(s) })
	},
	"9": func(c perlCase, theirs, ours outcome) bool { // a name without addresses refuses, and says so
		return theirs.end == "died" && ours.end == "denied" && len(c.DNS.Names) > 0 && c.DNS.Addrs == nil
	},
	"10": func(c perlCase, theirs, ours outcome) bool { // an address is the same in every spelling
		return strings.HasPrefix(c.Client.Addr, "::FFFF") || c.Client.Addr == "::ffff:a00:1"
	},
	"11": func(c perlCase, theirs, ours outcome) bool { // and on every interface
		return strings.Contains(c.Client.Addr, "%")
	},
	"13": func(c perlCase, theirs, ours outcome) bool { // case does not matter in names
		return theirs.end != ours.end && looksUp(c) && slices.ContainsFunc(append(names(c), ruleTexts(c)...), hasUpper)
	},
	"12": func(c perlCase, theirs, ours outcome) bool { // an early refusal looks nothing up
		return theirs.end == ours.end && ours.log == "" && theirs.log != "" && ours.end == "denied"
	},
}

func anyText(c perlCase, key1, key2 string, f func(string) bool) bool {
	for _, k := range []string{key1, key2} {
		if vals, ok := c.Rules[k].([]any); ok {
			for _, v := range vals {
				if f(v.(string)) {
					return true
				}
			}
		}
	}
	return false
}

func ruleTexts(c perlCase) (all []string) {
	anyText(c, "allow", "deny", func(s string) bool {
		all = append(all, s)
		return false
	})
	return all
}

func hasUpper(s string) bool { return s != strings.ToLower(s) }

func perlSyntax(c perlCase) bool {
	return anyText(c, "allow", "deny", func(s string) bool { return findPerl(s) != nil })
}

func backwards(c perlCase) bool {
	return anyText(c, "cidr_allow", "cidr_deny", func(s string) bool {
		return slices.Contains(texts("10.0.0.9-10.0.0.1", "010.0.0.0/8"), s)
	})
}

func oddWords(c perlCase) bool {
	for _, k := range texts("reverse_lookups", "double_reverse_lookups") {
		if s, _ := c.Rules[k].(string); slices.Contains(texts("off", "no", "false", "detial", "double strict"), s) {
			return true
		}
	}
	return false
}

func looksUp(c perlCase) bool {
	s, _ := c.Rules["reverse_lookups"].(string)
	return s != "" && s != "0" || c.Rules["double_reverse_lookups"] != nil
}

func names(c perlCase) []string {
	var all []string
	for _, n := range c.DNS.Names {
		all = append(all, n)
	}
	return all
}

// TestAgainstNetServer compares every recorded case, which needs no Perl.
func TestAgainstNetServer(t *testing.T) {
	cases := readRecording(t)
	if len(cases) < 1000 {
		t.Fatalf("only %d cases", len(cases))
	}
	shown := make(map[string]int)
	same := 0
	for i, c := range cases {
		theirs, ours := c.Answer.outcome(), ours(t, c.perlCase)
		if theirs == ours {
			same++
			continue
		}
		var why []string
		for id, applies := range differences {
			if applies(c.perlCase, theirs, ours) {
				why = append(why, id)
				shown[id]++
			}
		}
		if os.Getenv("SHOW") != "" {
			t.Logf("%v %s\n   theirs %+v ours %+v", why, toJSON(c.perlCase), theirs, ours)
		}
		if len(why) == 0 {
			t.Errorf("case %d, %s:\nNet::Server %+v\nhere        %+v", i, toJSON(c.perlCase), theirs, ours)
		}
	}
	t.Logf("%d cases, %d the same; differences shown by: %v", len(cases), same, shown)
	for id := range differences {
		if shown[id] == 0 {
			t.Errorf("no case shows difference %s", id)
		}
	}
}

// TestDifferencesAreDocumented keeps DIFFERENCES.md and the table above equal.
func TestDifferencesAreDocumented(t *testing.T) {
	data, err := os.ReadFile("DIFFERENCES.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(string(data), -1) {
		if documented[m[1]] {
			t.Errorf("difference %s is documented twice", m[1])
		}
		documented[m[1]] = true
		if differences[m[1]] == nil {
			t.Errorf("difference %s is documented, but no test knows it", m[1])
		}
	}
	for id := range differences {
		if !documented[id] {
			t.Errorf("difference %s is not documented", id)
		}
	}
}
