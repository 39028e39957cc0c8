package access

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// matchesWhole is what a pattern must agree with: the leftmost longest match
// of the expression alone is the whole text.
func matchesWhole(t testing.TB, expr, text string) bool {
	re, err := regexp.Compile(expr)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	re.Longest()
	loc := re.FindStringIndex(text)
	return loc != nil && loc[0] == 0 && loc[1] == len(text)
}

var texts1 = []string{
	"10.0.0.1", "10.0.0.11", "110.0.0.1", "127.0.0.1", "::1", "2001:db8::1", "fe80::1%eth0", "10.example", "a.example.com",
	"example.com", "aexample.com", "A.EXAMPLE.COM", "x", "10", "1", "11", "10.1", "10..1", "",
}

func TestPatternShapes(t *testing.T) {
	for _, c := range []struct {
		expr    string
		simple  bool
		head    string
		tail    string
		mayName bool
	}{
		{`10\.0\.0\.1`, true, "10.0.0.1", "", false},
		{`^10\.0\.0\.1$`, true, "10.0.0.1", "", false},
		{`example\.com`, true, "example.com", "", true},
		{`10\..*`, true, "10.", "", true},
		{`.*\.example\.com`, true, "", ".example.com", true},
		{`10\..*\.1`, true, "10.", ".1", true},
		{`1.*1`, true, "1", "1", true},
		{`(10)\.(.*)`, true, "10.", "", true},
		{`.*`, true, "", "", true},
		{`10.0.0.1`, false, "10", "1", true},
		{`10\.(1|2)\..*`, false, "10.", "", true},
		{`(?i)example\.com`, false, "", "", true},
		{`a|b`, false, "", "", true},
		{`10\..+`, false, "10.", "", true},
		{`[0-9.]+\.1`, false, "", ".1", true},
		{`^$`, false, "", "", false},
		{`::1`, true, "::1", "", false},
	} {
		p, err := parsePattern(c.expr)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		if (p.re == nil) != c.simple || p.head != c.head || p.tail != c.tail || p.mayBeName() != c.mayName {
			t.Errorf("%s: simple %v, head %q, tail %q, name %v", c.expr, p.re == nil, p.head, p.tail, p.mayBeName())
		}
		for _, text := range texts1 {
			if got, want := p.match([]byte(text), []byte(text)), matchesWhole(t, c.expr, text); got != want {
				t.Errorf("%s on %q: %v, want %v", c.expr, text, got, want)
			}
		}
	}
}

// TestPatternsFindTheFirst compares the index with trying one after another.
func TestPatternsFindTheFirst(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	pieces := []string{"1", "0", `\.`, "a", "b", ".*", ".", "[01]", "(?:a|1)", "a*"}
	for round := range 300 {
		var list []pattern
		for range 1 + r.IntN(40) {
			var expr strings.Builder
			for range 1 + r.IntN(5) {
				expr.WriteString(pieces[r.IntN(len(pieces))])
			}
			p, err := parsePattern(expr.String())
			if err != nil {
				t.Fatalf("%s: %v", expr.String(), err)
			}
			list = append(list, p)
		}
		index := newPatterns(list)
		for range 100 {
			text := make([]byte, r.IntN(7))
			for i := range text {
				text[i] = "10.ab"[r.IntN(5)]
			}
			want := int32(-1)
			for i := range list {
				if list[i].match(text, text) {
					want = int32(i)
					break
				}
			}
			if got := index.find(text, text); got != want {
				t.Fatalf("round %d, %q: rule %d, want %d", round, text, got, want)
			}
		}
	}
}

