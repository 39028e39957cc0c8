package netserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"netserver/internal/admit"
	"netserver/internal/deadline"
	"netserver/internal/hello"
	"netserver/internal/relay"
	"netserver/outcome"
	"netserver/proto"
	"netserver/tlsparams"
)

// A turn is a Conn as the handshake scheduler knows it.
type turn Conn

// Start goes on with the handshake on a pooled goroutine.
func (c *turn) Start() { c.run.pool.Run((*Conn)(c)) }

// Cut ends the handshake.
func (c *turn) Cut(why error) { (*Conn)(c).cut(namingLimit(why)) }

// namingLimit returns why the queue ended a handshake, with the key of the
// limit if it was one.
func namingLimit(why error) error {
	if limit := admit.ShedFor(why); limit != admit.OK {
		return fmt.Errorf("%w (%s)", why, limitKeys[limit])
	}
	return why
}

// newQueue makes the handshake scheduler, or none.
func (r *run) newQueue() *admit.Queue {
	if r.cfg.Admission.NoQueue {
		return nil
	}
	return admit.NewQueue(admit.QueueConfig{
		Max:          r.cfg.Admission.Handshakes.All,
		MaxPerSource: r.cfg.Admission.Handshakes.PerSource,
		MaxPerPrefix: r.cfg.Admission.Handshakes.PerPrefix,
		Shadow:       r.cfg.Admission.Shadow,
	})
}

// deferAccept returns how long the kernel may keep the connections of a port
// that speaks t while they say nothing; 0 if it must not: a client with a PROXY
// header or with a short limit has to be seen at once.
func (e *effective) deferAccept(t proto.Transport) time.Duration {
	first, ok := t.(proto.TLSFirst)
	if !ok || !first.TLSFirst() || e.Proxy.Mode != ProxyOff {
		return 0
	}
	for _, limit := range []time.Duration{e.Timeouts.Handshake, e.Timeouts.FirstByte} {
		if limit > 0 && limit < 2*e.Admission.DeferAccept {
			return 0
		}
	}
	return e.Admission.DeferAccept
}

// ready makes the connection usable.
func (c *Conn) ready() (nc net.Conn, err error) {
	t := c.admission.ticket.Load()
	ctx := c.addressed(c.ctx)
	if _, ours := c.l.transport.(*proto.TLSTransport); ours && c.run.srv.Hooks.Accepted == nil {
		// Its handshake ends with the connection, which cut closes. What would
		// watch for the end of c.ctx stays with the client for as long as it
		// is here.
		ctx = context.WithoutCancel(ctx)
	}
	if t == nil {
		return c.l.transport.Ready(ctx, c.nc)
	}
	t.Begin()
	if err := t.Err(); err != nil {
		return nil, namingLimit(err)
	}
	if err := c.hasLeft(); err != nil {
		return nil, err
	}
	// Of a failed handshake the turn is over when the connection is closed,
	// since that is work as well; but a hook may wait.
	defer func() {
		if err == nil || c.run.srv.Hooks.HandshakeFailed != nil {
			t.Done()
		}
	}()
	w := (*watched)(c)
	nc, err = c.l.transport.Ready(ctx, w)
	if nc == net.Conn(w) {
		nc = c.nc
	}
	return nc, err
}

// patience is how long a client may have waited for its turn without being
// looked at once more: whether it is still there.
const patience = time.Millisecond

// hasLeft returns the error of a client that has reset its connection while it
// waited for its turn.
func (c *Conn) hasLeft() error {
	if c.l.hello && hello.Bare(c.raw) && time.Since(c.begin) > patience {
		return hello.Failed(c.raw)
	}
	return nil
}

// awaitHello waits for the client's hello on a goroutine of its own.
func (c *Conn) awaitHello() { (*greeting)(c).Heard(hello.Await((*greeting)(c), c.raw)) }

// heard returns how the wait for the hello ended: nil when it is whole.
func (c *Conn) heard() error {
	if c.hello.Err == nil {
		c.l.meter.Hello.Observe(time.Since(c.begin))
		if c.trace != nil {
			c.trace.mark(&c.trace.hello, c.begin)
		}
	}
	return c.hello.Err
}

// A greeting is a Conn as the hello wait knows it.
type greeting Conn

// ID returns the client's number.
func (g *greeting) ID() uint64 { return g.id }

// Most returns as much of its hello as is waited for.
func (g *greeting) Most() int { return g.l.most }

// Cause returns why the client was cut.
func (g *greeting) Cause() error { return (*Conn)(g).cause() }

