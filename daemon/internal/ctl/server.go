package ctl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"netserver/access"
	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/control"
	"netserver/internal/metric"
)

// A Target is what the control socket controls: a supervisor with its workers,
// or a server in one process. All methods may be called concurrently.
type Target interface {
	// Members returns the processes that serve clients, by number.
	Members() []wire.Member
	// Overview returns what is known without asking any of them.
	Overview() *control.Status
	// Ask asks one of them. The error is a *wire.SilentError if it does not answer.
	Ask(context.Context, wire.Member, wire.Ask) (wire.Answer, error)
	// Metrics returns what the server has counted, as far as the members have
	// told it by now.
	Metrics() *metric.Set
	// Remember keeps a change of targets for processes that start later.
	Remember(wire.Ask)
	// Lifted tells other nodes of the cluster, if there is one, that an operator
	// takes a network out of the penalty box. It returns Ask.Lift for the
	// question by which the members are told.
	Lifted(netip.Prefix) uint64
	// AskToLeave asks the other nodes of the cluster whether this server may
	// drain, until it is called again with false. MayLeave is what they say, and
	// why not.
	AskToLeave(begin bool)
	MayLeave() (may bool, why string)
	// Reload reads the configuration again and waits for the outcome; dry only
	// tells what would be done.
	Reload(ctx context.Context, dry bool) (*control.Reload, error)
	// End ends the server, with the grace time for clients or at once.
	End(cut bool)
	// Grace is that time.
	Grace() time.Duration
	// Ended is closed when the last client is gone.
	Ended() <-chan struct{}
}

// A Server answers the control socket's clients.
type Server struct {
	target Target
	log    *slog.Logger
	server control.Server
	rounds chan struct{} // a place for each question that is being asked of the members

	mu     sync.Mutex
	ending time.Time // when it was told to end
}

// roundsAtOnce bounds how many questions a worker has at once.
const roundsAtOnce = 4

// An Access is where the control socket is and who may use it.
type Access struct {
	Socket control.Socket
	Allow  func(*access.Cred) error // after the mode of the socket's file
}

// New returns a Server without a socket.
func New(log *slog.Logger, t Target) *Server {
	return &Server{target: t, log: log, rounds: make(chan struct{}, roundsAtOnce)}
}

// Open opens the control socket and answers its clients until Close. The Target
// need not be ready to serve yet.
func Open(ctx context.Context, a Access, log *slog.Logger, t Target) (*Server, error) {
	l, err := a.Socket.Listen(ctx)
	if err != nil {
		return nil, err
	}
	s := New(log, t)
	s.server = control.Server{Allow: a.Allow, Handle: func(ctx context.Context, by *access.Cred, r *control.Request, to *control.Answer) error {
		return s.handle(ctx, who(by), r, to)
	}, Fail: func(err error) {
		log.Error("the control socket cannot accept a client", "err", err)
	}}
	s.server.Serve(l)
	return s, nil
}

// Close ends it and removes the socket. A nil Server has none.
func (s *Server) Close() {
	if s == nil {
		return
	}
	if err := s.server.Close(); err != nil {
		s.log.Error("control_socket: " + err.Error())
	}
}

// Admin answers the requests of an admin listener that come by c, until its
// end. It does nothing but what control.Request.ForAdmin allows. The error is
// that c does not keep to the protocol.
func (s *Server) Admin(ctx context.Context, c net.Conn, write bool) error {
	return control.Converse(ctx, c, func(ctx context.Context, r *control.Request, to *control.Answer) error {
		if err := r.ForAdmin(write); err != nil {
			return err
		}
		return s.handle(ctx, "the admin listener", r, to)
	})
}

// handle carries out one request.
func (s *Server) handle(ctx context.Context, by string, r *control.Request, to *control.Answer) error {
	switch r.Verb {
	case control.VerbStatus:
		return to.Send("status", s.Status(ctx))
	case control.VerbConns:
		if r.ID != "" {
			return s.conn(ctx, r, to)
		}
		return s.conns(ctx, r, to)
	case control.VerbLimits:
		return to.Send("limits", s.Limits(ctx, limitOr(r.Limit, control.DefaultTop)))
	case control.VerbPenalties:
		return to.Send("penalties", s.Penalties(ctx))
	case control.VerbMetrics:
		return s.metrics(ctx, to)
	case control.VerbCerts:
		return s.certs(ctx, to)
	case control.VerbExplain:
		return s.explain(ctx, r, to)
	case control.VerbTargets:
		return to.Send("targets", s.Targets(ctx, r.Backend))
	case control.VerbCluster:
		c := s.target.Overview().Cluster
		if c == nil {
			return errors.New("this server is in no cluster: the key cluster is not set")
		}
		return to.Send("cluster", c)
	case control.VerbHealth:
		return to.Send("health", control.HealthOf(s.Status(ctx)))
	}
	if r.DryRun {
		s.log.Debug("control: " + by + " asks what a reload would do")
	} else {
		logging.Notice(s.log, strings.Join(strings.Fields("control: "+by+" says "+r.Verb+" "+r.Change+" "+r.Backend+" "+r.Target+" "+r.ID+r.Network), " "))
	}
	switch r.Verb {
	case control.VerbKill:
		return s.kill(ctx, r, to)
	case control.VerbTarget:
		return s.changeTarget(ctx, r, to)
	case control.VerbLift:
		return s.lift(ctx, r, to)
	case control.VerbBan:
		return s.ban(ctx, r, to)
	case control.VerbReload:
		res, err := s.target.Reload(ctx, r.DryRun)
		if err != nil {
			return err
		}
		return to.Send("reload", res)
	case control.VerbDrain, control.VerbStop:
		return s.leave(ctx, r, to)
	}
	return fmt.Errorf("%s cannot be done", r.Verb)
}

