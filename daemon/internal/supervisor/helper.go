package supervisor

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"strings"
	"time"

	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/sock"
	"netserver/tlsparams"
)

// adminTalks is how many requests of the admin process are answered at once.
const adminTalks = 4

// adminEnd is how long the admin process may take to end.
const adminEnd = time.Second

// An adminProcess is the process that serves the admin listener, and what its
// next one is started from. The loop owns its fields. It is as the server was
// started with: a reload changes nothing of it.
type adminProcess struct {
	s        *supervisor
	plan     *wire.Admin
	gen      *generation // which it alone is of; it serves no client
	socket   *socket
	proc     *child        // nil: it is not running
	gone     chan struct{} // closed when proc has ended
	failures int           // one after the other
	stop     context.CancelFunc
	ctx      context.Context // of the conversations
}

// beginAdmin opens the admin listener of a plan, if it has one, and starts its
// process.
func (s *supervisor) beginAdmin(ctx context.Context, pl *wire.Plan) error {
	if pl.Admin == nil {
		return nil
	}
	ls, err := sock.ListenAll(ctx, []sock.Request{pl.Admin.Port})
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	logging.Bound(s.log, ls[0])
	so, err := newSocket("admin", pl.Admin.Port, ls[0])
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	a := &adminProcess{s: s, plan: pl.Admin, socket: so}
	a.plan.Port.Spec = so.req.Spec
	a.ctx, a.stop = context.WithCancel(context.Background())
	s.admin = a
	if a.gen, err = s.adminGeneration(pl); err != nil {
		return err
	}
	s.followFiles(a.gen)
	a.start()
	return nil
}

// adminGeneration makes the generation of the admin process, which has the files
// and keys that its TLS names, and no others.
func (s *supervisor) adminGeneration(pl *wire.Plan) (*generation, error) {
	own := jobPlan(pl)
	settings := *s.conf
	settings.Outbound = nil
	if pl.Admin.Port.Spec.IsTLS() {
		own.Values = maps.Clone(pl.Values)
		own.Isolate, own.Files, own.Dirs = pl.Isolate, pl.Admin.Files, pl.Admin.Dirs
	} else {
		settings.TLS = tlsparams.Params{}
	}
	ports := *own
	ports.Ports = []sock.Request{pl.Admin.Port}
	may, err := newAllowed(&settings, &ports, nil)
	if err != nil {
		return nil, err
	}
	agent, err := s.newKeyAgent(&settings, &ports, may)
	if err != nil {
		return nil, err
	}
	binary, err := childproc.Self()
	if err != nil {
		return nil, err
	}
	return &generation{plan: own, conf: &settings, binary: binary, allowed: may, keyAgent: agent, workers: make(map[*child]struct{})}, nil
}

// start starts the process, or says why it cannot and tries again later.
func (a *adminProcess) start() {
	if err := a.spawn(); err != nil {
		a.s.log.Error("cannot start the admin process", "err", err)
		a.again()
	}
}

// again starts the process after a while, which grows.
func (a *adminProcess) again() {
	d := min(firstDelay<<min(a.failures, 16), maxDelay)
	a.failures++
	a.s.after(d, func() {
		if !a.s.ending || a.s.count() > 0 {
			a.start()
		}
	})
}

func (a *adminProcess) spawn() error {
	s, g := a.s, a.gen
	in := &wire.Start{Plan: g.plan, Admin: a.plan, Talks: adminTalks, Follow: g.follows()}
	if a.plan.Port.Spec.IsTLS() {
		in.SelfSigned = s.selfSigned
	}
	files := []*os.File{a.socket.file}
	var talks []net.Conn
	abandon := func() {
		for _, f := range files[1:] {
			f.Close()
		}
		for _, c := range talks {
			c.Close()
		}
	}
	for range adminTalks {
		c, theirs, err := newTalk()
		if err != nil {
			abandon()
			return err
		}
		talks, files = append(talks, c), append(files, theirs)
	}
	keys, err := g.keyAgent.link(in)
	if err != nil {
		abandon()
		return err
	}
	w, err := s.startProcess(g, in, childproc.Start{Files: keys.add(files)})
	keys.begin(s, w)
	if err != nil {
		abandon()
		return err
	}
	for _, f := range files[1:] {
		f.Close()
	}
	w.id = 1
	a.proc, a.gone = w, make(chan struct{})
	g.workers[w] = struct{}{}
	for _, c := range talks {
		go a.talk(w, c)
	}
	go a.attend(w, a.gone, talks)
	return nil
}

