package wire

import (
	"maps"
	"slices"

	"netserver/internal/control"
)

// maxPast is how many ports are told apart; those of past generations add up.
const maxPast = 1000

// Tallies are counters by the name of their port.
type Tallies map[string]*PortCount

// Add adds what a worker has counted on the ports of its plan.
func (t Tallies) Add(pl *Plan, list []PortCount) {
	for i, c := range list {
		sum := t.At(t.Known(pl.Ports[i].Spec.Short()))
		AddCounts(sum.Outcomes, c.Outcomes)
		AddCounts(sum.Refused, c.Refused)
	}
}

// Known returns the name under which a port is counted.
func (t Tallies) Known(name string) string {
	if t[name] == nil && len(t) >= maxPast {
		return "other ports"
	}
	return name
}

// At returns the counters of a port, which it adds.
func (t Tallies) At(name string) *PortCount {
	if t[name] == nil {
		t[name] = &PortCount{Outcomes: make(map[string]uint64), Refused: make(map[string]uint64)}
	}
	return t[name]
}

// Listeners lists the counters: open ports in their order, then the others.
func (t Tallies) Listeners(open []string) []control.Listener {
	var list []control.Listener
	seen := make(map[string]bool)
	add := func(name string, open bool) {
		if seen[name] {
			return
		}
		seen[name] = true
		c := t.At(name)
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
