package netserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"time"

	"netserver/access"
	"netserver/internal/admit"
	"netserver/internal/deadline"
	"netserver/internal/hello"
	"netserver/internal/session"
	"netserver/internal/slots"
	"netserver/logs"
	"netserver/outcome"
	"netserver/port"
	"netserver/proto"
)

// acceptLoop takes clients from one listener. It does nothing that can wait
// for a client, and ends only when the listener has.
func (r *run) acceptLoop(l *listening) {
	defer r.acceptBacklog(l)
	b := backoff{run: r, port: l.spec}
	for r.roomFor(l) {
		if l.datagram != nil && l.sessions == nil {
			select {
			case l.datagram <- struct{}{}:
			case <-r.draining:
				return
			}
		}
		nc, err := l.next()
		if err == nil {
			b.reset()
			r.take(l, nc)
			if l.plain && r.gate.MaxServing() > 0 {
				// It takes its place at once. Without a look at whether that
				// was the last one this loop would take clients that another
				// process could serve.
				runtime.Gosched()
			}
			continue
		}
		l.datagramDone()
		if r.isDraining() || errors.Is(err, io.EOF) {
			return
		}
		if errors.Is(err, net.ErrClosed) {
			r.lose(l, err)
			return
		}
		if deadline.IsTimeout(err) {
			continue // the gate interrupted us
		}
		if !b.wait(err) {
			return
		}
	}
}

// roomFor waits for room for one more client of l, and returns false when the
// server drains. There always is for the datagrams of sessions, and for who gets
// only an answer.
func (r *run) roomFor(l *listening) bool {
	if l.sessions != nil || l.answer != nil {
		return !r.isDraining()
	}
	return r.gate.Wait(l.Listener, r.draining)
}

// lose notes that somebody closed the listener under us.
func (r *run) lose(l *listening, err error) {
	if o, ok := l.Listener.(*listener); ok && o.retired.Load() {
		return
	}
	l.lost = &Error{Stage: StageAccept, Port: l.spec, Err: fmt.Errorf("the listener was closed while it was served: %w", err)}
	r.log.LogAttrs(context.Background(), slog.LevelError, "the listener was closed while it was served; nothing more is accepted on this port",
		slog.String("port", l.spec.Short()), slog.Any("err", err))
}

// backlogPause is how long a draining accept loop waits for one more client,
// and backlogTime how long it goes on while they come.
const (
	backlogPause = 10 * time.Millisecond
	backlogTime  = 500 * time.Millisecond
)

// errNoConn is what a listener of the program's own has done.
var errNoConn = errors.New("the listener returned neither a connection nor an error")

// next waits for the next connection.
func (l *listening) next() (net.Conn, error) {
	nc, err := l.Accept()
	if nc == nil && err == nil {
		err = errNoConn
	}
	return nc, err
}

// acceptBacklog takes the clients that have connected but were not accepted
// when the drain began. Their connect has succeeded, and closing the listener
// would reset them. (datagrams: they were sent, and are in the socket.)
func (r *run) acceptBacklog(l *listening) {
	if !r.isDraining() {
		return // the listener has ended by itself
	}
	for end := time.Now().Add(backlogTime); time.Now().Before(end) && !r.isNow() && (l.sessions != nil || r.gate.HasRoom()); {
		if slots.SetAcceptDeadline(l.Listener, time.Now().Add(backlogPause)) != nil || !l.tryDatagram() {
			return
		}
		nc, err := l.next()
		if err != nil {
			l.datagramDone()
			return
		}
		r.take(l, nc)
	}
}

// An arrival is a connection that was accepted, before anything is allocated
// for it.
type arrival struct {
	l      *listening
	nc     net.Conn
	peer   access.Peer
	source netip.Addr  // what limits count it under
	hello  hello.State // as much as there is of it; Unseen where nobody looks
}

// take sees to a connection that was accepted: it becomes a client or is
// refused. It waits for nothing.
func (r *run) take(l *listening, nc net.Conn) {
	a := r.arrive(l, nc)
	if a.hello.Err != nil && !r.srv.Hooks.seeClients() {
		r.gone(&a)
		return
	}
	if why := r.count(&a); why != admit.OK {
		r.refuse(&a, why)
		return
	}
	switch {
	case l.sessions != nil:
		r.takeDatagram(&a)
	case l.answer != nil:
		r.answer(&a)
	default:
		r.begin(&a)
	}
}

