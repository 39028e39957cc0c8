package daemon

import (
	"maps"
	"slices"

	"netserver/internal/control"
)

const maxPast = 1000

// tallies are counters by the name of their port.
type tallies map[string]*portCount

// add adds what a worker has counted on the ports of its plan.
func (t tallies) add(pl *plan, list []portCount) {
	for i, c := range list {
		name := pl.Ports[i].Spec.Short()
		if t[name] == nil && len(t) >= maxPast {
			name = "other ports"
		}
		sum := t.at(name)
		addCounts(sum.Outcomes, c.Outcomes)
		addCounts(sum.Refused, c.Refused)
	}
}

func (t tallies) at(name string) *portCount {
	if t[name] == nil {
		t[name] = &portCount{Outcomes: make(map[string]uint64), Refused: make(map[string]uint64)}
	}
	return t[name]
}

// listeners lists the counters: open ports in their order, then the others.
func (t tallies) listeners(open []string) []control.Listener {
	var list []control.Listener
	seen := make(map[string]bool)
	add := func(name string, open bool) {
		if seen[name] {
			return
		}
		seen[name] = true
		c := t.at(name)
		list = append(list, control.Listener{Port: name, Open: open, Outcomes: maps.Clone(c.Outcomes), Refused: maps.Clone(c.Refused)})
	}
	for _, name := range open {
		add(name, true)
	}
	for _, name := range slices.Sorted(maps.Keys(t)) {
		add(name, false)
	}
	return list
}
