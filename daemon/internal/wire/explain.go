package wire

import (
	"encoding/json"
	"errors"
	"fmt"

	"netserver/internal/control"
)

const (
	maxExplainedRows = 64      // limits, reasons and notes of a port
	maxReachable     = 10      // targets of a port
	maxWhy           = 2 << 10 // bytes of the reason for a route
)

// An Explained is what a port would do with a client, by the port's place.
type Explained struct {
	control.ExplainedPort
	Place int
}

// ExplainedPage returns of all rows the page that q asks for.
func ExplainedPage(all []Explained, q Ask) (a Answer) {
	size := 0
	for i := int(min(q.After, uint64(len(all)))); i < len(all); i++ {
		row := &all[i]
		if row.clean() != nil {
			continue
		}
		b, err := json.Marshal(row)
		if err != nil {
			continue
		}
		if size += len(b); len(a.Explained) == MaxPage || size > maxPageBytes && len(a.Explained) > 0 {
			a.More = true
			break
		}
		a.Explained = append(a.Explained, *row)
		a.Count = i + 1
	}
	return a
}

// check takes what a worker says of a port.
func (e *Explained) check(ports int) error {
	if e.Place < 0 || e.Place >= ports {
		return fmt.Errorf("port %d of %d", e.Place, ports)
	}
	e.Port, e.Workers = "", nil // ours to say
	return e.clean()
}

// clean makes what is said of a port text that can be shown, and looks at its
// bounds.
func (e *Explained) clean() error {
	if len(e.Refused) > maxExplainedRows || len(e.Notes) > maxExplainedRows || len(e.Limits) > maxExplainedRows || len(e.Targets) > maxReachable {
		return errors.New("too much of one")
	}
	texts := []*string{&e.Rule, &e.Name, &e.Backend}
	for _, list := range [][]string{e.Refused, e.Notes} {
		for i := range list {
			texts = append(texts, &list[i])
		}
	}
	if e.TLS != nil {
		texts = append(texts, &e.TLS.Certificate, &e.TLS.Rule)
	}
	for i := range e.Targets {
		texts = append(texts, &e.Targets[i].Target, &e.Targets[i].Address, &e.Targets[i].State)
	}
	var errs []error
	for i := range e.Limits {
		l := &e.Limits[i]
		texts = append(texts, &l.Key, &l.Unit)
		errs = append(errs, amount("value", &l.Value), amount("use", &l.Use))
	}
	for _, s := range texts {
		*s = Clean(*s, maxText)
	}
	if r := e.Route; r != nil {
		r.Name, r.Why = Clean(r.Name, maxText), Clean(r.Why, maxWhy)
	}
	if e.Penalty != nil {
		errs = append(errs, checkBoxed(e.Penalty))
	}
	return errors.Join(errs...)
}

// NamePorts says which ports the rows of an answer are of.
func (a *Answer) NamePorts(ports []string) {
	for i := range a.Explained {
		e := &a.Explained[i]
		if e.Place < len(ports) { // a process that serves alone has none before it serves
			e.Port = ports[e.Place]
		}
		none(&e.Refused)
		none(&e.Notes)
		none(&e.Limits)
		none(&e.Targets)
	}
}

// none makes no list an empty one.
func none[T any](list *[]T) {
	if *list == nil {
		*list = []T{}
	}
}