// arrive notes who has come, and how much of its hello with it.
func (r *run) arrive(l *listening, nc net.Conn) arrival {
	if l.datagram != nil {
		l.meter.Received.Add(1)
	}
	a := arrival{l: l, nc: nc, peer: access.PeerOf(nc.RemoteAddr()), hello: hello.Unseen}
	if l.spec.IsUnix() {
		a.peer.Unix = true
	}
	a.source = l.countedAs(a.peer)
	if l.hello && l.header == nil && r.queue != nil {
		a.hello = hello.Peek(l.socket(nc), l.most)
		l.deferral.Took(a.hello.Err != nil)
	}
	return a
}

// gone counts a connection whose client had left when it was accepted.
func (r *run) gone(a *arrival) {
	l, err := a.l, a.hello.Err
	o := outcomeOf(StageHandshake, err)
	if isSilent(err) && l.quiets(a.peer) {
		o = outcome.Probe
		l.meter.Quiet.Add(1)
	}
	l.outcomes[o].Add(1)
	r.charge(a.source, o)
	level, msg := logs.Notice, "failed"
	if o == outcome.Probe {
		level, msg = slog.LevelDebug, "probe"
	}
	if r.log.Enabled(context.Background(), level) && (o == outcome.Probe || r.mayLog(o)) {
		r.log.LogAttrs(context.Background(), level, msg, slog.String("port", l.spec.Short()),
			slog.String("peer", a.nc.RemoteAddr().String()), slog.String("stage", StageHandshake.String()),
			slog.String("err", err.Error()), slog.String("outcome", o.String()))
	}
	if f := r.srv.Hooks.Logged; f != nil {
		r.logged(a, f, StageHandshake, o, err)
	}
	a.nc.Close()
}

// answer gives an arrival what its port says to everybody, if the access rules let
// it in: it does not become a client. Rules that would have to look its name up
// let nobody in here.
func (r *run) answer(a *arrival) {
	l := a.l
	r.uncount(l, a.source)
	p := l.rules.store.Policy()
	if p.NeedsCred() && a.peer.Unix {
		if s, ok := l.socket(a.nc).(syscall.Conn); ok {
			a.peer.Cred, _ = access.CredOf(s)
		}
	}
	v := p.Early(a.peer)
	if v.Final && v.Allowed {
		l.outcomes[outcome.Probe].Add(1)
		r.answers.Give(a.nc, l.answer)
		return
	}
	l.outcomes[outcome.Denied].Add(1)
	r.charge(a.source, outcome.Denied)
	err := v.Err()
	if !v.Final {
		err = errNoName
	}
	if r.log.Enabled(context.Background(), logs.Notice) && r.mayLog(outcome.Denied) {
		r.log.LogAttrs(context.Background(), logs.Notice, "denied", slog.String("port", l.spec.Short()),
			slog.String("peer", a.nc.RemoteAddr().String()), slog.String("err", err.Error()))
	}
	if f := r.srv.Hooks.Logged; f != nil {
		r.logged(a, f, StageAdmit, outcome.Denied, err)
	}
	a.nc.Close()
}

// errNoName refuses who comes to a port with Health, where no names are looked
// up, and has to have one.
var errNoName = fmt.Errorf("%w: the rules need its name, which is not looked up on a port with health", errDenied)

// begin makes an arrival a client, and sends it on its way.
func (r *run) begin(a *arrival) {
	c := newConn(r, a)
	r.clients.prepare(c)
	r.clients.add(c)
	if a.l.sessions != nil {
		c.beginSession()
	} else {
		r.gate.Opened()
	}
	c.advance(laneAccept)
}

// Datagram reports whether the client is one datagram or a Session. Read returns
// the packet and after it io.EOF, and each Write sends one packet back.
func (c *Conn) Datagram() bool { return c.l.datagram != nil }

// sent counts a datagram that was written.
func (c *Conn) sent(n int, err error) {
	c.traffic.out.Add(uint64(n))
	if err == nil {
		c.l.meter.Sent.Add(1)
	}
}

