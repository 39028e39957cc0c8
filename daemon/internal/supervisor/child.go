package supervisor

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"netserver/cluster"
	"netserver/daemon/internal/clustering"
	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/internal/identity"
	"netserver/internal/metric"
	"netserver/internal/proc"
	"netserver/internal/systemd"
)

// A child is a worker as its supervisor sees it.
type child struct {
	kind    string // as wire.Sender names it
	id      int
	gen     *generation
	proc    *childproc.Child
	outbox  chan wire.Message // what is to be sent; closed when it is gone
	began   time.Time
	pipes   *logging.Pipes // that it writes to
	foreign *foreignLink   // its way to sockets that connect from clients' addresses, or nil
	keyLink *keyLink       // its way to private keys, or nil

	ready   bool
	leaving bool
	told    bool // to leave, drain or stop
	gone    bool
	epoch   uint64 // the newest whose secret it has; 0 is none
	// dismissed: it was ended by a signal, and is replaced although it has clients.
	dismissed bool
	broke     bool // the protocol, and is killed for it
	tampered  bool // a socket that it has, and is killed for that
	status    wire.Status
	reason    []string // why it cannot serve, in its own words
	kill      *time.Timer
	echo      echoState
	busy      atomic.Bool      // its supervisor is at what it asked for
	asks      asks             // of the control socket
	counts    []wire.PortCount // by the place of the port
	metrics   metric.Latest

	staples         atomic.Int32   // messages about OCSP responses that are being carried out
	shared, sharing cluster.Report // what it has for other nodes, and a report that is not whole yet
	sharedAt        time.Time
	lifts           clustering.Lifts
	sharedSeq       uint64 // how often its counts have changed
	sharesSame      bool   // those of the report are as before
	missed          bool   // it was not told all news
}

func (w *child) condition() string {
	switch {
	case w.leaving || w.gen.leaving:
		return "ending"
	case !w.ready:
		return "starting"
	}
	return "serving"
}

// outboxSize is how many messages may wait for a worker. One that has so many
// does not listen any more.
const outboxSize = 64

// tell sends a message without waiting.
func (w *child) tell(m wire.Message) {
	if w.gone {
		return
	}
	w.told = w.told || m.Op == wire.OpLeave || m.Op == wire.OpDrain || m.Op == wire.OpStop
	select {
	case w.outbox <- m:
	default:
		w.reason = []string{"it did not read the supervisor's messages and was killed"}
		w.proc.Kill()
	}
}

// spawn starts a worker.
func (s *supervisor) spawn(g *generation) error {
	s.repairPorts()
	if err := s.reopenPorts(g); err != nil {
		return err
	}
	files, err := s.filesFor(g.plan, g.keys)
	if err != nil {
		return err
	}
	in := &wire.Start{
		Plan: g.plan, Generation: g.id, Worker: s.nextWorker + 1,
		SelfSigned: s.selfSigned,
		MaxServing: g.scale.Clients, MaxClients: g.scale.Requests, Report: g.scale.Dynamic,
		OneCPU: g.scale.oneCPU(runtime.NumCPU()),
		Follow: g.follows(), Challenges: s.ordering.open,
	}
	in.Shares, in.News = s.cluster != nil, s.cluster.known()
	in.Quorum = in.Shares && s.cluster.start.Quorum > 0
	tickets := s.epochs.secrets()
	in.Secret, in.Past = tickets.Current, tickets.Past
	keys, err := g.keyAgent.link(in)
	if err != nil {
		wire.CloseFiles(files)
		return err
	}
	sockets, err := linkForeign(in)
	if err != nil {
		keys.begin(s, nil)
		wire.CloseFiles(files)
		return err
	}
	files = keys.add(sockets.add(files))
	w, err := s.startProcess(g, in, childproc.Start{Files: files})
	if err != nil {
		keys.begin(s, nil)
		sockets.begin(s, nil)
		return err
	}
	s.nextWorker++
	w.id, w.epoch = s.nextWorker, s.epochs.newest()
	keys.begin(s, w)
	sockets.begin(s, w)
	g.workers[w] = struct{}{}
	g.started = w.began
	go s.attend(w, g.allowed)
	return nil
}

