package supervisor

import (
	"fmt"
	"time"

	"netserver/daemon/internal/wire"
	"netserver/internal/proc"
)

// A worker that hangs keeps its link and its sockets, so that nothing but its
// silence tells. The supervisor sends each worker an echo now and then, which
// passes through the worker's link, its loop and its locks.
//
// Only time in which the supervisor itself ran counts: a suspended machine, or
// a stop of all processes, makes everybody silent alike.
type pulse struct {
	timer    *time.Timer
	last     time.Time
	step     time.Duration // that passed since the last look, as far as it counts
	awake    time.Duration // the sum of the steps
	answered time.Duration // awake, when a serving worker answered last
	withheld bool          // the service manager's watchdog was not told, which was logged
}

const (
	// patience is how many times worker_timeout a silent worker has that uses
	// the processor, or waits for it or a disk: it may be alive on a machine
	// that has too much to do.
	patience = 6
	// echoesInTimeout is how many looks there are in worker_timeout.
	echoesInTimeout = 5
	leastPulse      = 20 * time.Millisecond
)

// pulseEvery is the time between two looks; 0 is never.
func (s *supervisor) pulseEvery() time.Duration {
	every := s.conf.WorkerTimeout / echoesInTimeout
	if d := s.manager.Watchdog() / 4; d > 0 && every > 0 {
		every = min(every, d)
	}
	if every > 0 {
		every = max(every, leastPulse)
	}
	return every
}

// beginPulse looks after the workers from now on, by the configuration in
// force.
func (s *supervisor) beginPulse() {
	s.pulse.answered = s.pulse.awake
	s.schedulePulse()
}

func (s *supervisor) schedulePulse() {
	p := &s.pulse
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	every := s.pulseEvery()
	if every == 0 {
		return
	}
	p.last = time.Now()
	var t *time.Timer
	t = s.after(every, func() {
		if p.timer == t { // no other has taken its place
			s.look(every)
		}
	})
	p.timer = t
}

// look sends the echoes, and judges who has not answered.
func (s *supervisor) look(every time.Duration) {
	p := &s.pulse
	p.step = min(time.Since(p.last), every)
	p.awake += p.step
	for _, g := range s.gens {
		for w := range g.workers {
			s.lookAt(w)
		}
	}
	s.schedulePulse()
}

// An echoState is what a supervisor knows of a worker's answers.
type echoState struct {
	echoes  bool // the worker's program answers echoes
	waiting bool // for an answer
	id      uint64
	lasted  time.Duration
	cpu     time.Duration // that it had used when it became silent
	seen    bool          // cpu is known
	busy    bool          // it was, at some look since then
	traced  bool          // by a debugger, which was logged
}

func (s *supervisor) lookAt(w *child) {
	q := &w.echo
	switch {
	case w.gone:
	case !w.ready:
		// It does not listen yet, and may be at work for long: only a stop is
		// as good as a silence. The start of a generation has its own limit.
		q.lasted += s.pulse.step
		if a, _ := proc.ActivityOf(w.proc.Pid()); a.Stopped && a.Tracer == 0 {
			s.judge(w)
		} else if q.lasted >= startTime && w.gen.ready {
			s.hangs(w, fmt.Sprintf("is not ready %v after its start", startTime))
		}
	case !q.echoes:
	case !q.waiting:
		*q = echoState{echoes: true, waiting: true, id: q.id + 1, traced: q.traced}
		w.tell(wire.Message{Op: wire.OpEcho, ID: q.id})
	case w.busy.Load():
		// The supervisor reads a file for it: its answer may wait behind that.
	default:
		q.lasted += s.pulse.step
		s.judge(w)
	}
}

// judge ends a worker that has been silent for too long.
func (s *supervisor) judge(w *child) {
	q := &w.echo
	a, known := proc.ActivityOf(w.proc.Pid())
	if known && a.Tracer != 0 {
		if !q.traced {
			s.log.Warn(fmt.Sprintf("worker %d (pid %d) does not respond, but process %d is tracing it, so it is left alone", w.id, w.proc.Pid(), a.Tracer))
		}
		q.traced, q.lasted = true, 0
		s.pulse.answered = s.pulse.awake
		return
	}
	if why := q.verdict(a, known, s.conf.WorkerTimeout); why != "" {
		s.hangs(w, fmt.Sprintf("has not responded for %v: %s", q.lasted.Round(100*time.Millisecond), why))
	}
}

// verdict says why a silent worker is to be killed; "" if it is not, yet.
func (q *echoState) verdict(a proc.Activity, known bool, timeout time.Duration) (why string) {
	if known && !q.seen {
		q.cpu, q.seen = a.CPU, true
	}
	q.busy = q.busy || !known || a.Busy && !a.Stopped || a.CPU-q.cpu > q.lasted/20
	why = "it hangs"
	switch {
	case a.Stopped:
		why = "a signal stopped it"
	case q.busy:
		timeout *= patience
		why = "it hangs, or the machine is overloaded"
	}
	if q.lasted < timeout {
		return ""
	}
	return why
}

// hangs kills a worker; what follows is that of a crash.
func (s *supervisor) hangs(w *child, what string) {
	s.log.Error(fmt.Sprintf("worker %d (pid %d) %s; killing it", w.id, w.proc.Pid(), what))
	w.echo = echoState{}
	w.proc.Kill()
}

// echoed takes a worker's answer.
func (s *supervisor) echoed(w *child, id uint64) {
	q := &w.echo
	if !q.waiting || id != q.id {
		return
	}
	*q = echoState{echoes: true, id: q.id}
	if !w.leaving && !w.gen.leaving {
		s.pulse.answered = s.pulse.awake
	}
}

// answers reports whether any serving worker has answered lately, or need not:
// the service manager's watchdog is for the service, not for its supervisor.
func (s *supervisor) answers(within time.Duration) bool {
	p := &s.pulse
	if every := s.pulseEvery(); every == 0 || !s.serving || s.ending || p.awake-p.answered <= max(within, 2*every) {
		p.withheld = false
		return true
	}
	if !p.withheld {
		s.log.Error("no worker responds; no longer notifying the service manager's watchdog")
	}
	p.withheld = true
	return false
}
