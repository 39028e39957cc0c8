package daemon

import (
	"os"
	"os/signal"
	"sync"

	"netserver/daemon/internal/wire"
	"netserver/internal/proc"
)

// Signals are taken from the first moment on: a HUP that comes while the
// configuration is being read must not end the program, and is obeyed when it
// serves. TERM, INT and QUIT end it at once until then, whatever it waits for.
type earlySignals struct {
	c       chan os.Signal
	over    chan struct{} // closed when somebody else takes them
	ended   chan struct{} // closed when obey has returned
	once    sync.Once
	pending []os.Signal
	role    string
}

// maxSignals is how many signals wait to be obeyed.
const maxSignals = 64

func takeSignals(role string) *earlySignals {
	e := &earlySignals{c: make(chan os.Signal, maxSignals), over: make(chan struct{}), ended: make(chan struct{}), role: role}
	signal.Notify(e.c, proc.ServerSignals()...)
	if role == wire.RoleWorker || role == wire.RoleBecome {
		close(e.ended) // they wait until it serves
		return e
	}
	go e.obey()
	return e
}

func (e *earlySignals) obey() {
	defer close(e.ended)
	for {
		select {
		case s := <-e.c:
			switch {
			case proc.IsStop(s) || s == proc.DrainSignal && e.role != wire.RoleCheck:
				proc.DieOf(s, wire.ExitFailed)
			case len(e.pending) < maxSignals/2:
				e.pending = append(e.pending, s)
			}
		case <-e.over:
			return
		}
	}
}

// take returns the channel of signals, with those that have come.
func (e *earlySignals) take() chan os.Signal {
	e.once.Do(func() { close(e.over) })
	<-e.ended
	for _, s := range e.pending {
		select {
		case e.c <- s:
		default: // more have come than anybody means
		}
	}
	e.pending = nil
	return e.c
}

// end gives the signals back to the system.
func (e *earlySignals) end() {
	signal.Stop(e.c)
	e.take()
}