// startProcess starts a process of a generation, which becomes who its workers
// are, and tells it in.
func (s *supervisor) startProcess(g *generation, in *wire.Start, how childproc.Start) (*child, error) {
	id := g.conf.Identity
	how.Role = wire.RoleBecome
	if id.IsZero() {
		how.Role = wire.RoleWorker
	}
	how.Binary, how.Args, how.Env = g.binary, append([]string{os.Args[0]}, s.o.Args...), childEnviron(s.o.Environ, &id)
	out, err := s.output.Pipes(&how, id.Account)
	if err != nil {
		return nil, err
	}
	in.LogForm = s.opened.Form
	p, err := how.Start()
	if err != nil {
		out.Close()
		return nil, err
	}
	kind := "worker"
	switch {
	case in.Job:
		kind = "job"
	case in.Admin != nil:
		kind = wire.FromAdmin.String()
	case in.Cluster != nil:
		kind = wire.FromCluster.String()
	}
	w := &child{kind: kind, gen: g, proc: p, began: time.Now(), outbox: make(chan wire.Message, outboxSize), pipes: out}
	out.Begin(p.Pid())
	if how.Role == wire.RoleBecome {
		w.tell(wire.Message{Op: wire.OpIdentity, Identity: &id})
	}
	w.tell(wire.Message{Op: wire.OpInit, Init: in})
	go s.write(w)
	return w, nil
}

// reap acts on the end of a worker. how is "" if it ended in order.
func (s *supervisor) reap(w *child, how string) {
	g := w.gen
	w.gone = true
	w.keyLink.end()
	w.foreign.end()
	s.outlive(w, how)
	close(w.outbox)
	if w.kill != nil {
		w.kill.Stop()
	}
	delete(g.workers, w)
	s.total += w.status.Total
	s.past.Add(g.plan, w.counts)
	s.pastMetrics.AddAll(w.metrics.Ended(), s.metricPorts(g))
	w.keyLink.addTo(&s.pastMetrics)
	w.asks.ended()
	if how == "" {
		s.left.note()
	} else {
		s.left.end(s.log, fmt.Sprintf("worker %d (pid %d)", w.id, w.proc.Pid()))
	}
	switch {
	case s.ending || g.failed:
	case !g.ready && s.restartEarly(w, how):
	case !g.ready && w.ready && w.leaving && how == "":
		// It has served all its clients (max_requests) before the others of
		// its generation are there.
		if err := s.spawn(g); err != nil {
			s.startFailed(g, err)
		}
	case !g.ready:
		s.startFailed(g, w.startError(how))
	case w.dismissed && how == "", w.tampered:
	case how == "" && len(w.reason) == 0 && (w.told || w.leaving || g.leaving):
		g.failures = 0
	case !g.leaving:
		s.crashed(w, how)
	}
	s.manage(g)
	s.drop(g)
}

// startError says why a worker did not get to serve.
func (w *child) startError(how string) error {
	if len(w.reason) > 0 {
		var errs []error
		for _, r := range w.reason {
			errs = append(errs, errors.New(r))
		}
		return errors.Join(errs...)
	}
	if how == "" {
		how = "it exited on its own"
	}
	return fmt.Errorf("the worker exited before it was ready: %s", how)
}

func (s *supervisor) crashed(w *child, how string) {
	s.crashes++
	g := w.gen
	s.countFailure(w)
	if how == "" {
		how = "by itself"
	}
	if w.broke {
		return // that is in the log
	}
	if len(w.reason) > 0 {
		how = strings.Join(w.reason, "; ")
	}
	s.log.Error(fmt.Sprintf("worker %d (pid %d) ended unexpectedly: %s; starting a replacement", w.id, w.proc.Pid(), how),
		"generation", g.id, "clients at last report", w.status.Clients, "in a row", g.failures)
}

// explainEnd says what the end of a process means, of which the system tells
// how.
func explainEnd(how string) string {
	if !strings.Contains(how, "bad system call") {
		return how
	}
	return "killed by its seccomp filter for a system call that serving clients never needs (the kernel's audit log names it): this may be a break-in; if the program itself makes that call, set seccomp 0"
}

// childEnviron returns the environment of a worker or job that becomes id.
func childEnviron(environ []string, id *identity.Identity) []string {
	env := systemd.WithoutManager(environ)
	if a := id.Account; a != nil && a.UID != os.Geteuid() {
		return childproc.LoginEnviron(env, a.UID)
	}
	return env
}

// isSupervisors reports whether how, the end of a process before it could take
// signals, is one that was meant for the supervisor.
func isSupervisors(how string) bool {
	for _, s := range proc.ServerSignals() {
		if !proc.IsStop(s) && how == fmt.Sprintf("signal: %v", s) {
			return true
		}
	}
	return false
}

// maxEarlyEnds is how many processes of one start may end so.
const maxEarlyEnds = 10

// restartEarly starts a process again that a signal ended before it could serve,
// and reports whether it has.
func (s *supervisor) restartEarly(w *child, how string) bool {
	g := w.gen
	if g.early >= maxEarlyEnds || len(w.reason) > 0 || !w.dismissed && !isSupervisors(how) {
		return false
	}
	g.early++
	if how == "" {
		how = "signal"
	}
	s.log.Warn(fmt.Sprintf("worker %d (pid %d) was ended by a signal while it started (%s); starting it again", w.id, w.proc.Pid(), how))
	return s.spawn(g) == nil
}
