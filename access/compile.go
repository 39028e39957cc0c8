package access

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"netserver/conf"
)

// maxExpressions bounds the expressions of one list that need the regexp
// engine; fixed texts, and anything between two fixed texts, do not. maxLoose
// bounds those with neither a fixed beginning nor a fixed end, because they
// are tried one by one.
const (
	maxExpressions = 20_000
	maxLoose       = 1_000
)

// Compile checks the rules, reads their files and makes a Policy. The error is
// a Problems with one line per fault.
func (r Rules) Compile() (*Policy, error) {
	p, _, err := r.compile(nil)
	return p, err
}

// compile also returns the state of the rule files, even with an error. before
// holds the states of the files in force, by path.
func (r Rules) compile(before map[string]fileState) (*Policy, []fileState, error) {
	c := compiler{rules: &r, before: before}
	c.readLists()
	reverse, double := lookupModes(&r, &c.problems)
	unix := newUnixRules(r.UnixAllowUser, r.UnixAllowGroup, &c.problems)
	shadow := c.shadowed()
	if err := c.problems.err(); err != nil {
		return nil, c.files, err
	}
	p := &Policy{names: reverse || double.on, double: double.on}
	all := c.table(nil, reverse, double, unix)
	if len(shadow) == 0 {
		p.enforced = all
	} else {
		p.full = &all
		p.enforced = c.table(shadow, reverse, double, unix)
	}
	if err := c.problems.err(); err != nil {
		return nil, c.files, err
	}
	p.warnings = c.warn(&all)
	return p, c.files, nil
}

// A compiler turns Rules into tables.
type compiler struct {
	rules    *Rules
	problems problems
	files    []fileState
	before   map[string]fileState
	lists    [4]ruleList
}

// Indexes of compiler.lists.
const (
	listDeny = iota
	listAllow
	listCIDRDeny
	listCIDRAllow
)

// A ruleList holds the rules of a key and its files. The rules of its parts
// follow each other in patterns or spans, and in names.
type ruleList struct {
	patterns []pattern
	spans    []span
	names    []string
	parts    []part
}

// A part is one key's contribution to a list.
type part struct {
	key       string
	given     bool
	from, end int // range of its rules in the list's names
}

// readLists reads the four lists, each from its key and then from its files.
func (c *compiler) readLists() {
	r := c.rules
	for i, k := range [...]struct {
		key, fileKey string
		vals, files  []conf.Value
	}{
		listDeny:      {keyDeny, keyDenyFile, r.Deny, r.DenyFile},
		listAllow:     {keyAllow, keyAllowFile, r.Allow, r.AllowFile},
		listCIDRDeny:  {keyCIDRDeny, keyCIDRDenyFile, withNets(r.CIDRDeny, r.DenyNets), r.CIDRDenyFile},
		listCIDRAllow: {keyCIDRAllow, keyCIDRAllowFile, withNets(r.CIDRAllow, r.AllowNets), r.CIDRAllowFile},
	} {
		l := &c.lists[i]
		networks := i == listCIDRDeny || i == listCIDRAllow
		l.add(k.key, k.key, k.vals, len(k.vals) > 0, networks, &c.problems)
		l.add(k.key, k.fileKey, c.readFiles(k.fileKey, k.files, networks), len(k.files) > 0, networks, &c.problems)
		c.bound(k.key, l)
	}
}

// withNets returns vals and the texts of nets.
func withNets(vals []conf.Value, nets []netip.Prefix) []conf.Value {
	all := slices.Clip(vals)
	for _, n := range nets {
		all = append(all, Texts(n.String())...)
	}
	return all
}

// readFiles returns the rules of a key's files.
func (c *compiler) readFiles(key string, files []conf.Value, networks bool) []conf.Value {
	var all []conf.Value
	for _, v := range files {
		data, state, err := readFile(v.Text)
		var vals []conf.Value
		if err == nil {
			vals, err = fileRules(v.Text, data, networks)
			state.rules, state.ended = len(vals), bytes.HasSuffix(data, []byte("\n"))
		}
		if err == nil {
			err = state.checkWhole(data, c.before[v.Text])
		}
		c.files = append(c.files, state)
		if err != nil {
			c.problems.add(&ruleError{key: key, text: v.Text, origin: v.Origin, err: err})
			continue
		}
		all = append(all, vals...)
	}
	return all
}

// add reads the rules of one part.
func (l *ruleList) add(name, key string, vals []conf.Value, given, networks bool, p *problems) {
	part := part{key: key, given: given, from: len(l.names)}
	for _, v := range vals {
		if networks {
			s, err := parseCIDR(v.Text)
			if err != nil {
				p.add(&ruleError{says: err.says, key: name, text: v.Text, origin: v.Origin, why: err.advice})
				continue
			}
			s.rule = int32(len(l.names))
			l.spans = append(l.spans, s)
		} else {
			pat, err := parsePattern(v.Text)
			if err != nil {
				p.add(&ruleError{key: name, text: v.Text, origin: v.Origin, err: err})
				continue
			}
			l.patterns = append(l.patterns, pat)
		}
		l.names = append(l.names, name+" "+v.Text+place(v.Origin))
	}
	part.end = len(l.names)
	l.parts = append(l.parts, part)
}

