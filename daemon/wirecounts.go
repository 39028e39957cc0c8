package daemon

import (
	"fmt"
)

// takeCounts takes what a worker has counted, of ports that it has.
func takeCounts(s *source, from, to *message) error {
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
	if c.First < 0 || c.First > s.ports || len(c.Ports) > s.ports-c.First {
		return fmt.Errorf("%d ports from number %d on, and it has %d", len(c.Ports), c.First, s.ports)
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
	if len(m) > maxCounted {
		return fmt.Errorf("%d counters of one port", len(m))
	}
	for name, n := range m {
		switch {
		case name == "" || len(name) > maxCountName || !plain(name):
			return fmt.Errorf("a counter named %q", clean(name, maxCountName))
		case n > maxTally:
			return fmt.Errorf("counter %q is %d", name, n)
		}
	}
	return nil
}
