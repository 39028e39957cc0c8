package conf

import (
	"errors"
	"fmt"
	"strings"
)

// repeats reports the single-valued keys that a layer gives more than once,
// with both places. It also checks keys that a stronger layer overrides: they
// would matter as soon as that layer is gone.
func (r *resolver) repeats(d *def, entries []Entry) {
	if !r.set.Strict || d.List {
		return
	}
	if d.Pick != nil {
		r.picked(d, entries)
		return
	}
	first := make(map[string]Origin) // by the name of the value
	for _, e := range entries {
		for _, v := range e.Values {
			at, again := first[v.Name]
			if !again {
				first[v.Name] = v.Origin
				continue
			}
			p := &Problem{Key: d.Name, Origin: v.Origin}
			what := "it is given twice, first"
			if v.Name != "" {
				what = quoteName(v.Name) + " is given twice, first"
			}
			p.Err = fmt.Errorf("%s at %s", what, at.Place())
			if d.NetServer {
				p.Hint = "the last one wins, as in Net::Server; remove the other"
				r.warnings.add(p)
				continue
			}
			p.Hint = "remove one of them"
			r.problems.add(p)
		}
	}
}

// picked warns of values that a key ignores in favour of another.
func (r *resolver) picked(d *def, entries []Entry) {
	var vals []Value
	for _, e := range entries {
		vals = append(vals, e.Values...)
	}
	if len(vals) < 2 {
		return
	}
	v := d.Pick(vals)
	r.warnings.add(&Problem{
		Key: d.Name, Origin: v.Origin,
		Err:  fmt.Errorf("of %s, %s is used", strings.Join(texts(vals), ", "), quote(v.Text)),
		Hint: "remove the others",
	})
}

// errNotInFile reports a key in a conf file that applies to a single run.
var errNotInFile = errors.New("it applies to a single run and is not allowed in a conf file; give it on the command line")

// quotes reports quoted values in sources that do not remove quotes: the
// quotes are part of the value, which is hardly intended. A quoted rule
// matches nobody.
func (r *resolver) quotes(d *def, vals []Value) error {
	if !r.set.Strict || d.When == "" {
		return nil // the program's own text
	}
	var problems Problems
	for _, v := range vals {
		if v.Origin.toml() || !inQuotes(v.Text) {
			continue
		}
		p := &Problem{Key: d.Name, Origin: v.Origin, Err: errors.New("the quotes are part of the value"), Hint: "leave them out"}
		if d.NetServer {
			r.warnings.add(p)
		} else {
			problems.add(p)
		}
	}
	return problems.err()
}

func inQuotes(text string) bool {
	if len(text) < 2 {
		return false
	}
	c := text[0]
	return (c == '"' || c == '\'') && text[len(text)-1] == c
}

// Empty says what an empty value of a key means.
type Empty int

const (
	EmptyIsWrong  Empty = iota // it is a mistake: a shell variable was not set
	EmptyTakesOff              // it removes what a weaker source sets; without such a source it is a mistake
	EmptyIsText                // it is a value like any other
)

// empties reports values that are empty or blank by mistake, and an empty list
// of ports, which would mean the default port. at is where the key is given;
// weaker says that a weaker source names the key too.
func (s *Set) empties(d *def, at Origin, vals []Value, weaker bool) error {
	if !s.Strict || d.Empty == EmptyIsText || d.Empty == EmptyTakesOff && weaker {
		return nil
	}
	var problems Problems
	if d.Name == portKey && len(vals) == 0 && at != (Origin{}) {
		problems.add(&Problem{Key: portKey, Origin: at, Err: errors.New("it is an empty list"), Hint: "name a port, or leave it out"})
	}
	for _, v := range vals {
		if strings.Trim(v.Text, blanks) != "" {
			continue
		}
		p := &Problem{Key: d.Name, Origin: v.Origin, Hint: "give it a value, or leave it out"}
		p.Err = errors.New("its value is empty")
		if v.Text != "" {
			p.Err = errors.New("its value is blank")
		}
		switch v.Origin.Source {
		case SourceArgs, SourceRun:
			p.Hint = "a shell variable was probably not set; " + p.Hint
		case SourceEnv:
			p.Hint = fmt.Sprintf("give %s a value, or unset it", v.Origin.File)
		}
		problems.add(p)
	}
	if len(problems) == 0 {
		return nil
	}
	return problems
}