// Deadline returns when a client is cut whose hello is not whole by then, and
// the error that this is. Zero is never.
func (g *greeting) Deadline(begun bool, now time.Time) (end time.Time, why error) {
	limit := g.l.cfg.Timeouts.Handshake
	if limit > 0 {
		end, why = g.begin.Add(limit), g.l.slow
	}
	from, phase, name := g.begin, g.l.cfg.Timeouts.FirstByte, errFirstByteTimeout
	if begun {
		from, phase, name = now, g.l.cfg.Timeouts.Hello, errHelloTimeout
	}
	if phase > 0 && (end.IsZero() || from.Add(phase).Before(end)) {
		end, why = from.Add(phase), name
	}
	return end, why
}

// Heard ends the wait, with an error for a client that does not get to its
// handshake. It waits for nothing.
func (g *greeting) Heard(err error) {
	g.hello.Err = err
	(*Conn)(g).advance(laneHello)
}

// newRoom opens the hello room if there are ports for it. It returns nil where a
// goroutine must wait for each client.
func (r *run) newRoom() *hello.Room {
	if r.queue == nil || !slices.ContainsFunc(r.ls, (*listening).hasRoom) {
		return nil
	}
	room, err := hello.NewRoom()
	if err != nil {
		return nil
	}
	return room
}

// hasRoom reports whether clients of the port can wait in the hello room.
func (l *listening) hasRoom() bool { return l.hello }

// handshakeErr says what a handshake means that has failed since begin.
func (c *Conn) handshakeErr(err error, begin time.Time) error {
	limit := c.l.cfg.Timeouts.Handshake
	if deadline.IsTimeout(err) && limit > 0 && time.Since(begin) >= limit {
		return c.l.slow
	}
	if d := (*tlsparams.Denied)(nil); errors.As(err, &d) {
		return fmt.Errorf("%w: %w", errDenied, d)
	}
	return err
}

// queueUp gives a client its place in the handshake scheduler, where it counts
// from now on.
func (c *Conn) queueUp() error {
	t := c.run.queue.Add(c.peer.IP, (*turn)(c), c.l.cfg.Timeouts.Handshake)
	c.admission.ticket.Store(t)
	if limit := t.Over(); limit != admit.OK {
		c.run.wouldRefuse(c.l, outcome.Shed, c.RemoteAddr(), limit)
	}
	return nil
}

// shakeHands makes the connection usable, within an absolute deadline.
func (c *Conn) shakeHands() error {
	if c.l.transport == nil {
		c.become(c.raw)
		c.limits.Begin()
		return nil
	}
	if c.trace != nil && !c.l.plain {
		c.traceHandshake()
	}
	if c.l.passer != nil {
		if passed, err := c.passThrough(); passed || err != nil {
			return err
		}
	}
	limit := c.l.cfg.Timeouts.Handshake
	if !c.l.plain && limit > 0 {
		c.raw.SetDeadline(c.begin.Add(limit))
	}
	turn := time.Now()
	nc, err := c.ready()
	if err != nil {
		return c.handshakeErr(err, c.begin)
	}
	if !c.l.plain && limit > 0 {
		c.raw.SetDeadline(time.Time{})
	}
	c.become(nc)
	if !c.l.plain {
		c.measure(time.Since(turn))
	}
	if c.nc != c.raw && c.admission.price > 0 {
		c.run.limiter.Reserve(priceTLS - int64(c.admission.price))
		c.admission.price = priceTLS
	}
	c.limits.Begin()
	return nil
}

// measure counts a handshake that has succeeded.
func (c *Conn) measure(took time.Duration) {
	m := &c.l.meter
	m.Shake.Observe(took)
	if t := c.admission.ticket.Load(); t != nil {
		m.Turn.Observe(t.Held())
		m.Spent.Add(uint64(t.Took()))
	}
	if t, ok := c.nc.(proto.Secured); ok {
		st := t.ConnectionState()
		c.run.mix.Observe(st.Version, uint16(st.CurveID), st.CipherSuite, st.DidResume, took)
	}
}