func who(c *access.Cred) string {
	if c.PID > 0 {
		return fmt.Sprintf("user %d (process %d)", c.UID, c.PID)
	}
	return fmt.Sprintf("user %d", c.UID)
}

// kill ends one client.
func (s *Server) kill(ctx context.Context, r *control.Request, to *control.Answer) error {
	id, _, a, err := s.about(ctx, r.ID, wire.AskKill)
	switch {
	case err != nil:
		return err
	case a.Found:
		return to.Send("kill", control.Killed{ID: id.String()})
	}
	return noClient(id)
}

// conn sends all of one client.
func (s *Server) conn(ctx context.Context, r *control.Request, to *control.Answer) error {
	id, m, a, err := s.about(ctx, r.ID, wire.AskClient)
	switch {
	case err != nil:
		return err
	case a.Conn == nil:
		return noClient(id)
	}
	a.Conn.Client = m.Own(a.Conn.Client)
	return to.Send("conn", a.Conn)
}

// about asks the worker of a client about it.
func (s *Server) about(ctx context.Context, of, what string) (id control.ID, m wire.Member, a wire.Answer, err error) {
	if id, err = control.ParseID(of); err != nil {
		return id, m, a, err
	}
	for _, m = range s.target.Members() {
		if m.ID != id.Worker || !m.Ready {
			continue
		}
		if a, err = s.round(ctx, m, wire.Ask{What: what, Client: id.Client}); err != nil {
			err = fmt.Errorf("worker %d: %w", m.ID, err)
		}
		return id, m, a, err
	}
	return id, m, a, noClient(id)
}

func noClient(id control.ID) error {
	return fmt.Errorf("there is no client %s; it may have left (conns lists those that are here)", id)
}

const (
	lookEvery = time.Second // the progress interval of ctl drain
	lookList  = 20          // clients in one progress report
)

// leave ends the server and reports which clients are left until it has ended.
func (s *Server) leave(ctx context.Context, r *control.Request, to *control.Answer) error {
	if r.WhenOthersReady {
		if err := s.awaitOthers(ctx, r, to); err != nil {
			return err
		}
	}
	begin := s.begin()
	cut := r.Verb == control.VerbStop
	s.target.End(cut)
	if !r.Wait {
		return nil
	}
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		look := control.Leaving{Elapsed: wire.InSeconds(time.Since(begin)), Clients: []control.Client{}, Silent: []control.Silent{}}
		if !cut {
			look.Grace = s.target.Grace().Seconds()
		}
		select {
		case <-s.target.Ended():
			look.Done = true
			return to.Send("leaving", look)
		case <-ctx.Done():
			return context.Cause(ctx)
		default:
		}
		s.stillHere(ctx, &look)
		if err := to.Send("leaving", look); err != nil {
			return err
		}
		select {
		case <-t.C:
		case <-s.target.Ended():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// begin returns since when the server is ending.
func (s *Server) begin() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending.IsZero() {
		s.ending = time.Now()
	}
	return s.ending
}

// stillHere lists the first clients of each member, and counts all.
func (s *Server) stillHere(ctx context.Context, look *control.Leaving) {
	for _, got := range s.all(ctx, wire.Ask{What: wire.AskClients, N: lookList}, &look.Silent) {
		look.Count += got.a.Count
		for _, c := range got.a.Clients {
			if len(look.Clients) < lookList {
				look.Clients = append(look.Clients, got.m.Own(c))
			}
		}
	}
}

// round asks one member when there is a place for one more question.
func (s *Server) round(ctx context.Context, m wire.Member, q wire.Ask) (wire.Answer, error) {
	select {
	case s.rounds <- struct{}{}:
		defer func() { <-s.rounds }()
		return s.target.Ask(ctx, m, q)
	case <-ctx.Done():
		return wire.Answer{}, context.Cause(ctx)
	}
}

// An answered is a member's answer.
type answered struct {
	m wire.Member
	a wire.Answer
}

// all asks all members at once, and returns the answers by number. Those that
// do not answer in time are added to silent.
func (s *Server) all(ctx context.Context, q wire.Ask, silent *[]control.Silent) []answered {
	select {
	case s.rounds <- struct{}{}:
		defer func() { <-s.rounds }()
	case <-ctx.Done():
		return nil
	}
	ms := s.target.Members()
	got := make([]wire.Answer, len(ms))
	errs := make([]error, len(ms))
	var wg sync.WaitGroup
	for i, m := range ms {
		if !m.Ready {
			errs[i] = wire.ErrGone
			continue
		}
		wg.Go(func() { got[i], errs[i] = s.target.Ask(ctx, m, q) })
	}
	wg.Wait()
	var list []answered
	for i, m := range ms {
		if errs[i] == nil {
			list = append(list, answered{m, got[i]})
			continue
		}
		noteSilent(m, errs[i], silent)
	}
	return list
}

// noteSilent adds m to the list: it did not answer, or not what was asked, as
// one of an older program may. One that has ended is missing for a good reason.
func noteSilent(m wire.Member, err error, silent *[]control.Silent) {
	if errors.Is(err, wire.ErrGone) {
		return
	}
	row := control.Silent{Worker: m.ID, PID: m.PID}
	if e := (*wire.SilentError)(nil); errors.As(err, &e) {
		row.For = wire.InSeconds(e.Since)
	}
	*silent = append(*silent, row)
}

// limitOr returns n, or def for zero and below.
func limitOr(n, def int) int {
	if n > 0 {
		return n
	}
	return def
}
