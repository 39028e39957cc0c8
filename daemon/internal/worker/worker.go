package worker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"netserver"
	"netserver/daemon/internal/clustering"
	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/internal/identity"
	"netserver/internal/proc"
	"netserver/internal/signer"
	"netserver/proto"
	"netserver/sock"
	"netserver/tlsparams"
)

// A worker is a process that serves clients for a supervisor.
type worker struct {
	o      *Options
	conf   *Settings
	link   *childproc.Link
	log    *slog.Logger
	access func(line []byte) // writes the access log; nil without one
	init   *wire.Start
	p      *Program
	ls     []net.Listener
	signer *signer.Client // signs handshakes with keys that the supervisor keeps; nil if it does not

	drain    context.CancelFunc // ends the context of Serve
	reports  *reports
	counting *time.Ticker        // when count sends what it has
	commands chan wire.Message   // from the supervisor, for obey
	clients  *clustering.Clients // that other nodes hear of; nil without a cluster

	confined string // what confine did, for the log
	sealed   bool   // it may start no process
	serving  atomic.Int64
	total    atomic.Uint64
	started  atomic.Bool // serving: files are read as they are now

	dismissed bool               // by a signal
	ignored   map[os.Signal]bool // signals that were logged

	mu      sync.Mutex
	leaving bool
	answers map[uint64]chan wire.Message
	lastID  uint64
	gone    bool // the link
}

// Run is the life of a worker, or of a job. It returns the exit status.
func Run(ctx context.Context, o *Options) int {
	w := &worker{
		counting: time.NewTicker(countTime),
		o:        o, link: o.Part.Link, reports: newReports(), commands: make(chan wire.Message, 64),
		answers: make(map[uint64]chan wire.Message),
	}
	defer w.link.Close()
	if o.Part.Role == wire.RoleBecome {
		if err := become(o.Part); err != nil {
			return w.fail(err)
		}
	}
	m, err := wire.Receive(w.link, wire.MaxToWorker)
	if err == nil && m.Init == nil {
		err = fmt.Errorf("the first message is %q", m.Op)
	}
	if err != nil {
		return w.fail(fmt.Errorf("from the supervisor: %w", err))
	}
	w.init = m.Init
	w.useOneCPU()
	switch {
	case w.init.Job:
		return w.runJob(ctx)
	case w.init.Admin != nil:
		return w.runAdmin(ctx)
	case w.init.Cluster != nil:
		return w.runCluster(ctx)
	}
	return w.run(ctx)
}

// become takes on the identity that the supervisor names. Where only a thread
// can do that it does not return: the program is started again.
func become(part *childproc.Part) error {
	runtime.LockOSThread()
	m, err := wire.Receive(part.Link, wire.MaxToWorker)
	if err != nil {
		return fmt.Errorf("from the supervisor: %w", err)
	}
	again, err := part.Hold(wire.RoleWorker)
	if err != nil {
		return err
	}
	loader := ""
	if m.Identity.Chroot != "" {
		childproc.KeepZone() // its file is out of reach from then on
		loader = childproc.OwnLoader()
	}
	if err := m.Identity.Become(nil); err != nil {
		return err
	}
	if again != nil {
		return explainAgain(m.Identity, loader, again())
	}
	return nil
}

// explainAgain says why the program could not be started again as id. loader is
// what loads its shared libraries, if there is something.
func explainAgain(id *identity.Identity, loader string, err error) error {
	switch {
	case errors.Is(err, os.ErrPermission) && id.Account != nil:
		return fmt.Errorf("user %s may not execute the server's own program: %w", id.Account.User, err)
	case errors.Is(err, os.ErrNotExist) && loader != "":
		return fmt.Errorf("chroot %s does not have %s, which loads the shared libraries of the server's own program; put it and those libraries there, as ldd shows them, or build the program with CGO_ENABLED=0: %w", id.Chroot, loader, err)
	}
	return err
}

// fail tells the supervisor why this worker cannot serve.
func (w *worker) fail(err error) int {
	m := wire.Message{Op: wire.OpFailed}
	for _, e := range logging.Split(err) {
		m.Lines = append(m.Lines, e.Error())
	}
	wire.Send(w.link, m)
	return wire.ExitFailed
}

