package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"time"

	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/internal/identity"
	"netserver/internal/metric"
	"netserver/internal/proc"
	"netserver/internal/systemd"
)

// A supervisor opens the ports, reads secrets, keeps its identity and has
// workers serve. One goroutine, in loop, owns all fields; others hand it
// functions by post.
type supervisor struct {
	o      *Options
	conf   *Settings // that is in force
	log    *slog.Logger
	opened *logging.Log
	output *logging.Collector // of the processes that it starts
	calls  chan func()
	quit   chan struct{} // closed when the loop has ended

	manager *systemd.Manager // nil is none
	left    leftovers
	pulse   pulse

	socks      map[string]*socket // by keysOf
	gens       []*generation      // oldest first
	jobs       jobList
	start      func(*generation) error // spawn, but for tests
	epochs     epochs                  // of ticket keys
	selfSigned []byte                  // PEM, made when it is first needed
	ordering   ordering                // of certificates

	nextGen, nextWorker int
	began               time.Time
	total               uint64 // clients of workers that have ended
	restarts, crashes   int
	more                int // what TTIN and TTOU add to max_servers

	changes   []wire.Ask  // of targets, by ctl
	changedIn *generation // the one they were made in

	admin           *adminProcess   // nil: there is no admin listener
	cluster         *clusterProcess // nil: nothing is shared
	reloads         reloads
	past            wire.Tallies // what workers that have ended had counted
	pastMetrics     metric.Set
	ending, cutting bool
	err             error // why it ends
	serving         bool  // a generation has become ready
}

// Run opens the ports of a plan and has workers serve until the end of
// the server. It returns the exit status, and an error that nobody has been
// told.
func Run(ctx context.Context, o *Options, first *Settings, pl *wire.Plan, contents map[string][]byte) (int, error) {
	s := &supervisor{
		o: o, conf: first, calls: make(chan func(), 16), quit: make(chan struct{}),
		manager: systemd.ManagerOf(o.Environ),
		socks:   make(map[string]*socket), began: time.Now(), past: make(wire.Tallies),
	}
	s.start = s.spawn
	defer proc.SurviveBrokenPipes()() // until the log is written
	endLog, err := s.openLog()
	if err != nil {
		return wire.ExitUsage, o.TellFront(err)
	}
	defer endLog()
	release, err := o.HoldPIDFile(s.log)
	if err != nil {
		return wire.ExitFailed, o.TellFront(logging.Error(s.log, err))
	}
	defer release()
	s.left.adopted = childproc.TakeOrphans(s.quit) == nil
	defer s.left.sweeps.Wait()
	if m := first.Umask; m != nil {
		identity.SetUmask(*m)
	}
	endControl, err := o.OpenControl(ctx, s.log, &Controlled{s, make(chan struct{}, 1)})
	if err != nil {
		return wire.ExitFailed, o.TellFront(logging.Error(s.log, err))
	}
	defer endControl()
	if len(first.Passed) > 0 { // none would mean all
		signal.Notify(o.Signals, first.Passed...)
	}
	logging.Notice(s.log, fmt.Sprintf("%s starting! pid(%d)", first.Label, os.Getpid()))
	if err := s.beginFirst(ctx, pl, contents); err != nil {
		s.endHelpers()
		s.closeSockets(nil)
		return wire.ExitFailed, o.TellFront(logging.Error(s.log, err))
	}
	// What reading the configuration took is not needed again, and what comes
	// is little: memory matters more than the CPU that saving it takes.
	contents, pl = nil, nil
	defer debug.SetGCPercent(debug.SetGCPercent(supervisorGC))
	s.loop(ctx, o.Signals)
	return s.result()
}

// beginFirst takes what the service manager gives, and begins the first
// generation.
func (s *supervisor) beginFirst(ctx context.Context, pl *wire.Plan, contents map[string][]byte) (err error) {
	if needsSelfSigned(pl) {
		if s.selfSigned, err = newSelfSigned(time.Now()); err != nil {
			return err
		}
	}
	given, err := systemd.Activated(s.o.Environ)
	if err != nil {
		return err
	}
	if err := s.activate(pl, given); err != nil {
		return err
	}
	if err := s.beginAdmin(ctx, pl); err != nil {
		return err
	}
	if err := s.beginCluster(pl); err != nil {
		return err
	}
	return s.begin(ctx, s.conf, pl, contents)
}

