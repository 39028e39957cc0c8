package wire

import (
	"fmt"
	"maps"
	"slices"

	"netserver"
	"netserver/internal/bridge"
	"netserver/outcome"
)

// takeCounts takes what a worker has counted, of ports that it has.
func takeCounts(s *Peer, from, to *Message) error {
	to.Status, to.Counts = from.Status, from.Counts
	if to.Status != nil {
		if err := to.Status.check(); err != nil {
			return err
		}
	}
	c := to.Counts
	if c == nil {
		return nil
	}
	if c.First < 0 || c.First > s.Ports || len(c.Ports) > s.Ports-c.First {
		return fmt.Errorf("%d ports from number %d on, of %d", len(c.Ports), c.First, s.Ports)
	}
	for _, p := range c.Ports {
		for _, m := range []map[string]uint64{p.Outcomes, p.Refused} {
			if err := checkCounters(m); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkCounters(m map[string]uint64) error {
	if len(m) > MaxCounted {
		return fmt.Errorf("%d counters of one port", len(m))
	}
	for name, n := range m {
		switch {
		case name == "" || len(name) > maxCountName || !plain(name):
			return fmt.Errorf("a counter named %q", Clean(name, maxCountName))
		case n > MaxTally:
			return fmt.Errorf("counter %q is %d", name, n)
		}
	}
	return nil
}

// Counts are what ports have counted, from the First one on, as many as go
// into one message.
type Counts struct {
	First int
	Ports []PortCount
}

// A PortCount is what became of a port's clients; names without any are left
// out.
type PortCount struct {
	Outcomes, Refused map[string]uint64
}

const (
	// MaxCounted is how many names a port's counters can have; more are not
	// believed.
	MaxCounted   = 64
	maxCountName = 40 // bytes of one
)

// CountsOf returns the counters of a Serve, in the order of its listeners.
func CountsOf(st netserver.Stats) []PortCount {
	list := make([]PortCount, len(st.Ports))
	for i, p := range st.Ports {
		list[i] = PortCount{Outcomes: make(map[string]uint64), Refused: make(map[string]uint64)}
		for o, n := range p.Outcomes {
			if n > 0 {
				list[i].Outcomes[outcome.Class(o).String()] = n
			}
		}
		maps.Copy(list[i].Refused, p.Refused)
	}
	return list
}

// AddCounts adds up counters by name. Those of this version always have room:
// a worker's inventions must not take it.
func AddCounts(sum, c map[string]uint64) {
	for name, n := range c {
		if _, ok := sum[name]; !ok && !isCounter(name) && len(sum) >= MaxCounted {
			continue
		}
		sum[name] += n
	}
}

// isCounter reports whether this version counts something under a name.
func isCounter(name string) bool {
	for o := range outcome.Count {
		if o.String() == name {
			return true
		}
	}
	return slices.Contains(bridge.Of(new(netserver.Server).Monitor()).LimitKeys(), name)
}