func TestPerlSyntaxIsNamed(t *testing.T) {
	for expr, want := range map[string]string{
		`(?!10\.).*`:     "(?! is a negative lookahead",
		`(?=10\.).*`:     "(?= is a lookahead",
		`.*(?<!\.1)`:     "(?<! is a negative lookbehind",
		`.*(?<=\.1)`:     "(?<= is a lookbehind",
		`(?>10)\..*`:     "(?> is an atomic group",
		`(?#x)10\..*`:    "(?# is a comment",
		`(?|a|b)`:        "(?| is a branch reset",
		`(a)?(?(1)b|c)`:  "(?( is a conditional",
		`(a|(?R))`:       "(?R is a recursion",
		`(a|(?1))`:       "(?1 is a recursion",
		`(a|(?-1))`:      "(?-1 is a recursion",
		`(a|(?+1))`:      "(?+1 is a recursion",
		`(?&x)`:          "(?& is a recursion",
		`(?P>x)`:         "(?P> is a recursion",
		`(a)(?P=x)`:      "(?P= is a backreference",
		`(?{1})`:         "(?{ is code",
		`(??{1})`:        "(??{ is code",
		`(?'n'a)`:        "(?' is a quoted group name",
		`(?^:a)`:         "(?^ is a reset of the flags",
		`(*FAIL)`:        "(* is a backtracking verb",
		`(?x) a b`:       "the flag x is an expression with blanks",
		`(?a:b)`:         "the flag a is a rule of matching",
		`(?i-x:b)`:       "the flag x is",
		`(1)0\.\1`:       `\1 is a backreference`,
		`(1)\g1`:         `\g is a backreference`,
		`(?<n>1)\k<n>`:   `\k is a backreference`,
		`10\Z`:           `\Z is the end before a line end`,
		`\G10`:           `\G is`,
		`a\K10`:          `\K is`,
		`[ab]\K10`:       `\K is`,
		`[^]a]\G`:        `\G is`,
		`10\R`:           `\R is`,
		`\X`:             `\X is`,
		`\N{U+41}`:       `\N is`,
		`a\hb`:           `\h is horizontal blanks`,
		`[\h]`:           `\h is horizontal blanks`,
		`a\vb`:           `\v is`,
		`\Qa.b\E`:        `\Q is quoting`,
		`\ua`:            `\u is a change of case`,
		`\cA`:            `\c is a control character`,
		`\e`:             `\e is an escape character`,
		`\o{12}`:         `\o is an octal number`,
		`\b{wb}`:         `\b{...} is a boundary`,
		`[[=a=]]`:        `[= is a reserved POSIX class`,
		`a++`:            "a possessive repetition",
		`a*+b`:           "*+ is a possessive repetition",
		`a?+b`:           "?+ is a possessive repetition",
		`a{1,2}+b`:       "{1,2}+ is a possessive repetition",
		`a{,3}`:          "{,3} is a repetition",
		`a{ 1, 3 }`:      "{ 1, 3 } is a repetition",
		`a\`:             `\ at the end is an escape of nothing`,
		`[a\`:            `\ at the end is an escape of nothing`,
		`10\.(?<=x)[)]*`: "(?<= is a lookbehind",
	} {
		_, err := parsePattern(expr)
		if err == nil {
			t.Errorf("%s was accepted", expr)
		} else if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), ": ") {
			t.Errorf("%s: %q does not say %q", expr, err, want)
		}
	}
}

func TestPerlSyntaxThatIsFine(t *testing.T) {
	for _, expr := range []string{
		`\d+\.\w+\s?\S*\D\W`, `\x41\x{41}+`, `\p{L}+`, `[\d.]+`, `[^\]]+`, `[]a]+`, `[[:digit:]]+?`, `(?i)a`, `(?i:a)b`, `(?<n>a)`, `(?P<n>a)`,
		`a{2}`, `a{2,}`, `a{2,3}?`, `a{`, `a{x}`, `a{,}`, `\{1,\}`, `\A10\z`, `\b10\b`, `a+?`, `\.\-\_\/`, `(?:a|b)*`, `[(?=]`, `\(?=a`, `[*+]+`, `\++`,
	} {
		if _, err := parsePattern(expr); err != nil {
			t.Errorf("%s: %v", expr, err)
		}
	}
}

func TestPatternCannotBreakOut(t *testing.T) {
	for _, expr := range []string{`10)|(.*`, `)`, `(`, `a)$|^(b`} {
		if _, err := parsePattern(expr); err == nil {
			t.Errorf("%s was accepted", expr)
		}
	}
}

func TestManyPatternsAreFast(t *testing.T) {
	exprs := make([]string, 0, 120_000)
	for i := range 40_000 {
		exprs = append(exprs, fmt.Sprintf(`.*\.host%d\.example`, i), fmt.Sprintf(`10\.%d\.%d\..*`, i>>8, i&255), fmt.Sprintf(`n%d\.example`, i))
	}
	p := compile(t, Rules{Deny: Texts(exprs...), Allow: Texts(".*"), ReverseLookups: Texts("1")})
	peer := ipPeer("10.5.6.7")
	one := compile(t, Rules{Deny: Texts(exprs[len(exprs)-3:]...), Allow: Texts(".*"), ReverseLookups: Texts("1")})
	few := fastest(func() { one.Decide(peer, Names{Host: "a.host7.example"}) })
	many := fastest(func() { p.Decide(peer, Names{Host: "a.host7.example"}) })
	if many > 50*few {
		t.Errorf("120,000 expressions take %v, 3 take %v", many, few)
	}
	if v := p.Decide(ipPeer("9.9.9.9"), Names{Host: "a.host39999.example"}); v.Rule != `deny .*\.host39999\.example (code)` {
		t.Error(v.Rule)
	}
}

func TestTooManyLooseExpressions(t *testing.T) {
	loose := make([]string, maxLoose+1)
	for i := range loose {
		loose[i] = fmt.Sprintf(`[0-9]+x%d.+`, i)
	}
	_, err := Rules{Deny: Texts(loose...)}.Compile()
	if err == nil || !strings.Contains(err.Error(), "write networks as cidr_deny") {
		t.Errorf("%v", err)
	}
	if _, err := (Rules{Deny: Texts(loose[1:]...)}).Compile(); err != nil {
		t.Error(err)
	}
}

func TestHostnames(t *testing.T) {
	long := strings.Repeat("a", 63)
	for name, want := range map[string]bool{
		"example.com": true, "a": true, "a-b_c.Example": true, "1.example": true, "x1": true, "1a": true, long + ".com": true,
		"": false, ".": false, "a..b": false, ".a": false, "a.": false, "10.0.0.1": false, "1": false, "a.1": false, "::1": false,
		"a b": false, "a\nb": false, "a/b": false, "ä.example": false, long + "a.com": false, strings.Repeat("a.", 127) + "b": false,
	} {
		if isHostname(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
