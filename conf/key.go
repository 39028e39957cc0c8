package conf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Key is one option: its name, its help, and how often and where it may be
// given. Only Name is required.
type Key struct {
	Name     string // letters, digits and underscores, as in Net::Server; no underscore first
	Group    string // its heading in help
	Arg      string // what help calls the value: N, PATH; "VALUE" if empty
	Default  string // used if no source sets the key and the variable is zero; one line per value of a list
	Help     string // what it does, in a sentence or two
	List     bool   // may be given several times
	Map      bool   // may hold named entries: a TOML table, or NAME=VALUE in other sources, where NAME has a dot
	Bool     bool   // may be given without a value, which means 1; set by Define for the Bool binder
	PerPort  bool   // also allowed in a [[listen]] block
	Inherits bool   // of a key of a Table: without a value of its own, the value around the table holds
	Required bool   // of a key of a Table: each such table has it
	Secret   bool   // its value is never printed
	// Show returns a value as Options prints it, for one that may hold a secret
	// by mistake; nil is as it is.
	Show   func(text string) string
	Refuse string // why the key is not available (yet); "" if it is

	// When says under which conditions the key has an effect; Result.Ineffective
	// finds keys that were given and have none. "" means not declared, and is
	// treated as Always.
	When When
	// NetServer marks a key of Net::Server: where Net::Server accepts a second
	// value or a key without effect, there is a warning instead of a problem.
	NetServer bool
	// Empty says what an empty value means. In a Set that is Strict, an empty
	// or blank value is a problem where it means nothing.
	Empty Empty
	// NotInFile marks a key that applies to a single run, and so is not
	// allowed in a conf file.
	NotInFile bool
	// Pick chooses among several values of a layer, for a key whose last value
	// does not simply win.
	Pick func([]Value) Value
}

// A Set holds the keys that a program knows, each bound to a variable. The
// zero Set is empty and ready to use. It may be used by one goroutine at a
// time; only Resolve and Apply write the variables.
type Set struct {
	// Unknown says how Resolve treats undefined keys.
	Unknown Unknown
	// StableFor is how long a conf file must have been unchanged before it is
	// read, so that a half-written file is never read. Zero reads it at once.
	StableFor time.Duration
	// Strict makes Resolve report likely mistakes: a single-valued key that
	// one layer gives twice, an empty value.
	Strict bool
	// Instead says what to write instead of names that other programs have, in
	// small letters without dashes and underscores: the hint of an unknown key,
	// and of a value that a key of that name cannot take.
	Instead map[string]string
	// Foreign tells whose file a conf file is that has something which is no key,
	// and what helps; nil for one that is nobody else's. What it returns takes the
	// place of the other problems of that file.
	Foreign func(path string, data []byte) error

	defs   []*def
	index  map[string]*def
	tables []table
	isSub  bool // its keys are those of a Table
}

// A def is a Key with what it is bound to.
type def struct {
	Key
	bind    Binder
	initial []string // the variable's value when the key was defined
	bound   bool     // a Resolve or Apply has written the variable
	inTable bool     // it is a key of a Table
}

// Define adds a key and binds it to a variable. The variable's present value
// is the key's default; if it is zero, k.Default is. A nil Binder is allowed
// only with k.Refuse. Define panics if the name is malformed or taken: two
// parts of a program claim one key, which no user can fix.
func (s *Set) Define(k Key, b Binder) {
	if !isWord(k.Name) || k.Name[0] == '_' {
		panic(fmt.Sprintf("conf: %q cannot be the name of a key", k.Name))
	}
	for _, d := range s.defs {
		// The environment ignores case.
		if strings.EqualFold(d.Name, k.Name) {
			panic(fmt.Sprintf("conf: key %s is defined twice", k.Name))
		}
	}
	if b == nil && k.Refuse == "" {
		panic(fmt.Sprintf("conf: key %s is bound to nothing", k.Name))
	}
	d := &def{Key: k, bind: b, inTable: s.isSub}
	if b != nil {
		d.initial = b.Texts()
		if _, ok := b.(boolBinder); ok {
			d.Bool = true
		}
	}
	if s.index == nil {
		s.index = make(map[string]*def)
	}
	s.index[k.Name] = d
	s.defs = append(s.defs, d)
}

// Lookup returns the key called name, and whether there is one.
func (s *Set) Lookup(name string) (Key, bool) {
	if d := s.index[name]; d != nil {
		return d.Key, true
	}
	return Key{}, false
}

// Keys returns all keys in the order of their definition.
func (s *Set) Keys() []Key {
	keys := make([]Key, len(s.defs))
	for i, d := range s.defs {
		keys[i] = d.Key
	}
	return keys
}

// names returns the available keys, for Nearest.
func (s *Set) names() []string {
	var names []string
	for _, d := range s.defs {
		if d.Refuse == "" {
			names = append(names, d.Name)
		}
	}
	return names
}

// fallback returns the key's values if no source sets it.
func (d *def) fallback() []Value {
	texts := d.initial
	switch {
	case len(texts) > 0 || d.Default == "":
	case d.List:
		texts = strings.Split(d.Default, "\n")
	default:
		texts = []string{d.Default}
	}
	vals := make([]Value, len(texts))
	for i, t := range texts {
		vals[i] = Value{Text: t}
	}
	return vals
}

// set stores vals in the key's variable.
func (d *def) set(vals []Value) error {
	d.bound = true
	err := d.bind.Set(vals)
	if err == nil {
		return nil
	}
	var all Problems
	all.add(err)
	for i, e := range all {
		all[i] = d.problem(e, vals)
	}
	return all
}

// problem turns a Binder's error into a Problem: it adds the key, the origin
// if the Binder left it out, and hides secrets.
func (d *def) problem(err error, vals []Value) *Problem {
	p := &Problem{Err: err}
	if given, ok := err.(*Problem); ok {
		c := *given
		p = &c
	}
	if p.Err == nil {
		p.Err = errors.New("it is not valid")
	}
	if p.Key == "" {
		p.Key = d.Name
	}
	if p.Origin == (Origin{}) {
		p.Origin = last(vals).Origin
		text := p.Err.Error()
		if i := slices.IndexFunc(vals, func(v Value) bool { return v.Origin.endsText(text) }); i >= 0 {
			p.Origin = vals[i].Origin
		}
	}
	if d.Secret {
		p.Err, p.Hint = hide(p.Err, vals), ""
	}
	return p
}

// hide returns err, or, if its text contains one of the values, an error that
// says only that the value is invalid.
func hide(err error, vals []Value) error {
	text := err.Error()
	shows := func(v Value) bool {
		return v.Text != "" && (strings.Contains(text, v.Text) || strings.Contains(text, quote(v.Text)))
	}
	if slices.ContainsFunc(vals, shows) {
		return fmt.Errorf("%s is not a valid value", masked)
	}
	return err
}

// masked stands for the value of a secret key.
const masked = "********"

// isWord reports whether s is one or more of what Perl calls word characters.
func isWord(s string) bool {
	for i := range len(s) {
		if !isWordByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isWordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
