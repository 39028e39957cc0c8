package exec

import (
	"log/slog"
	"sync"
	"time"
)

// A program is one running program, the leader of its own process group.
type program struct {
	pid    int
	exited chan struct{} // closed when it has ended and was reaped
	exit   exit          // how; set before exited is closed

	mu     sync.Mutex
	reaped bool // its pid may belong to another process now
	sys    process
}

// An exit is how a program ended.
type exit struct {
	status int    // -1 if by a signal
	signal string // "" if by itself
}

func (e exit) attr() slog.Attr {
	if e.signal != "" {
		return slog.String("signal", e.signal)
	}
	return slog.Int("exit", e.status)
}

// err returns nil for status 0.
func (e exit) err() error {
	if e.status == 0 {
		return nil
	}
	return &ExitError{Status: e.status, Signal: e.signal}
}

// groupProbe is how often we check whether the processes left behind have
// ended. The system reports the end of processes that are not our children in
// no other way.
const groupProbe = 20 * time.Millisecond

// end terminates the program and its process group: at once if they obey TERM,
// and by KILL after grace. It returns when the program is reaped.
//
// released is closed when nobody has the program's standard error any more, or
// is nil. The rest of the group is then usually dead and only waits for init
// to reap it, which may take seconds.
func (p *program) end(grace time.Duration, released <-chan struct{}) {
	if grace > 0 {
		p.terminate()
		t := time.NewTimer(grace)
		defer t.Stop()
		if p.awaitGroup(t.C, released) {
			return
		}
	}
	p.kill()
	<-p.exited
}

// awaitGroup returns true when the program and its group have ended, and false
// if t fires first or the program has ended and released is closed.
func (p *program) awaitGroup(t <-chan time.Time, released <-chan struct{}) bool {
	select {
	case <-p.exited:
	case <-t:
		return false
	}
	if !p.groupAlive() {
		return true
	}
	probe := time.NewTicker(groupProbe)
	defer probe.Stop()
	for p.groupAlive() {
		select {
		case <-probe.C:
		case <-released:
			return false
		case <-t:
			return false
		}
	}
	return true
}
