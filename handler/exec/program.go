package exec

import (
	"log/slog"
	"sync"
	"time"
)

// A program is one running program, the leader of a process group of its own.
type program struct {
	pid    int
	exited chan struct{} // closed when it has ended and was reaped
	exit   exit          // how; set before exited is closed

	mu     sync.Mutex
	reaped bool // its number may belong to another process now
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

// groupProbe is how often we look whether what a program left running has
// ended too. The system tells of a process that is not our child in no other
// way.
const groupProbe = 20 * time.Millisecond

// end makes the program end, and with it its process group: at once if it
// obeys, and after grace if not. It returns when the program is reaped.
//
// released is closed when nobody has the program's standard error any more, or
// is nil. What is left of the group then is most often dead, and only waits for
// the system's init to reap it, which may take seconds.
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
// when t has something earlier or the program has ended and released is closed.
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