// Session reports whether c is a session of datagrams: see proto.Sessions.
func (c *Conn) Session() bool { return c.l.sessions != nil }

// session returns the session that c is, or nil.
func (c *Conn) session() *session.Conn {
	s, _ := c.raw.(*session.Conn)
	return s
}

// takeDatagram gives a datagram to its client's session, and makes one if there
// is none.
func (r *run) takeDatagram(a *arrival) {
	peer := a.nc.RemoteAddr()
	s, ok := a.l.sessions.Take(a.nc.(session.Datagram))
	switch {
	case !ok:
		a.l.outcomes[outcome.OverLimit].Add(1)
		r.logRefused(outcome.OverLimit, "refused", a.l, peer, "sessions")
	case s != nil:
		a.nc = s
		r.begin(a)
	}
}

// beginSession makes c one that can be evicted.
func (c *Conn) beginSession() {
	if s := c.session(); s != nil {
		c.l.sessions.Begin(s, c.cut)
	}
}

// endSession notes what has passed in c's session, and gives its place back.
// What came too late for it begins another.
func (c *Conn) endSession() {
	s := c.session()
	if s == nil {
		return
	}
	next := c.l.sessions.Leave(s, c.err == nil && c.cause() == nil && !c.run.isNow())
	in, out, dropped := s.Counts()
	c.notes = append(c.notes, slog.Uint64("datagrams_in", in), slog.Uint64("datagrams_out", out))
	if dropped > 0 {
		c.l.meter.Dropped.Add(dropped)
		c.notes = append(c.notes, slog.Uint64("dropped", dropped))
	}
	if next != nil {
		c.run.begin(&arrival{l: c.l, nc: next, peer: c.peer, source: c.admission.source, hello: c.hello})
	}
}

// socket returns the socket of a connection that was accepted.
func (l *listening) socket(nc net.Conn) net.Conn {
	if l.own {
		return proto.Socket(nc)
	}
	return nc
}

// tryDatagram takes a place for a datagram, if there is one; on stream ports
// there always is.
func (l *listening) tryDatagram() bool {
	if l.datagram == nil || l.sessions != nil {
		return true
	}
	select {
	case l.datagram <- struct{}{}:
		return true
	default:
		return false
	}
}

// datagramDone gives the place back.
func (l *listening) datagramDone() {
	if l.datagram != nil && l.sessions == nil {
		<-l.datagram
	}
}

// A backoff slows an accept loop down while the system refuses, and logs that
// at most once a second.
type backoff struct {
	run    *run
	port   port.Spec
	delay  time.Duration
	logged time.Time
	errors int
}

// maxBackoff is short: what frees a descriptor may be no client.
const maxBackoff = 50 * time.Millisecond

func (b *backoff) reset() {
	if b.delay == 0 {
		return
	}
	b.run.log.Log(context.Background(), logs.Notice, "accepting again",
		"port", b.port.Short(), "failed", b.errors)
	b.delay, b.errors, b.logged = 0, 0, time.Time{}
}

// wait pauses after err, a little longer each time. It returns false when the
// server drains.
func (b *backoff) wait(err error) bool {
	if errors.Is(err, syscall.ECONNABORTED) {
		return true // that client left before we came: nobody's fault
	}
	b.errors++
	if now := time.Now(); now.Sub(b.logged) >= time.Second {
		b.logged = now
		b.run.log.Log(context.Background(), slog.LevelError,
			"cannot accept; clients wait in the backlog: "+acceptAdvice(err),
			"port", b.port.Short(), "err", err, "failed", b.errors,
			"clients", b.run.clients.count())
	}
	b.delay = min(max(2*b.delay, 5*time.Millisecond), maxBackoff)
	b.run.starved.Store(true)
	t := time.NewTimer(b.delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-b.run.freed: // a descriptor came back: try at once
	case <-b.run.draining:
		return false
	}
	return true
}

func acceptAdvice(err error) string {
	switch {
	case errors.Is(err, syscall.EMFILE):
		return "the process is out of descriptors (raise its limit, ulimit -n, or set max_connections)"
	case errors.Is(err, syscall.ENFILE):
		return "the system is out of descriptors (raise fs.file-max)"
	default:
		return "the system refuses"
	}
}
