package daemon

import (
	"fmt"
	"os"
	"time"

	"netserver/daemon/internal/wire"
	"netserver/internal/proc"
)

// A signal that was meant for the supervisor often reaches a worker: pidof and
// pgrep name both, and the newest first. A worker ignores those that only a
// supervisor obeys. TERM and INT end the worker that gets them: its clients
// have the grace time, and the supervisor starts another at once.

// signalled acts on a signal in a worker.
func (w *worker) signalled(s os.Signal) {
	switch {
	case !proc.IsStop(s):
		w.ignore(s)
	case w.dismissed:
		w.p.engine().Stop()
	default:
		w.dismissed = true
		w.setLeaving()
		wire.Send(w.link, wire.Message{Op: wire.OpDismissed})
		w.drain()
	}
}

// ignore says once of each signal that it was not for a worker.
func (w *worker) ignore(s os.Signal) {
	if w.ignored[s] {
		return
	}
	if w.ignored == nil {
		w.ignored = make(map[os.Signal]bool)
	}
	w.ignored[s] = true
	passed, _ := w.p.conf.Process.passed()
	for _, p := range passed {
		if p == s {
			return // for the program's own handler
		}
	}
	notice(w.log, fmt.Sprintf("worker %d (pid %d) ignores SIG%s: it is for the supervisor, pid %d", w.init.Worker, os.Getpid(), proc.SignalName(s), os.Getppid()))
}

func (w *worker) setLeaving() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leaving = true
}

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
		s.log.Warn(fmt.Sprintf("worker %d (pid %d) was ended by a signal; another takes its place", w.id, w.proc.Pid()),
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
		if n <= g.scale.max+maxOwnLeaving {
			return
		}
		if w.leaving && !w.dismissed && w.kill == nil {
			s.finish(w, false)
			n--
		}
	}
}