// run serves until the supervisor says or ends.
func (w *worker) run(ctx context.Context) int {
	signals := w.o.Signals()
	defer proc.SurviveBrokenPipes()()
	var err error
	if w.conf, err = w.o.Settings(w.init.Plan); err != nil {
		return w.fail(err)
	}
	endLog := w.openLog()
	defer endLog()
	ended := make(chan struct{}) // the supervisor's end
	go w.listen(ended)
	if err := w.prepare(); err != nil {
		return w.fail(err)
	}
	// Who may start no process has no orphans; to look for them is among the
	// calls for which seccomp ends a process.
	if (w.o.Library || w.conf.RunsProgram) && !w.sealed {
		reaped := make(chan struct{})
		defer close(reaped)
		childproc.TakeOrphans(reaped) // where it cannot, the system's process 1 does
	}
	if h := w.o.WorkerStart; h != nil {
		if err := h(ctx); err != nil {
			return w.fail(fmt.Errorf("Hooks.WorkerStart: %w", err))
		}
	}
	defer w.conf.PaceGC()()
	serveCtx, drain := context.WithCancel(ctx)
	defer drain()
	w.drain = drain
	done := make(chan struct{})
	var helpers sync.WaitGroup
	helpers.Go(func() { w.obey(signals, ended, done) })
	helpers.Go(func() { w.reports.run(w.status, w.sendStatus, done) })
	helpers.Go(func() { w.count(done) })
	if w.clients != nil {
		helpers.Go(func() { w.clients.Tell(w.share, done) })
	}
	w.p.engine().OnServing(func() {
		w.started.Store(true)
		if w.clients != nil && w.init.News != nil {
			w.clients.Take(w.init.News, 0)
		}
		wire.Send(w.link, wire.Message{Op: wire.OpReady, Sandbox: w.confined, Lines: w.facts(), Echoes: true})
	})
	err = w.p.Serve(serveCtx, w.ls)
	close(done)
	helpers.Wait()
	go w.afterServing()
	w.sendSamples()
	w.sendCounts(w.p.Server.Monitor().Stats())
	if h := w.o.WorkerStop; h != nil {
		h()
	}
	switch {
	case errors.Is(err, netserver.ErrCut):
		logging.Notice(w.log, err.Error())
	case err != nil && !w.started.Load():
		return w.fail(err)
	case err != nil:
		logging.Error(w.log, err)
		return wire.ExitFailed
	}
	return wire.ExitDone
}

// openLog makes the log: the supervisor writes what comes through the first of
// the inherited files, a pipe.
func (w *worker) openLog() func() {
	var out io.Writer = io.Discard
	if files := w.o.Part.Files; len(files) > 0 {
		out, w.o.Part.Files = files[0], files[1:]
	}
	o := w.conf.Log.OpenPipe(out, w.init.LogForm)
	w.log = o.Logger
	files := w.o.Part.Files
	if !w.conf.Log.HasAccess() || len(files) == 0 {
		return o.Close
	}
	w.o.Part.Files = files[1:]
	var end func()
	w.access, end = logging.AccessPipe(files[0], w.log)
	return func() { end(); o.Close() }
}

// prepare makes the Server and its listeners.
func (w *worker) prepare() error {
	env := tlsparams.Env{ReadFile: w.readFile, ReadDir: w.readDir, TicketSecret: w.init.Secret, Clustered: w.init.Shares, Unfollowed: w.init.Follow, Log: w.log}
	if w.init.Shares {
		env.Staples = staples{w}
	}
	err := w.isolate(&env)
	if err != nil {
		return err
	}
	sockets, err := w.takeForeign()
	if err != nil {
		return err
	}
	if env.SelfSigned, err = w.selfSigned(); err != nil {
		return err
	}
	if w.p, err = w.conf.Make(env, w.init.MaxServing, w.askExit, w.access); err != nil {
		return err
	}
	if sockets != nil {
		w.p.Foreign.Use(sockets)
	}
	w.renewTickets(&wire.Secrets{Current: w.init.Secret, Past: w.init.Past})
	if err := wire.SetChallenges(proto.Sources(w.p.Transports), w.p.Answers, w.init.Challenges); err != nil {
		return err
	}
	s := w.p.Server
	s.Log = w.log
	if w.init.Shares {
		w.clients = clustering.NewClients(s.Monitor())
		if w.init.Quorum {
			w.clients.UseTargets(w.p.Backends)
		}
	}
	if s.Handler != nil {
		s.Handler = &counted{w: w, Handler: s.Handler}
	}
	for port, h := range s.Handlers {
		s.Handlers[port] = &counted{w: w, Handler: h}
	}
	if err := w.inherit(); err != nil {
		return err
	}
	if err := w.p.CheckTarget(w.ls); err != nil {
		return err
	}
	if err := w.conf.FindJob(); err != nil {
		return err // rather than with every job
	}
	return w.confine()
}

