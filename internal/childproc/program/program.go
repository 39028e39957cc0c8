package program

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// A Command is what to start: nothing of it is looked up any more.
type Command struct {
	Path string   // absolute
	Argv []string // with the program's own name in front
	Dir  string   // "" is the server's

	// Below is for systems that can, see Starter.Probe.

	Limits Limits
	Umask  *int      // nil is the server's
	User   *Identity // nil is the server's

	Terminal bool // descriptor 0 becomes its controlling terminal
	Cgroup   Cgroup
}

// A Starter starts programs. The zero Starter works, for any number of them at
// once.
type Starter struct {
	threads parent
	tally   tally
}

// A tally is what a Starter counts.
type tally struct{ started, succeeded, failed, killed atomic.Uint64 }

// Counts returns how many programs were started so far, and how many of them
// have ended: with status 0, with another, and by a signal.
func (s *Starter) Counts() (started, succeeded, failed, killed uint64) {
	t := &s.tally
	return t.started.Load(), t.succeeded.Load(), t.failed.Load(), t.killed.Load()
}

func (t *tally) ended(e Exit) {
	switch {
	case e.Signal != "":
		t.killed.Add(1)
	case e.Status == 0:
		t.succeeded.Add(1)
	default:
		t.failed.Add(1)
	}
}

// A Program is one running program, the leader of its own process group.
type Program struct {
	Pid    int
	Exited chan struct{} // closed when it has ended and was reaped
	Exit   Exit          // how; set before Exited is closed
	Usage  Usage         // what it has used; set before Exited is closed

	mu     sync.Mutex
	reaped bool   // its pid may belong to another process now
	onExit func() // called after Exited is closed, unless nil
	sys    process
	group  *group // nil is none of its own
}

// OnExit has f called, in a goroutine of its own, when the program has ended.
// It is called once at most for a Program.
func (p *Program) OnExit(f func()) {
	p.mu.Lock()
	p.onExit = f
	p.mu.Unlock()
	select {
	case <-p.Exited:
		p.tell()
	default:
	}
}

// tell calls what OnExit was given, once.
func (p *Program) tell() {
	p.mu.Lock()
	f := p.onExit
	p.onExit = nil
	p.mu.Unlock()
	if f != nil {
		go f()
	}
}

// An Exit is how a program ended.
type Exit struct {
	Status int    // -1 if by a signal
	Signal string // "" if by itself
}

// Attr is for the record of the program's client.
func (e Exit) Attr() slog.Attr {
	if e.Signal != "" {
		return slog.String("signal", e.Signal)
	}
	return slog.Int("exit", e.Status)
}

// A Usage is what a program has used, with those of its children that it has
// waited for.
type Usage struct {
	User, System time.Duration // CPU time
	MaxRSS       int64         // bytes of memory at most; 0 if not known
}

// Attrs are for the record of the program's client. CPU time is rounded to
// milliseconds.
func (u Usage) Attrs() []slog.Attr {
	a := []slog.Attr{
		slog.Duration("cpu_user", u.User.Round(time.Millisecond)),
		slog.Duration("cpu_system", u.System.Round(time.Millisecond)),
	}
	if u.MaxRSS > 0 {
		a = append(a, slog.Int64("max_rss", u.MaxRSS))
	}
	return a
}

// groupProbe is how often we check whether the processes left behind have
// ended. The system reports the end of processes that are not our children in
// no other way.
const groupProbe = 20 * time.Millisecond

// End terminates the program and its process group: at once if they obey TERM,
// and by KILL after grace. It returns when the program is reaped.
//
// released is closed when nobody has the program's standard error any more, or
// is nil. The rest of the group is then usually dead and only waits for init
// to reap it, which may take seconds.
func (p *Program) End(grace time.Duration, released <-chan struct{}) {
	if grace > 0 {
		p.terminate()
		t := time.NewTimer(grace)
		defer t.Stop()
		if p.awaitGroup(t.C, released) {
			return
		}
	}
	p.kill()
	<-p.Exited
}

// awaitGroup returns true when the program and its group have ended, and false
// if t fires first or the program has ended and released is closed.
func (p *Program) awaitGroup(t <-chan time.Time, released <-chan struct{}) bool {
	select {
	case <-p.Exited:
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

// startTime is how long a program is starting where the system does not tell
// what it does.
const startTime = 20 * time.Millisecond