// endHelpers ends the processes that serve no clients.
func (s *supervisor) endHelpers() {
	s.cluster.end()
	s.admin.end()
}

// openLog opens the log. What the workers log comes to it through pipes.
func (s *supervisor) openLog() (func(), error) {
	var err error
	if s.opened, err = s.conf.Log.Open(s.o.Stderr); err != nil {
		return nil, err
	}
	s.log = s.opened.Logger
	s.output = s.opened.Collect(os.Stdout, s.o.stderrFile())
	stop := make(chan struct{})
	go s.opened.Follow(stop, func() {
		select {
		case s.calls <- s.reopen:
		case <-s.quit:
		case <-stop:
		}
	})
	return func() { close(stop); s.output.Close(); s.opened.Close() }, nil
}

// post has the loop call f.
func (s *supervisor) post(f func()) {
	select {
	case s.calls <- f:
	case <-s.quit:
	}
}

// after has the loop call f later.
func (s *supervisor) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() { s.post(f) })
}

// loop does everything that happens until the last worker is gone.
func (s *supervisor) loop(ctx context.Context, signals <-chan os.Signal) {
	done := ctx.Done()
	s.watchdog()
	s.watchPorts()
	for !s.ending || s.count() > 0 || len(s.jobs.running) > 0 {
		select {
		case f := <-s.calls:
			f()
		case sig := <-signals:
			s.obey(sig)
		case <-done:
			done = nil
			logging.Notice(s.log, fmt.Sprintf("shutting down: no new clients; current ones have %s", wire.GraceText(s.conf.Grace)))
			s.end(false)
		}
	}
	close(s.quit)
	s.endHelpers()
	s.endOrdering()
	s.closeSockets(nil)
	for _, g := range s.gens {
		g.close()
	}
	s.call(s.o.Ended)
	logging.Notice(s.log, "Server closing!")
}

func (s *supervisor) result() (int, error) {
	switch {
	case s.err == nil:
		return wire.ExitDone, nil
	case !s.serving:
		return wire.ExitFailed, s.o.TellFront(logging.AsLogged(s.err))
	}
	return wire.ExitFailed, logging.AsLogged(s.err)
}

// count is how many workers there are.
func (s *supervisor) count() (n int) {
	for _, g := range s.gens {
		n += len(g.workers)
	}
	return n
}

func (s *supervisor) call(f func()) {
	if f != nil {
		f()
	}
}

// end lets the workers end, with time for their clients or at once.
func (s *supervisor) end(cut bool) {
	if s.cutting {
		return
	}
	if !s.ending {
		s.tellManager(systemd.StoppingLines(s.conf.Grace + s.conf.GraceSpread + 2*wire.EndTime)...)
		s.call(s.o.Ending)
	}
	s.ending, s.cutting = true, cut
	s.reloads.none()
	s.endJobs(cut)
	s.reloads.checkers.end()
	// The workers have the ports too, and empty their queues before they
	// close them; ours must not keep them open.
	s.closeSockets(nil)
	for _, g := range s.gens {
		g.stopTimers()
		for w := range g.workers {
			s.finish(w, cut)
		}
	}
}

const (
	startEndTime = 3 * time.Second
)

// finish has one worker drain, or stop.
func (s *supervisor) finish(w *child, cut bool) {
	limit := wire.EndTime
	op := wire.OpStop
	if !cut {
		op, limit = wire.OpDrain, wire.EndTime+w.gen.conf.Grace+w.gen.conf.GraceSpread
	}
	if !w.ready && cut {
		limit = startEndTime
	}
	// One that is starting drains when it has started: it may have a client
	// before it can say that it serves.
	w.tell(wire.Message{Op: op})
	s.killLater(w, limit)
}

// killLater ends a worker that does not end by itself.
func (s *supervisor) killLater(w *child, d time.Duration) {
	if w.kill != nil {
		w.kill.Stop()
	}
	w.kill = s.after(d, func() {
		if w.gone {
			return
		}
		s.log.Warn("a worker did not exit in time; killing it", "worker", w.id, "pid", w.proc.Pid())
		w.proc.Kill()
	})
}