// inherit makes the listeners of the files that the supervisor opened.
func (w *worker) inherit() error {
	files, ports := w.o.Part.Files, w.init.Plan.Ports
	if len(files) != len(ports) {
		return fmt.Errorf("received %d sockets for %d ports", len(files), len(ports))
	}
	for i, r := range ports {
		l, err := sock.FromFile(files[i], r.Network, r.Spec, r.Options)
		files[i].Close()
		if err != nil {
			return err
		}
		spec := r.Spec
		if b, ok := l.(sock.Named); ok {
			spec = b.Spec()
		}
		w.ls = append(w.ls, netserver.NewListener(l, spec, w.p.Transports[i]))
	}
	return nil
}

// obey carries out signals, and sees to it that nobody serves on alone.
func (w *worker) obey(signals <-chan os.Signal, ended, done <-chan struct{}) {
	for {
		select {
		case s := <-signals:
			w.signalled(s)
		case c := <-w.commands:
			w.carryOut(c)
		case <-ended:
			logging.Notice(w.log, fmt.Sprintf("the supervisor of process %d is gone: no new clients; current ones have %s", os.Getpid(), wire.GraceText(w.conf.Grace)))
			w.drain()
			ended = nil
		case <-done:
			return
		}
	}
}

// listen takes messages until the supervisor ends, and then closes ended.
func (w *worker) listen(ended chan<- struct{}) {
	defer close(ended)
	defer w.unanswered()
	for {
		m, err := wire.Receive(w.link, wire.MaxToWorker)
		if err != nil {
			return
		}
		w.take(m)
	}
}

func (w *worker) carryOut(c wire.Message) {
	switch c.Op {
	case wire.OpLeave:
		if c.Leave != nil {
			w.leave(*c.Leave)
		}
	case wire.OpDrain:
		w.drain()
	case wire.OpStop:
		w.p.engine().Stop()
	case wire.OpFiles:
		go w.reloadFiles(c.Paths)
	case wire.OpTickets:
		w.renewTickets(c.Tickets)
	case wire.OpNews:
		if w.clients != nil && c.News != nil {
			w.clients.Take(c.News, c.ID)
		}
	case wire.OpStatus:
		status := w.status()
		wire.Send(w.link, wire.Message{Op: wire.OpStatus, ID: c.ID, Status: &status})
	case wire.OpAsk:
		go w.answer(c)
	case wire.OpEcho:
		w.echo(c.ID)
	}
}

// askExit asks for the end of the server: the line "exit" of the echo.
func (w *worker) askExit() { wire.Send(w.link, wire.Message{Op: wire.OpExit}) }

// facts are lines for the supervisor's log on what this worker found.
func (w *worker) facts() (facts []string) {
	logging.TLSNotes(proto.Sources(w.p.Transports), func(line string) { facts = append(facts, line) })
	return facts
}

// selfSignedOf reads what the supervisor made.
func selfSignedOf(pem []byte) (*tlsparams.Certificate, error) {
	if len(pem) == 0 {
		return nil, nil
	}
	c, err := tls.X509KeyPair(pem, pem)
	if err != nil {
		return nil, fmt.Errorf("certificate from the supervisor: %w", err)
	}
	return tlsparams.CertificateOf(&c), nil
}

// echo answers for a worker: what it passes through must not hang.
func (w *worker) echo(id uint64) {
	w.status()
	wire.Send(w.link, wire.Message{Op: wire.OpEcho, ID: id})
}

// afterServing answers the supervisor while the worker ends.
func (w *worker) afterServing() {
	for c := range w.commands {
		if c.Op == wire.OpEcho {
			wire.Send(w.link, wire.Message{Op: wire.OpEcho, ID: c.ID})
		}
	}
}