// passThrough asks the Handler whether it takes the client undecrypted, and if
// so leaves it as it is. Who sends something else than a hello is told so by the
// handshake; but a hello that cannot be read here ends the client, as it may be
// for another server, and TLS may read it all the same.
func (c *Conn) passThrough() (passed bool, err error) {
	h, err := c.readHello()
	if err != nil {
		c.raw.SetWriteDeadline(time.Now().Add(relay.LingerTime))
		proto.RefuseHello(c.raw)
		return false, err
	}
	if h == nil || c.l.answersChallenge(h) || !c.l.passer.PassesThrough(h, c.peer.IP) {
		return false, nil
	}
	if t := c.admission.ticket.Load(); t != nil {
		defer t.Done()
		t.Begin()
		if err := t.Err(); err != nil {
			return false, namingLimit(err)
		}
	}
	c.pass(h)
	c.become(c.raw)
	c.limits.Begin()
	return true, nil
}

// Hello returns what the client of a TLS port said first whom the Handler, a
// proto.Passer, takes undecrypted; nil for every other. Those bytes are still
// to be read. It must not be changed.
func (c *Conn) Hello() *proto.ClientHello {
	if c.trace == nil {
		return nil
	}
	return c.trace.passed
}

// answersChallenge reports whether the client is a certificate authority, and
// the port has the answer that it looks for, whoever the name's clients go to.
func (l *listening) answersChallenge(h *proto.ClientHello) bool {
	t, ok := l.transport.(proto.Challenged)
	return ok && t.AnswersChallenge(h)
}

// helloBuffers hold hellos while they are read.
type helloBuffers struct{ sync.Pool }

func (p *helloBuffers) get() *[hello.Longest]byte {
	if b, ok := p.Get().(*[hello.Longest]byte); ok {
		return b
	}
	return new([hello.Longest]byte)
}

// readHello reads the client's hello, which is whole and stays in the kernel;
// nil if there is none. Of one that cannot be read the error is
// proto.ErrBadHello.
func (c *Conn) readHello() (*proto.ClientHello, error) {
	if !hello.Bare(c.raw) {
		return nil, nil
	}
	b := c.run.hellos.get()
	defer c.run.hellos.Put(b)
	n, err := hello.Copy(c.raw, b[:])
	if err != nil {
		return nil, nil // which the handshake meets as well
	}
	h, err := proto.ParseClientHello(b[:n])
	if err == nil || !hello.Begins(b[:n]) {
		return h, nil
	}
	return nil, proto.ErrBadHello
}

// passerOf returns the Handler if it takes some TLS clients undecrypted.
func passerOf(h Handler) proto.Passer {
	if p, ok := HandlerAs[proto.Passer](h); ok && p.Passes() {
		return p
	}
	return nil
}

// become makes nc, which Ready returned, what the Handler reads and writes.
func (c *Conn) become(nc net.Conn) {
	c.nc = nc
	c.wait, _ = nc.(proto.Waiter)
	c.rc = relay.RawOf(nc)
	if c.rates == nil && c.l.datagram == nil {
		c.rates = deadline.NewRates(&c.l.minimum, (*rated)(c), c.raw)
	}
	c.rates.Follow(nc)
}

// watched is a Conn as its Transport sees it in the handshake: the accepted
// connection, which tells the handshake scheduler when it waits.
type watched Conn

var _ proto.Waits = (*watched)(nil)

// Waiting tells that the handshake waits for the network. A Transport of others
// may go on to read from here when the handshake is over, and no ticket is left.
func (w *watched) Waiting() {
	if t := w.admission.ticket.Load(); t != nil {
		t.Waiting()
	}
}

// Woken tells that the network has something, and may wait for a turn.
func (w *watched) Woken() {
	if t := w.admission.ticket.Load(); t != nil {
		t.Woken()
	}
}

// NetConn returns what Accept returned.
func (w *watched) NetConn() net.Conn {
	if w.l.own {
		return w.nc // which is Ready's to change after the handshake only
	}
	return w.raw
}

// Read reads, and counts as waiting for the network meanwhile.
func (w *watched) Read(b []byte) (int, error) {
	w.Waiting()
	n, err := w.raw.Read(b)
	w.Woken()
	return n, err
}

// The others are those of the accepted connection.
func (w *watched) Write(b []byte) (int, error)        { return w.raw.Write(b) }
func (w *watched) Close() error                       { return w.raw.Close() }
func (w *watched) LocalAddr() net.Addr                { return w.raw.LocalAddr() }
func (w *watched) RemoteAddr() net.Addr               { return w.raw.RemoteAddr() }
func (w *watched) SetDeadline(t time.Time) error      { return w.raw.SetDeadline(t) }
func (w *watched) SetReadDeadline(t time.Time) error  { return w.raw.SetReadDeadline(t) }
func (w *watched) SetWriteDeadline(t time.Time) error { return w.raw.SetWriteDeadline(t) }
