package worker

import (
	"fmt"
	"os"
	"slices"

	"netserver/daemon/internal/logging"
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
	if slices.Contains(w.conf.Passed, s) {
		return // for the program's own handler
	}
	logging.Notice(w.log, fmt.Sprintf("worker %d (pid %d) ignores SIG%s: it is for the supervisor, pid %d", w.init.Worker, os.Getpid(), proc.SignalName(s), os.Getppid()))
}

func (w *worker) setLeaving() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leaving = true
}
