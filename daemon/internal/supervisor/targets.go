package supervisor

import (
	"time"

	"netserver/daemon/internal/wire"
)

// maxChanges bounds the changes of targets that are kept; nobody makes so many
// between two reloads.
const maxChanges = 4096

// Remember keeps a change of a backend's targets for the workers that start
// later, until a reload brings another configuration.
func (s *supervisor) Remember(q wire.Ask) {
	s.do(func() {
		now := s.servingNow()
		if s.changedIn != now {
			s.changedIn, s.changes = now, nil
		}
		kept := s.changes[:0]
		for _, c := range s.changes {
			if c.Backend != q.Backend || c.Target != q.Target { // the last word on a target counts
				kept = append(kept, c)
			}
		}
		if s.changes = kept; len(kept) < maxChanges {
			s.changes = append(s.changes, q)
		}
	})
}

// servingNow returns the newest generation that serves, nil if none does.
func (s *supervisor) servingNow() (now *generation) {
	for _, g := range s.gens {
		if g.ready {
			now = g
		}
	}
	return now
}

// tellChanges tells a worker that has just started what was changed before.
func (s *supervisor) tellChanges(w *child) {
	if w.gen != s.changedIn {
		return
	}
	for _, q := range s.changes {
		w.tell(wire.Message{Op: wire.OpAsk, ID: w.asks.add(time.Now(), q, make(chan wire.Answer, 1)), Ask: &q})
	}
}