// fail ends the server because of err.
func (s *supervisor) fail(err error) {
	logging.Error(s.log, err)
	if s.err == nil {
		s.err = err
	}
	s.end(true)
}

// ready is called when a generation has become ready.
func (s *supervisor) ready(g *generation) {
	first := !s.serving
	s.serving = true
	for _, line := range g.plan.Warn {
		s.log.Warn(line)
	}
	if first {
		logging.Notice(s.log, "identity of the serving processes: "+g.identity())
		s.o.TellFront(nil)
	}
	s.tellManager("READY=1", fmt.Sprintf("MAINPID=%d", os.Getpid()), fmt.Sprintf("STATUS=serving, generation %d", g.id))
	s.orderCertificates()
	s.call(s.o.Serving)
	// The supervisor does next to nothing from here on.
	s.after(trimDelay, func() {
		debug.FreeOSMemory()
		if err := proc.TrimProgram(); err != nil {
			s.log.Debug(err.Error())
		}
	})
}

const (
	supervisorGC = 25                     // percent of garbage
	trimDelay    = 250 * time.Millisecond // until what a start or restart did is over
)

// obey carries out a signal.
func (s *supervisor) obey(sig os.Signal) {
	name := proc.SignalName(sig)
	s.passOn(sig)
	switch sig {
	case os.Interrupt, proc.StopSignal:
		logging.Notice(s.log, "Received a SIG "+name+": stopping")
		s.end(true)
	case proc.DrainSignal:
		if s.ending {
			logging.Notice(s.log, "Received a SIG "+name+" again: stopping")
			s.end(true)
			return
		}
		logging.Notice(s.log, fmt.Sprintf("Received a SIG %s: no new clients; current ones have %s", name, wire.GraceText(s.conf.Grace)))
		s.end(false)
	case proc.ReloadSignal:
		logging.Notice(s.log, "Received a SIG "+name)
		s.reload()
	case proc.MoreSignal, proc.LessSignal:
		s.resize(sig)
	case proc.ReopenSignal:
		s.reopen()
	case proc.StateSignal:
		for _, line := range s.state() {
			logging.Notice(s.log, line)
		}
	}
}

// passOn sends the signals of sig_passthrough to the workers.
func (s *supervisor) passOn(sig os.Signal) {
	for _, p := range s.conf.Passed {
		if p != sig {
			continue
		}
		for _, g := range s.gens {
			for w := range g.workers {
				if err := w.proc.Signal(sig); err != nil {
					s.log.Warn(err.Error())
				}
			}
		}
	}
}

// reopen opens the log file again.
func (s *supervisor) reopen() {
	s.opened.Reopen()
}

// state describes what the server is doing, a line each.
func (s *supervisor) state() []string {
	list := []string{fmt.Sprintf("state: pid %d, up %s, generation %d, restarts %d, crashes %d, processes %d, clients served by exited processes %d",
		os.Getpid(), time.Since(s.began).Round(time.Second), s.nextGen, s.restarts, s.crashes, s.count(), s.total)}
	for _, g := range s.gens {
		for _, w := range g.sorted() {
			list = append(list, fmt.Sprintf("state: worker %d, pid %d, generation %d, %s, up %s, clients %d, in the handler %d, served %d",
				w.id, w.proc.Pid(), g.id, w.condition(), time.Since(w.began).Round(time.Second), w.status.Clients, w.status.Serving, w.status.Total))
		}
		list = append(list, g.signatures()...)
	}
	return append(list, s.jobs.state()...)
}

// tellManager tells the service manager something, if there is one.
func (s *supervisor) tellManager(lines ...string) {
	if err := s.manager.Notify(lines...); err != nil {
		s.log.Warn(err.Error())
	}
}

// watchdog tells the service manager again and again that the loop runs, and
// that a worker answers.
func (s *supervisor) watchdog() {
	if d := s.manager.Watchdog(); d > 0 {
		if s.answers(d / 2) {
			s.tellManager("WATCHDOG=1")
		}
		s.after(d/2, s.watchdog)
	}
}
