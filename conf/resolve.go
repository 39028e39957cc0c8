package conf

import (
	"errors"
	"fmt"
	"slices"
)

// Unknown says how Resolve treats undefined keys.
type Unknown int

const (
	RefuseUnknown Unknown = iota // report each as a problem
	WarnUnknown                  // warn of each and put it into Result.Leftover
	KeepUnknown                  // put them into Result.Leftover
	KeepInFiles                  // keep those of conf files, report all others as problems
)

// Resolve takes each key whole from the strongest layer that names it, stores
// the values in the bound variables, and returns the configuration with its
// origins. The strength of a layer is its Source; of two layers of one source
// the first is the stronger. Lists append within a layer and do not merge
// across layers; of several values of a single-valued key in a layer the last
// wins. [[listen]] blocks count as values of the key port.
//
// The error is nil or Problems with all errors; some variables may have been
// written then. A later Resolve, with another conf file say, starts from the
// defaults again.
func (s *Set) Resolve(layers ...Layer) (*Result, error) {
	r := resolver{set: s, taken: make(map[string][]Entry), weaker: make(map[string]bool)}
	for _, l := range byStrength(s.Read(layers)) {
		r.layer(l)
		r.warnings = append(r.warnings, l.Warnings...)
		if l.foreign != nil {
			r.foreign = l.foreign
		}
		if l.Source == SourceFile {
			r.fileKeys += len(l.Entries) + len(l.Blocks)
			for _, blocks := range l.Tables {
				r.fileKeys += len(blocks)
			}
			r.noFinalNewline = r.noFinalNewline || l.NoFinalNewline
		}
	}
	res := &Result{Blocks: r.blocks, Tables: r.tables, tableKeys: s.tableKeys(), FileKeys: r.fileKeys, NoFinalNewline: r.noFinalNewline, vals: make(map[string][]Value), origin: make(map[string]Origin), fixed: make(map[string]bool)}
	for _, d := range s.defs {
		if d.Refuse != "" {
			continue
		}
		res.keys = append(res.keys, d.Key)
		res.fixed[d.Name] = len(d.initial) > 0
		if vals := r.bind(d); vals != nil {
			res.vals[d.Name] = vals
			res.origin[d.Name] = origin(r.taken[d.Name], vals)
		}
	}
	// Only now is Unknown final: it may be bound to a key itself.
	r.unknownKeys(res)
	if err := r.problems.err(); err != nil {
		return nil, err
	}
	return res, nil
}

// Apply stores values in the variables of their keys and leaves all other
// variables alone. Use it to apply a Block to a copy of a configuration:
// define the keys again, bound to the copy, and apply the block's values. The
// error is nil or Problems; some variables may have been written then.
func (s *Set) Apply(v Values) error {
	var problems Problems
	given := make(map[string]Entry)
	for _, e := range entriesOf(SourceCode, v) {
		switch d := s.index[e.Key]; {
		case d == nil:
			problems.add(s.unknownKey(e))
		case d.Refuse != "":
			problems.add(d.refused(e))
		default:
			given[e.Key] = e
		}
	}
	for _, d := range s.defs {
		e, ok := given[d.Name]
		if !ok {
			continue
		}
		vals, err := d.collapse([]Entry{e})
		if err == nil {
			err = d.set(vals)
		}
		problems.add(err)
	}
	return problems.err()
}

// A resolver is one Resolve in progress.
type resolver struct {
	set            *Set
	taken          map[string][]Entry // key to its entries in the strongest layer that names it
	weaker         map[string]bool    // keys that a weaker layer names as well
	blocks         []Block
	tables         map[string][]Block
	unknown        []Entry
	foreign        *Problem // the conf file is another program's
	problems       Problems
	warnings       Problems
	fileKeys       int
	noFinalNewline bool
}

// layer takes the keys from l that no stronger layer has named.
func (r *resolver) layer(l Layer) {
	r.problems = append(r.problems, l.Problems...)
	_, portTaken := r.taken[portKey]
	named := make(map[string][]Entry)
	for _, e := range l.Entries {
		d := r.set.index[e.Key]
		switch {
		case d == nil:
			r.unknown = append(r.unknown, e)
		case d.Refuse != "":
			r.problems.add(d.refused(e))
		case d.NotInFile && l.Source == SourceFile:
			r.problems.add(&Problem{Key: d.Name, Origin: e.Origin, Err: errNotInFile})
		default:
			named[e.Key] = append(named[e.Key], e)
		}
	}
	for _, d := range r.set.defs {
		if entries := named[d.Name]; len(entries) > 1 {
			r.repeats(d, entries)
		}
	}
	for key, entries := range named {
		if _, ok := r.taken[key]; !ok {
			r.taken[key] = entries
		} else {
			r.weaker[key] = true
		}
	}
	if tables := r.checkTables(l.Source, "", l.Tables); r.tables == nil {
		r.tables = tables
	}
	if len(l.Blocks) == 0 {
		return
	}
	blocks := r.checkBlocks(l)
	if !portTaken {
		r.blocks = blocks
		if _, ok := r.taken[portKey]; !ok {
			r.taken[portKey] = nil // no entries, but no default either
		}
	}
}

// bind stores the values of one key and returns them; nil if there are none.
func (r *resolver) bind(d *def) []Value {
	entries, ok := r.taken[d.Name]
	if !ok {
		vals := d.fallback()
		// A variable never written still holds its initial value.
		if d.bound || len(d.initial) == 0 && len(vals) > 0 {
			r.problems.add(d.set(vals))
			d.bound = false
		}
		if len(vals) == 0 {
			return nil
		}
		return vals
	}
	vals, err := d.collapse(entries)
	if err == nil {
		err = r.set.empties(d, origin(entries, vals), vals, r.weaker[d.Name])
	}
	if err == nil {
		err = r.quotes(d, vals)
	}
	if err == nil {
		err = r.set.instead(d, d.set(vals))
	}
	r.problems.add(err)
	if len(entries) == 0 {
		return nil
	}
	return vals
}