// bound refuses lists so long that every client would wait.
func (c *compiler) bound(key string, l *ruleList) {
	if len(l.names) > maxRules {
		c.problems.add(fmt.Errorf("%s and its files: %d rules are more than %d", key, len(l.names), maxRules))
	}
	var compiled, loose int
	for i := range l.patterns {
		p := &l.patterns[i]
		if p.re != nil {
			compiled++
			if p.head == "" && p.tail == "" {
				loose++
			}
		}
	}
	if compiled > maxExpressions || loose > maxLoose {
		c.problems.add(fmt.Errorf("%s and its files: %d expressions, %d of them without fixed beginning or end; the limits are %d and %d: write networks as cidr_%s",
			key, compiled, loose, maxExpressions, maxLoose, strings.TrimPrefix(key, "cidr_")))
	}
}

// shadowed returns the keys in shadow mode.
func (c *compiler) shadowed() map[string]bool {
	can := []string{keyAllow, keyDeny, keyCIDRAllow, keyCIDRDeny, keyAllowFile, keyDenyFile,
		keyCIDRAllowFile, keyCIDRDenyFile, keyDouble, keyUnixUser, keyUnixGroup}
	keys := make(map[string]bool)
	for _, v := range c.rules.Shadow {
		switch v.Text {
		case "", "0":
			continue
		case "all", "1":
			for _, k := range can {
				keys[k] = true
			}
			continue
		}
		ok := false
		for _, k := range can {
			ok = ok || k == v.Text
		}
		if !ok {
			c.problems.add(&ruleError{key: keyShadow, text: v.Text, origin: v.Origin,
				why: "cannot be tried out: write all, 0 or one of " + strings.Join(can, ", ")})
		}
		keys[v.Text] = true
	}
	return keys
}

// table makes the table of all rules except those of the keys left out.
func (c *compiler) table(without map[string]bool, reverse bool, double doubleMode, unix *unixRules) table {
	t := table{double: double}
	t.double.on = double.on && !without[keyDouble]
	t.reverse = reverse || t.double.on
	for i, says := range doubleRules {
		t.doubleRules[i] = keyDouble + place(double.origin) + ": " + says
	}
	t.deny = c.patternRules(listDeny, without, &t)
	t.allow = c.patternRules(listAllow, without, &t)
	t.cidrDeny = c.networkRules(listCIDRDeny, without, &t)
	t.cidrAllow = c.networkRules(listCIDRAllow, without, &t)
	t.unix = unix.without(without[keyUnixUser], without[keyUnixGroup])
	return t
}

// use returns the parts of a list that are not left out, and records in t
// whether any was given.
func (l *ruleList) use(without map[string]bool, t *table) []part {
	var parts []part
	for _, p := range l.parts {
		if p.given && !without[p.key] {
			t.ruled = true
			parts = append(parts, p)
		}
	}
	return parts
}

func (c *compiler) patternRules(i int, without map[string]bool, t *table) patternRules {
	l := &c.lists[i]
	var r patternRules
	var all []pattern
	for _, p := range l.use(without, t) {
		all = append(all, l.patterns[p.from:p.end]...)
		r.names = append(r.names, l.names[p.from:p.end]...)
	}
	r.patterns = newPatterns(all)
	if t.reverse {
		r.folded = newPatterns(c.fold(all))
	}
	return r
}

// fold returns the patterns for comparison with names. A pattern that cannot
// be folded is an error: skipping it would let names pass.
func (c *compiler) fold(all []pattern) []pattern {
	folded := make([]pattern, len(all))
	for i := range all {
		var err error
		if folded[i], err = all[i].fold(); err != nil {
			c.problems.add(err)
		}
	}
	return folded
}

func (c *compiler) networkRules(i int, without map[string]bool, t *table) networkRules {
	l := &c.lists[i]
	var r networkRules
	var all []span
	for _, p := range l.use(without, t) {
		for _, s := range l.spans[p.from:p.end] {
			s.rule += int32(len(r.names) - p.from)
			all = append(all, s)
		}
		r.names = append(r.names, l.names[p.from:p.end]...)
	}
	r.networks = newNetworks(all)
	return r
}

// warn finds what is valid but hardly intended.
func (c *compiler) warn(t *table) []string {
	var w []string
	given := func(i int) bool { return c.lists[i].parts[0].given || c.lists[i].parts[1].given }
	if t.ruled && !given(listAllow) && !given(listCIDRAllow) {
		w = append(w, "deny and cidr_deny without allow or cidr_allow refuse everybody, as in Net::Server: add allow .* to admit the others")
	}
	if t.reverse {
		for i := range t.allow.list {
			if t.allow.list[i].likeAddress() {
				w = append(w, t.allow.names[i]+" may match a name as well as an address, and whoever owns an address chooses its name: write cidr_allow")
			}
			if len(w) >= maxProblems {
				break
			}
		}
	}
	return w
}
