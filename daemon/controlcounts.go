package daemon

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"netserver"
	"netserver/internal/admit"
	"netserver/internal/control"
)

// counts are what ports have counted, from the First one on, as many as go
// into one message.
type counts struct {
	First int
	Ports []portCount
}

// A portCount is what became of a port's clients; names without any are left
// out.
type portCount struct {
	Outcomes, Refused map[string]uint64
}

const (
	countsAtOnce = 32 // ports in a message: less than a KiB each
	maxCounted   = 64 // names that a port can have; more are not believed
	maxCountName = 40 // bytes of one
	maxPast      = 1000
	// countTime is how long what a worker has counted may be unknown to its
	// supervisor, and lost if it is killed.
	countTime = 5 * time.Second
)

// countsOf returns the counters of a Serve, in the order of its listeners.
func countsOf(st netserver.Stats) []portCount {
	list := make([]portCount, len(st.Ports))
	for i, p := range st.Ports {
		list[i] = portCount{Outcomes: make(map[string]uint64), Refused: make(map[string]uint64)}
		for o, n := range p.Outcomes {
			if n > 0 {
				list[i].Outcomes[netserver.Outcome(o).String()] = n
			}
		}
		for r, n := range p.Refused {
			if n > 0 {
				list[i].Refused[admit.Reason(r).String()] = n
			}
		}
	}
	return list
}

// sendCounts sends the supervisor what this worker has counted.
func (w *worker) sendCounts(st netserver.Stats) {
	list := countsOf(st)
	for first := 0; first < len(list) || first == 0; first += countsAtOnce {
		c := &counts{First: first, Ports: list[first:min(first+countsAtOnce, len(list))]}
		send(w.link, message{Op: opCounts, Counts: c, Status: w.status()})
	}
}

// count sends them now and then, if they have changed, until done is closed:
// what a worker has counted that is killed should not be lost.
func (w *worker) count(done <-chan struct{}) {
	t := time.NewTicker(countTime)
	defer t.Stop()
	var sent string
	for {
		select {
		case <-t.C:
			st := w.p.server.Stats()
			b, _ := json.Marshal([]any{countsOf(st), w.status()})
			if string(b) != sent {
				w.sendCounts(st)
				sent = string(b)
			}
		case <-done:
			return
		}
	}
}

// answer answers what the supervisor asks for the control socket.
func (w *worker) answer(c message) {
	if c.Ask == nil {
		return
	}
	if c.Ask.What == askStats {
		w.sendCounts(w.p.server.Stats()) // before: who has the answer has these
	}
	a := answerTo(w.p.server, w.p.conf.handlerName(w.v.server != nil), *c.Ask)
	send(w.link, message{Op: opAnswer, ID: c.ID, Answer: &a})
}

// hearCounts takes what a worker has counted.
func (s *supervisor) hearCounts(w *child, m message) {
	if m.Status != nil {
		s.hearStatus(w, *m.Status)
	}
	c := m.Counts
	if c == nil {
		return
	}
	if w.counts == nil {
		w.counts = make([]portCount, len(w.gen.plan.Ports))
	}
	copy(w.counts[min(c.First, len(w.counts)):], c.Ports)
}

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

// addCounts adds up counters by name. Those of this version always have room:
// a worker's inventions must not take it.
func addCounts(sum, c map[string]uint64) {
	for name, n := range c {
		if _, ok := sum[name]; !ok && !isCounter(name) && len(sum) >= maxCounted {
			continue
		}
		sum[name] += n
	}
}

// isCounter reports whether this version counts something under a name.
func isCounter(name string) bool {
	for o := range netserver.Outcomes {
		if o.String() == name {
			return true
		}
	}
	for r := range admit.Reasons {
		if r.String() == name {
			return true
		}
	}
	return false
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

// tally adds up what all workers have counted, those that have ended among
// them.
func (s *supervisor) tally() tallies {
	sum := make(tallies)
	for name, c := range s.past {
		*sum.at(name) = portCount{Outcomes: maps.Clone(c.Outcomes), Refused: maps.Clone(c.Refused)}
	}
	for _, g := range s.gens {
		for w := range g.workers {
			sum.add(g.plan, w.counts)
		}
	}
	return sum
}

// portNames returns the names of a plan's ports.
func (p *plan) portNames() []string {
	names := make([]string, len(p.Ports))
	for i, r := range p.Ports {
		names[i] = r.Spec.Short()
	}
	return names
}
