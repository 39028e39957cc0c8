package supervisor

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"time"

	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/sock"
	"netserver/tlsparams"
)

// adminTalks is how many requests of the admin process are answered at once.
const adminTalks = 4

// adminMessages is how many messages of the admin process are taken in a second.
const adminMessages = 100

// adminEnd is how long the admin process may take to end.
const adminEnd = time.Second

// An adminProcess is the helper that serves the admin listener.
type adminProcess struct {
	helper
	plan   *wire.Admin
	socket *socket
	stop   context.CancelFunc
	ctx    context.Context // of the conversations
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
	logging.Admin(s.log, ls[0])
	so, err := newSocket("admin", pl.Admin.Port, ls[0])
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	a := &adminProcess{helper: helper{s: s, ending: adminEnd}, plan: pl.Admin, socket: so}
	a.task = a
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

func (a *adminProcess) peer() (wire.Peer, int) {
	return wire.Peer{Sender: wire.FromAdmin}, adminMessages
}

func (a *adminProcess) prepare(in *wire.Start) (helperLinks, error) {
	in.Admin, in.Talks = a.plan, adminTalks
	if a.plan.Port.Spec.IsTLS() {
		in.SelfSigned = a.s.selfSigned
	}
	var talks []net.Conn
	l := helperLinks{keep: []*os.File{a.socket.file}}
	l.end = func() {
		for _, c := range talks {
			c.Close()
		}
	}
	l.begin = func(w *child) {
		for _, c := range talks {
			go a.talk(w, c)
		}
	}
	for range adminTalks {
		c, theirs, err := newTalk()
		if err != nil {
			l.close()
			return l, err
		}
		talks, l.files = append(talks, c), append(l.files, theirs)
	}
	return l, nil
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

// hear has nothing to do: wire's rules let the process say nothing else.
func (a *adminProcess) hear(*child, wire.Message) error { return nil }

func (a *adminProcess) ended(*child) {}

// end ends the process and closes the listener, after the loop.
func (a *adminProcess) end() {
	if a == nil {
		return
	}
	a.helper.end()
	a.stop()
	if err := a.socket.close(); err != nil {
		a.s.log.Error("cannot close the admin listener", "err", err)
	}
}
