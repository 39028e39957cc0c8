package proxy

import (
	"fmt"
	"slices"
	"time"
)

// A TargetState tells how a target is, one address of it if it is a name.
type TargetState struct {
	Target  string // as it is configured
	Address string // what is connected to; "" if its name has no address yet
	Weight  int
	Max     int
	Backup  bool
	// State is up, down (a check or a client found it so, or Heed was told), drained, or unknown
	// (its name has no address yet).
	State   string
	Since   time.Time     // it is up, or down
	Reason  string        // why it is down or unknown
	Checked string        // the last check: ok, or what failed; "" if there was none
	Clients int           // that it has now
	Total   uint64        // connected so far
	Failed  uint64        // connections of clients to it that failed
	Connect time.Duration // how long connecting took of late
	Checks  uint64        // so far, tries whether one that failed is back among them
	Faults  uint64        // of them: those that it failed
}

// List tells how each target is. It may be called at any time.
func (b *Backend) List() []TargetState {
	if b.init() != nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []TargetState
	for _, s := range b.sources {
		if len(s.endpoints) == 0 {
			t := TargetState{Target: s.Address, Weight: max(1, s.Weight), Max: s.Max, Backup: s.Backup, State: "unknown"}
			if s.names.err != nil {
				t.Reason = s.names.err.Error()
			}
			list = append(list, t)
		}
		for _, ep := range s.endpoints {
			if ep.listed {
				list = append(list, ep.report())
			}
		}
	}
	return list
}

// A ConnectTimes is a histogram of how long connecting clients to a target took,
// in the buckets of Prometheus's native histograms with schema 3. Its slices are
// the caller's.
type ConnectTimes struct {
	Target string   // as it is configured, whatever addresses it has
	Sum    float64  // of all, in seconds
	Zero   uint64   // those that took 2^-20 seconds at most
	Index  []int    // the buckets that have any, in rising order: i ends at 2^(i/8) seconds
	N      []uint64 // how many are in each of them
}

// ConnectTimes returns those of all targets that clients were connected to. They
// count for as long as the target is one of b's. It may be called at any time.
func (b *Backend) ConnectTimes() (list []ConnectTimes) {
	if b.init() != nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.sources {
		if h := s.times.Load(); h != nil {
			got := h.Sparse()
			list = append(list, ConnectTimes{Target: s.Address, Sum: got.Sum, Zero: got.Zero, Index: got.Index, N: got.N})
		}
	}
	return list
}

// report tells how ep is. Call it with the Backend's mutex held.
func (ep *endpoint) report() TargetState {
	t := TargetState{
		Target: ep.from.Address, Address: ep.shortName(),
		Weight: int(ep.weight), Max: ep.max, Backup: ep.backup,
		State: "up", Since: ep.since, Reason: ep.reason,
		Clients: int(ep.active.Load()), Total: ep.total.Load(), Failed: ep.misses.Load(),
		Connect: time.Duration(ep.took.Load()).Round(time.Microsecond),
		Checks:  ep.checks.Load(), Faults: ep.faults.Load(),
	}
	switch {
	case ep.drain:
		t.State = "drained"
	case !ep.isUp():
		t.State = "down"
	}
	if ep.health.checked {
		if t.Checked = ep.health.err; t.Checked == "" {
			t.Checked = "ok"
		}
	}
	return t
}

// Add adds a target while b is in use, or takes one back that was drained or
// removed. It lasts as long as b.
func (b *Backend) Add(t Target) error {
	if err := b.init(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.removed[t.Address] || b.drained[t.Address]
	delete(b.removed, t.Address)
	delete(b.drained, t.Address)
	switch {
	case known:
		b.arrange()
		return nil
	case slices.ContainsFunc(b.sources, func(s *source) bool { return s.Address == t.Address }):
		return fmt.Errorf("%s has target %s already", b.title(), printable(t.Address))
	}
	list := make([]Target, 0, len(b.sources)+1)
	for _, s := range b.sources {
		list = append(list, s.Target)
	}
	if at, err := b.setTargets(append(list, t)); err != nil {
		return fmt.Errorf("target %s: %w", at, err)
	}
	b.added = append(b.added, t)
	return nil
}

// Drain gives a target no more clients; those it has stay. name is its Address,
// or one of its addresses as List tells them.
func (b *Backend) Drain(name string) error { return b.withdraw(name, &b.drained) }

// Remove takes a target away; clients that it has stay. name is as for Drain.
func (b *Backend) Remove(name string) error { return b.withdraw(name, &b.removed) }

// withdraw notes name in from, a map that init makes.
func (b *Backend) withdraw(name string, from *map[string]bool) error {
	if err := b.init(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	known := slices.ContainsFunc(b.sources, func(s *source) bool { return s.Address == name }) ||
		slices.ContainsFunc(b.order, func(ep *endpoint) bool { return ep.shortName() == name })
	if !known || b.removed[name] {
		return fmt.Errorf("%s has no target %s", b.title(), printable(name))
	}
	(*from)[name] = true
	b.arrange()
	return nil
}
