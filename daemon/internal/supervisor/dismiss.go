package supervisor

import (
	"fmt"
	"time"

	"netserver/daemon/internal/wire"
)

// dismissTime is how long a worker that got TERM waits for its successor: who
// ends the server with a signal to every process ends the supervisor with it.
const dismissTime = 50 * time.Millisecond

// dismiss replaces a worker that a signal ends.
func (s *supervisor) dismiss(w *child) {
	if w.dismissed || w.leaving || !w.ready {
		return
	}
	w.dismissed, w.leaving = true, true
	s.after(dismissTime, func() {
		g := w.gen
		if s.ending || g.leaving || g.failed {
			return
		}
		s.log.Warn(fmt.Sprintf("worker %d (pid %d) was ended by a signal; starting a replacement", w.id, w.proc.Pid()),
			"generation", g.id, "clients at last report", w.status.Clients)
		s.countFailure(w)
		if !w.gone {
			s.killLater(w, wire.EndTime+g.conf.Grace+g.conf.GraceSpread)
		}
		s.manage(g)
	})
}

// countFailure counts an early end of a worker, so that those which follow one
// another quickly are started later and later.
func (s *supervisor) countFailure(w *child) {
	g := w.gen
	if time.Since(w.began) > steady {
		g.failures = 0
	}
	g.failures++
}

// maxOwnLeaving is how many workers may be leaving by their own word, beyond
// as many as the generation has; before there are more, clients of the oldest
// get the grace time.
const maxOwnLeaving = 16

// boundLeaving keeps the number of leaving workers bounded, whatever they say.
func (s *supervisor) boundLeaving(g *generation) {
	n := 0
	for _, w := range g.sorted() {
		if w.leaving && !w.dismissed && w.kill == nil {
			n++
		}
	}
	for _, w := range g.sorted() {
		if n <= g.scale.Max+maxOwnLeaving {
			return
		}
		if w.leaving && !w.dismissed && w.kill == nil {
			s.finish(w, false)
			n--
		}
	}
}
