package conf

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A When is the condition under which a key has an effect: words separated by
// blanks, all of which must hold; of words joined by | one suffices. A word is
// the name of a Fact that the program states ("tls", "pool"), or else the name
// of a key, and holds if that key is set to anything but off: "proxy_to", or
// "tls SSL_check_crl|SSL_crl_file".
type When string

// Always is the condition of a key that always has an effect.
const Always When = "always"

// terms returns the alternatives of each term.
func (w When) terms() [][]string {
	var terms [][]string
	for term := range strings.FieldsSeq(string(w)) {
		if term != string(Always) {
			terms = append(terms, strings.Split(term, "|"))
		}
	}
	return terms
}

// Words returns the names of facts and keys in w.
func (w When) Words() []string { return slices.Concat(w.terms()...) }

// A Fact is a property of a configuration, such as whether a port speaks TLS.
type Fact struct {
	Holds bool
	// Without is the message for a key that has no effect because the fact
	// does not hold; it follows the key's name: "has no effect without a TLS
	// port".
	Without string
	// Hint says what to do about it; "" advises leaving the key out.
	Hint string
	// Refuse makes it a problem even for Net::Server's own keys.
	Refuse bool
}

// Facts are the facts that a program states, by name.
type Facts map[string]Fact

// With returns a copy of the facts with some replaced.
func (f Facts) With(others Facts) Facts {
	all := maps.Clone(f)
	maps.Copy(all, others)
	return all
}

// Idle finds keys that were given but have no effect under the facts:
// problems, or warnings for keys with Key.Theirs. port returns the facts for a
// key in a [[listen]] block; a nil port means the same facts. Keys that hold
// their default or are off are skipped. A value that the program itself put
// into a variable matters only if a fact says Refuse. A key without a When
// always has an effect.
func (r *Result) Idle(facts Facts, port func(Block, Key) Facts) (problems, warnings Problems) {
	for _, k := range r.keys {
		vals, given := r.vals[k.Name], r.origin[k.Name].Source != SourceDefault
		if !given && !r.fixed[k.Name] || k.asksNothing(vals) {
			continue
		}
		p, refuse := k.idle(last(vals), facts, r.holds)
		switch {
		case p == nil, !given && !refuse:
		case k.Theirs && !refuse:
			warnings.add(p)
		default:
			problems.add(p)
		}
	}
	for _, b := range r.Blocks {
		problems.add(r.idleIn(b, facts, port).err())
	}
	return problems, warnings
}

// idleIn finds the keys of a block that have no effect. No other program reads
// these blocks, so all of them are problems.
func (r *Result) idleIn(b Block, facts Facts, port func(Block, Key) Facts) (problems Problems) {
	on := func(key string) bool {
		if vals, ok := b.Values[key]; ok {
			return isOn(vals)
		}
		return isOn(r.vals[key])
	}
	for _, k := range r.keys {
		vals := b.Values[k.Name]
		if len(vals) == 0 || k.asksNothing(vals) {
			continue
		}
		here := facts
		if port != nil {
			here = port(b, k)
		}
		if p, _ := k.idle(last(vals), here, on); p != nil {
			problems.add(p)
		}
	}
	return problems
}

// idle returns a Problem if the key has no effect, and whether it is one even
// for Net::Server's own keys.
func (k Key) idle(v Value, facts Facts, on func(key string) bool) (*Problem, bool) {
	for _, term := range k.When.terms() {
		if slices.ContainsFunc(term, func(word string) bool {
			if f, ok := facts[word]; ok {
				return f.Holds
			}
			return on(word)
		}) {
			continue
		}
		p := &Problem{Key: k.Name, Origin: v.Origin, Hint: "leave it out"}
		f, ok := facts[term[0]]
		if !ok {
			names := strings.Join(term, " or ")
			p.Err = fmt.Errorf("%s has no effect without %s", k.Name, names)
			p.Hint = fmt.Sprintf("give %s too, or leave %s out", names, k.Name)
			return p, false
		}
		p.Err = fmt.Errorf("%s %s", k.Name, f.Without)
		if f.Hint != "" {
			p.Hint = f.Hint + ", or leave " + k.Name + " out"
		}
		return p, f.Refuse
	}
	return nil, false
}

// holds reports whether a key is on for the server or for a port.
func (r *Result) holds(key string) bool {
	return isOn(r.vals[key]) || slices.ContainsFunc(r.Blocks, func(b Block) bool { return isOn(b.Values[key]) })
}

// isOn reports whether any of vals is other than empty, none or off.
func isOn(vals []Value) bool {
	return slices.ContainsFunc(vals, func(v Value) bool { return !isOff(v.Text) })
}

func isOff(text string) bool {
	switch strings.ToLower(text) {
	case "", "0", "-1", "none", "off":
		return true
	}
	return false
}

// asksNothing reports whether vals change nothing.
func (k Key) asksNothing(vals []Value) bool {
	return !slices.ContainsFunc(vals, func(v Value) bool {
		if k.Default != "" && strings.EqualFold(v.Text, k.Default) {
			return false
		}
		return k.Default != "" && k.Default != "auto" || !isOff(v.Text)
	})
}
