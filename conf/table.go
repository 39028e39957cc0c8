package conf

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Table describes the tables of one name that a TOML file may hold, each a
// [Block] with keys of its own: [[backend]], or [[listen.route]] within the
// [[listen]] block above it.
type Table struct {
	Name string // "backend", or "listen.route"
	Help string // what one such table is for, in a sentence or two
}

// A table is a Table with its keys.
type table struct {
	Table
	set *Set
}

// DefineTable adds a kind of table and returns the Set on which its keys are
// defined. Names in it are independent of those of s. Resolve checks the
// values of each table by storing them in the variables of these keys, so that
// those hold the last table's afterwards: [Block.Read] reads a table.
//
// DefineTable panics if the name is malformed or taken, or if it names a table
// within one that is not defined.
func (s *Set) DefineTable(t Table) *Set {
	parent, last := parentOf(t.Name)
	switch {
	case !isWord(last):
		panic(fmt.Sprintf("conf: %q cannot be the name of a table", t.Name))
	case s.isTable(t.Name):
		panic(fmt.Sprintf("conf: table %s is defined twice", t.Name))
	case parent != "" && !s.isTable(parent):
		panic(fmt.Sprintf("conf: table %s is defined before %s", t.Name, parent))
	}
	sub := &Set{isSub: true}
	s.tables = append(s.tables, table{Table: t, set: sub})
	return sub
}

// Table returns the Set that DefineTable returned for name, nil if there is
// none.
func (s *Set) Table(name string) *Set {
	for _, t := range s.tables {
		if t.Name == name {
			return t.set
		}
	}
	return nil
}

// Tables returns the tables in the order of their definition.
func (s *Set) Tables() []Table {
	list := make([]Table, len(s.tables))
	for i, t := range s.tables {
		list[i] = t.Table
	}
	return list
}

// isTable reports whether tables of this name may stand in a TOML file.
func (s *Set) isTable(name string) bool { return name == listenKey || s.Table(name) != nil }

// parentOf parts the name of a table into that of the table around it, if
// there is one, and its own.
func parentOf(name string) (parent, last string) {
	i := strings.LastIndexByte(name, '.')
	return name[:max(i, 0)], name[i+1:]
}

// within is the name of a table in another one, or at the top level.
func within(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

// tableWords lists the tables for a message.
func (s *Set) tableWords() string {
	words := []string{"[[" + listenKey + "]]"}
	for _, t := range s.tables {
		words = append(words, "[["+t.Name+"]]")
	}
	return strings.Join(words, ", ")
}

// Read stores the values of the block in the variables of the keys that define
// defines, and in those of the other keys their defaults. The error is nil or
// Problems.
func (b Block) Read(define func(*Set)) error {
	var s Set
	define(&s)
	_, err := s.Resolve(LayerOf(SourceCode, b.Values))
	return err
}

// checkTables fills in the values of tables, by their last names, and reports
// their problems. Like those of [[listen]] blocks their keys are always
// checked: no other program reads them.
func (r *resolver) checkTables(src Source, parent string, tables map[string][]Block) map[string][]Block {
	var checked map[string][]Block
	for _, last := range slices.Sorted(maps.Keys(tables)) {
		name := within(parent, last)
		set := r.set.Table(name)
		for _, b := range tables[last] {
			switch {
			case r.problems.full():
				return checked
			case set == nil:
				r.problems.add(&Problem{Origin: b.Origin, Err: fmt.Errorf("there are no [[%s]] tables", name)})
				continue
			}
			if b.entries == nil {
				b.entries = entriesOf(src, b.Values)
			}
			vals, err := r.tableValues(set, name, b)
			r.problems.add(err)
			if checked == nil {
				checked = make(map[string][]Block)
			}
			checked[last] = append(checked[last], Block{
				Origin: b.Origin, Values: vals, Tables: r.checkTables(src, name, b.Tables),
			})
		}
	}
	return checked
}

// tableValues turns the entries of a table into values and checks them.
func (r *resolver) tableValues(set *Set, name string, b Block) (Values, error) {
	var problems Problems
	vals := make(Values)
	given := make(map[string]bool)
	for _, e := range b.entries {
		given[e.Key] = true
		d, err := r.tableKey(set, name, e)
		if err == nil {
			vals[e.Key], err = d.collapse([]Entry{e})
		}
		if err == nil {
			err = r.set.empties(d, Origin{}, vals[e.Key], false)
		}
		if err == nil {
			err = d.set(vals[e.Key])
		}
		problems.add(err)
	}
	for _, d := range set.defs {
		if d.Required && !given[d.Name] {
			problems.add(&Problem{Origin: b.Origin, Err: fmt.Errorf("the [[%s]] table has no %s", name, d.Name), Hint: "add one"})
		}
	}
	return vals, problems.err()
}

// tableKey returns the key of an entry in a table.
func (r *resolver) tableKey(set *Set, name string, e Entry) (*def, error) {
	d := set.index[e.Key]
	switch {
	case d == nil:
		p := set.unknownKey(e)
		if place := r.set.elsewhere(name, e.Key); place != "" {
			p.Hint = place
		} else if instead := r.set.Instead[fold(e.Key)]; instead != "" && strings.HasPrefix(name, listenKey) {
			p.Hint = instead
		}
		return nil, p
	case d.Refuse != "":
		return nil, d.refused(e)
	}
	return d, nil
}

// elsewhere says where a key belongs that is given in a table, or in a
// [[listen]] block, and not known there.
func (s *Set) elsewhere(name, key string) string {
	if s.isTable(within(name, key)) {
		return tableForm(within(name, key))
	}
	for _, t := range s.tables {
		if d := t.set.index[key]; t.Name != name && d != nil && d.Refuse == "" {
			return fmt.Sprintf("%s is a key of [[%s]]", key, t.Name)
		}
	}
	if d := s.index[key]; d != nil && name != listenKey {
		return fmt.Sprintf("%s is no key of [[%s]]: write it above the first table, where it is for the whole server", key, name)
	}
	return ""
}

// tableForm says how tables of a name are written.
func tableForm(name string) string {
	return fmt.Sprintf("write [[%s]], with two brackets, and its keys below it", name)
}

// errNoTable reports a table that is written as a value, or with one bracket.
func errNoTable(name string) error {
	if name == listenKey {
		return errors.New("settings for one port go into a [[listen]] block, with two brackets")
	}
	return errors.New(tableForm(name))
}

// tableKeys returns the available keys of each table.
func (s *Set) tableKeys() map[string][]Key {
	keys := make(map[string][]Key)
	for _, t := range s.tables {
		keys[t.Name] = slices.DeleteFunc(t.set.Keys(), func(k Key) bool { return k.Refuse != "" })
	}
	return keys
}
