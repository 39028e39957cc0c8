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

// A Place is a block of a TOML file that keys stand in.
type Place struct {
	Table  string  // "listen", "listen.route", "backend"
	Blocks []Block // those around it, outermost first, and the block itself
	Index  []int   // of each of Blocks, which of its kind it is, from 0
}

// Ineffective finds keys that were given but have no effect under the facts:
// problems, or warnings for keys with Key.NetServer. in returns the facts for a
// key in a block; a nil in means the same facts. Keys that hold their default
// or are off are skipped. A value that the program itself put into a variable
// matters only if a fact says Refuse. A key without a When always has an
// effect.
func (r *Result) Ineffective(facts Facts, in func(Place, Key) Facts) (problems, warnings Problems) {
	for _, k := range r.keys {
		vals, given := r.vals[k.Name], r.origin[k.Name].Source != SourceDefault
		if !given && !r.fixed[k.Name] || k.asksNothing(vals) {
			continue
		}
		p, refuse := k.ineffective(last(vals), facts, r.holds)
		switch {
		case p == nil, !given && !refuse:
		case k.NetServer && !refuse:
			warnings.add(p)
		default:
			problems.add(p)
		}
	}
	if in == nil {
		in = func(Place, Key) Facts { return facts }
	}
	t := idleTables{res: r, facts: in}
	server := func(key string) bool { return isOn(r.vals[key]) }
	for i, b := range r.Blocks {
		t.block(Place{Table: listenKey, Blocks: []Block{b}, Index: []int{i}}, server)
	}
	t.within(Place{}, r.Tables, r.holds)
	problems.add(t.problems.err())
	return problems, warnings
}

// An idleTables finds the keys of blocks that have no effect. No other program
// reads these blocks, so all of them are problems.
type idleTables struct {
	res      *Result
	facts    func(Place, Key) Facts
	problems Problems
}

// block looks at the last block of a place and at the tables in it. around
// tells which keys outside of it are on.
func (t *idleTables) block(at Place, around func(key string) bool) {
	keys := t.res.keys
	if at.Table != listenKey {
		keys = t.res.tableKeys[at.Table]
	}
	b := at.Blocks[len(at.Blocks)-1]
	on := func(key string) bool {
		if vals, ok := b.Values[key]; ok {
			return isOn(vals)
		}
		if i := slices.IndexFunc(keys, func(k Key) bool { return k.Name == key }); i >= 0 && at.Table != listenKey && !keys[i].Inherits {
			return !isOff(keys[i].Default) // a key of this name elsewhere is another one
		}
		return around(key)
	}
	for _, k := range keys {
		vals := b.Values[k.Name]
		if len(vals) == 0 || k.asksNothing(vals) {
			continue
		}
		if p, _ := k.ineffective(last(vals), t.facts(at, k), on); p != nil {
			t.problems.add(p)
		}
	}
	t.within(at, b.Tables, on)
}

// within looks at the tables in a block, or at the top level.
func (t *idleTables) within(at Place, tables map[string][]Block, around func(key string) bool) {
	for _, last := range slices.Sorted(maps.Keys(tables)) {
		for i, b := range tables[last] {
			t.block(Place{Table: within(at.Table, last), Blocks: append(slices.Clone(at.Blocks), b), Index: append(slices.Clone(at.Index), i)}, around)
		}
	}
}

// ineffective returns a Problem if the key has no effect, and whether it is one even
// for Net::Server's own keys.
func (k Key) ineffective(v Value, facts Facts, on func(key string) bool) (*Problem, bool) {
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
	return slices.ContainsFunc(vals, func(v Value) bool { return !v.isOff() })
}

// isOff knows TOML's own false too.
func (v Value) isOff() bool {
	return isOff(v.Text) || v.Origin.toml() && strings.EqualFold(v.Text, "false")
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
		return k.Default != "" && k.Default != "auto" || !v.isOff()
	})
}
