package conf

import (
	"errors"
	"fmt"
	"strings"
)

// repeats reports the single-valued keys that a layer gives more than once,
// naming both places. It looks at layers that a stronger one covers as well:
// they would matter as soon as that is taken away.
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
			if d.Theirs {
				p.Hint = "the last one holds, as with Net::Server; remove the other"
				r.warnings.add(p)
				continue
			}
			p.Hint = "remove one of them"
			r.problems.add(p)
		}
	}
}

// picked warns of values that a key does not take because it takes another.
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

// errNotInFile is the fault of a key that asks something of one run.
var errNotInFile = errors.New("it asks something of one run, and cannot stand in a conf file; give it on the command line")

// quotes looks for values in quotes where nothing takes those off: they belong
// to the value, which is hardly what was meant. A rule in quotes matches
// nobody.
func (r *resolver) quotes(d *def, vals []Value) error {
	if !r.set.Strict || d.When == "" {
		return nil // a text of the program's own
	}
	var problems Problems
	for _, v := range vals {
		if v.Origin.toml() || !inQuotes(v.Text) {
			continue
		}
		p := &Problem{Key: d.Name, Origin: v.Origin, Err: errors.New("the quotes are a part of the value"), Hint: "leave them out"}
		if d.Theirs {
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

// Empty is what an empty value of a key means.
type Empty int

const (
	EmptyIsWrong  Empty = iota // nothing: a shell variable was not set
	EmptyTakesOff              // that what a weaker source gives does not hold; without such a source it is wrong
	EmptyIsText                // it is a value as others are
)

// empties reports values that are empty or blank where that means nothing, and
// an empty list of ports, which would be the default port. at is where the key
// is given; weaker says that a weaker source names the key as well.
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