// newTalk makes a connection and the other end for the process.
func newTalk() (net.Conn, *os.File, error) {
	mine, theirs, err := childproc.NewPair()
	if err != nil {
		return nil, nil, err
	}
	defer mine.Close()
	c, err := childproc.ConnOf(mine)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return c, theirs, nil
}

// talk answers what the process asks by one of its connections.
func (a *adminProcess) talk(w *child, c net.Conn) {
	s := a.s
	if err := s.o.Admin(a.ctx, s.log, &Controlled{s, make(chan struct{}, 1)}, c, a.plan.Write); err != nil {
		s.broke(w, err)
	}
}

// attend waits for the end of the process, and buries it.
func (a *adminProcess) attend(w *child, gone chan<- struct{}, talks []net.Conn) {
	s := a.s
	heard := make(chan struct{})
	go func() { defer close(heard); a.hear(w) }()
	how := explainEnd(w.proc.Wait())
	w.proc.KillGroup()
	s.lastWords(w, heard)
	w.pipes.Finish()
	for _, c := range talks {
		c.Close() // it may have handed its end to another process
	}
	close(gone)
	s.post(func() { a.reap(w, how) })
	w.proc.Link.Close()
}

// adminMessages is how many messages of the admin process are taken in a second.
const adminMessages = 100

// hear takes the messages of the process until its link ends.
func (a *adminProcess) hear(w *child) {
	s, g := a.s, a.gen
	limit := wire.Limiter{PerSecond: maxFileRate}
	err := s.listenTo(w, wire.Peer{Sender: wire.FromAdmin}, adminMessages, func(m wire.Message) error {
		switch m.Op {
		case wire.OpRead:
			data, err := g.allowed.answer(m)
			limit.WaitFor(len(data) + minFileCost)
			return wire.Send(w.proc.Link, wire.Message{Op: wire.OpData, ID: m.ID, Data: data, Failed: wire.FailureText(err)})
		case wire.OpLoad:
			pair := g.keyAgent.load(tlsparams.Files{Cert: m.Path, Key: m.Key}, digestOf(m.Have), m.Fresh)
			return wire.Send(w.proc.Link, wire.Message{Op: wire.OpData, ID: m.ID, Pair: pair})
		case wire.OpReady:
			s.post(func() {
				if !w.ready {
					w.ready = true
					s.log.Info(fmt.Sprintf("the admin process serves, pid %d", w.proc.Pid()), "sandbox", m.Sandbox)
				}
			})
		case wire.OpFailed:
			s.post(func() { w.reason = m.Lines })
		}
		return nil
	})
	s.heardLast(w, err)
}

// reap acts on the end of the process: another is started.
func (a *adminProcess) reap(w *child, how string) {
	s := a.s
	w.gone = true
	w.keyLink.end()
	close(w.outbox)
	delete(a.gen.workers, w)
	s.left.note()
	if a.proc == w {
		a.proc = nil
	}
	if s.ending && s.count() == 0 {
		return
	}
	if how == "" {
		how = "by itself"
	}
	if len(w.reason) > 0 {
		how = strings.Join(w.reason, "; ")
	}
	if time.Since(w.began) >= steady {
		a.failures = 0
	}
	if !w.broke {
		s.log.Error(fmt.Sprintf("the admin process (pid %d) ended unexpectedly: %s; starting a replacement", w.proc.Pid(), how))
	}
	a.again()
}

// end ends the process with the server, after the loop.
func (a *adminProcess) end() {
	if a == nil {
		return
	}
	if w := a.proc; w != nil {
		w.tell(wire.Message{Op: wire.OpStop})
		t := time.NewTimer(adminEnd)
		defer t.Stop()
		select {
		case <-a.gone:
		case <-t.C:
			w.proc.Kill()
			<-a.gone
		}
	}
	a.stop()
	if a.gen != nil {
		a.gen.close()
	}
	if err := a.socket.close(); err != nil {
		a.s.log.Error("cannot close the admin listener", "err", err)
	}
}