// collapse merges a layer's entries for the key into one list of values, and
// refuses forms that the key does not accept. The result is not nil.
func (d *def) collapse(entries []Entry) ([]Value, error) {
	var problems Problems
	vals := []Value{}
	// Within a layer the last value of a single-valued key wins, for each name
	// if it is a map.
	single := !d.List && d.Pick == nil
	last := make(map[string]int)
	for i, e := range entries {
		if p := d.misfit(e); p != nil {
			problems.add(p)
			continue
		}
		for _, v := range e.Values {
			last[v.Name] = i
		}
	}
	for i, e := range entries {
		for _, v := range e.Values {
			if !single || last[v.Name] == i {
				vals = append(vals, v)
			}
		}
	}
	if d.Pick != nil && len(vals) > 1 {
		vals = []Value{d.Pick(vals)}
	}
	return vals, problems.err()
}

// origin is the origin of a key's values: that of the first one, or, for an
// empty list, that of its entry.
func origin(entries []Entry, vals []Value) Origin {
	switch {
	case len(vals) > 0:
		return vals[0].Origin
	case len(entries) > 0:
		return entries[0].Origin
	}
	return Origin{}
}

// misfit returns the error in the form of an entry for this key, or nil.
func (d *def) misfit(e Entry) *Problem {
	p := &Problem{Key: d.Name, Origin: e.Origin}
	named := slices.IndexFunc(e.Values, func(v Value) bool { return v.Name != "" })
	switch {
	case e.fault != nil:
		p.Origin, p.Err = e.fault.Origin, e.fault.Err
	case named >= 0 && !d.Map:
		p.Err = fmt.Errorf("it cannot hold a table (%s = ...)", quoteName(e.Values[named].Name))
		p.Hint = "give it one value"
		if d.List {
			p.Hint = "give it a value or an array of values"
		}
	case !d.List && !d.Map && len(e.Values) != 1:
		p.Err = fmt.Errorf("it takes one value, but %d are given", len(e.Values))
	default:
		return nil
	}
	return p
}

// refused is the Problem of a key that is not available.
func (d *def) refused(e Entry) *Problem {
	return &Problem{Key: d.Name, Origin: e.Origin, Err: fmt.Errorf("%w: %s", ErrRefused, d.Refuse)}
}

// maxCompared bounds the foreign keys that are compared with the server's:
// nobody writes more of them.
const maxCompared = 1000

// unknownKeys handles undefined keys.
func (r *resolver) unknownKeys(res *Result) {
	how := r.set.Unknown
	var problems, warnings Problems
	switch {
	case r.foreign == nil:
	case how == RefuseUnknown:
		r.problems = slices.DeleteFunc(r.problems, func(err error) bool { return placeOf(err).Source == SourceFile })
		problems.add(r.foreign)
		r.unknown = slices.DeleteFunc(r.unknown, func(e Entry) bool { return e.Origin.Source == SourceFile })
	case how == WarnUnknown:
		warnings.add(r.foreign)
	}
	for _, e := range r.unknown {
		if how == RefuseUnknown || how == KeepInFiles && e.Origin.Source != SourceFile {
			problems.add(r.set.unknownKey(e))
			if problems.full() {
				break // finding the nearest key takes time
			}
			continue
		}
		res.Leftover = append(res.Leftover, e)
		switch {
		case warnings.full():
		case how == WarnUnknown:
			warnings.add(r.set.unknownKey(e))
		case e.Origin.Source == SourceFile && r.set.Strict && len(res.Leftover) <= maxCompared:
			if near := misspelt(e.Key, r.set.names()); near != "" {
				warnings.add(&Problem{
					Key: quoteName(e.Key), Origin: e.Origin,
					Err: errors.New("it is not a key of the server, and ignored"), Hint: didYouMean(near),
				})
			}
		}
	}
	r.problems = append(r.problems, problems...)
	r.warnings = append(r.warnings, warnings...)
	res.Warnings = r.warnings
}

// instead adds to a Binder's errors what may have been meant.
func (s *Set) instead(d *def, err error) error {
	all, _ := err.(Problems)
	for _, e := range all {
		if p, ok := e.(*Problem); ok && p.Hint == "" {
			p.Hint = s.Instead[fold(d.Name)]
		}
	}
	return err
}

// unknownKey is the Problem of an entry whose key is undefined, with the key
// that was probably meant.
func (s *Set) unknownKey(e Entry) *Problem {
	name, near := e.Key, Nearest(e.Key, s.names())
	if e.Origin.Source == SourceEnv {
		name = e.Origin.File
		if near != "" {
			near = envName(near)
		}
	}
	p := &Problem{
		Origin: e.Origin,
		Err:    fmt.Errorf("%w %s", ErrUnknownKey, quote(name)),
		Hint:   didYouMean(near),
	}
	if instead := s.Instead[fold(e.Key)]; instead != "" {
		p.Hint = instead
	}
	if e.Origin.toml() && s.Table(e.Key) != nil {
		p.Hint = tableForm(e.Key)
	}
	for _, v := range e.Values {
		if _, ok := s.index[v.Name]; ok && v.Name != "" {
			p.Hint = fmt.Sprintf("keys are not grouped in tables: write %s above the first table", v.Name)
			break
		}
	}
	return p
}

// quoteName returns the name of a table entry for a message.
func quoteName(name string) string {
	if isWord(name) && len(name) <= maxQuoted {
		return name
	}
	return quote(name)
}
