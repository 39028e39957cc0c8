package stats

import (
	"errors"
	"fmt"
	"io"
)

// An Aim is what a measurement is to reach, and what was found.
type Aim struct {
	What, Found string
	Reached     bool
	Must        bool // or else something was lost, and the run has failed
}

// Aims are those of a page.
type Aims []Aim

// Add adds an aim.
func (list *Aims) Add(what, found string, reached, must bool) {
	*list = append(*list, Aim{What: what, Found: found, Reached: reached, Must: must})
}

// Verdict is an error if an aim that must be reached was not.
func (list Aims) Verdict() error {
	var errs []error
	for _, a := range list {
		if a.Must && !a.Reached {
			errs = append(errs, fmt.Errorf("%s: %s", a.What, a.Found))
		}
	}
	return errors.Join(errs...)
}

// Print writes a line each, for a terminal.
func (list Aims) Print(w io.Writer) {
	for _, a := range list {
		fmt.Fprintf(w, "%-11s  %s: %s\n", a.word(), a.What, a.Found)
	}
}

// Markdown writes a table.
func (list Aims) Markdown(w io.Writer) {
	fmt.Fprintln(w, "| aim | found | |\n|---|---|---|")
	for _, a := range list {
		fmt.Fprintf(w, "| %s | %s | %s |\n", a.What, a.Found, a.word())
	}
}

func (a Aim) word() string {
	if a.Reached {
		return "reached"
	}
	return "not reached"
}
