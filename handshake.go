package netserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"netserver/access"
	"netserver/internal/admit"
	"netserver/internal/deadline"
	"netserver/internal/hello"
	"netserver/internal/relay"
	"netserver/logs"
	"netserver/proto"
	"netserver/sock"
	"netserver/tlsparams"
)

// A ration is a Conn as the handshake queue knows it.
type ration Conn

// Start goes on with the handshake on a pooled goroutine.
func (c *ration) Start() { c.run.pool.Run((*Conn)(c)) }

// Cut ends the handshake.
func (c *ration) Cut(why error) { (*Conn)(c).cut(namingLimit(why)) }

// namingLimit returns why the queue ended a handshake, with the key of the
// limit if it was one.
func namingLimit(why error) error {
	if limit := admit.ShedFor(why); limit != admit.OK {
		return fmt.Errorf("%w (%s)", why, limitKeys[limit])
	}
	return why
}

// newQueue makes the handshake queue, or none.
func (r *run) newQueue() *admit.Queue {
	if r.cfg.HandshakeQueue == "none" {
		return nil
	}
	return admit.NewQueue(admit.QueueConfig{
		Max:          r.cfg.MaxHandshakes,
		MaxPerSource: r.cfg.MaxHandshakesPerSource,
		MaxPerPrefix: r.cfg.MaxHandshakesPerPrefix,
		Shadow:       r.cfg.LimitsShadow,
	})
}

// deferAccept returns how long the kernel may keep the connections of a port
// that speaks t while they say nothing; 0 if it must not: a client with a PROXY
// header or with a short limit has to be seen at once.
func (e *effective) deferAccept(t proto.Transport) time.Duration {
	tls, ok := t.(*proto.TLSTransport)
	if !ok || tls.Plain() || e.ProxyProtocol != ProxyOff {
		return 0
	}
	for _, limit := range []time.Duration{e.HandshakeTimeout, e.FirstByteTimeout} {
		if limit > 0 && limit < 2*e.DeferAccept {
			return 0
		}
	}
	return e.DeferAccept
}

// ready makes the connection usable.
func (c *Conn) ready() (nc net.Conn, err error) {
	t := c.ticket.Load()
	ctx := c.addressed(c.ctx)
	if t == nil {
		return c.l.transport.Ready(ctx, c.raw)
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
	if p, ok := c.l.transport.(proto.Rationed); ok {
		return p.ReadyIn(ctx, c.raw, t)
	}
	w := &watched{Conn: c.raw, t: t}
	nc, err = c.l.transport.Ready(ctx, w)
	if nc == net.Conn(w) {
		nc = c.raw
	}
	return nc, err
}

// patience is how long a client may have waited for its turn without being
// looked at once more: whether it is still there.
const patience = time.Millisecond

// hasLeft returns the error of a client that has reset its connection while it
// waited for its turn.
func (c *Conn) hasLeft() error {
	if tc, ok := c.raw.(*net.TCPConn); ok && c.l.hello && time.Since(c.begin) > patience {
		return hello.Failed(tc)
	}
	return nil
}

// arrive takes a client of the queue to where it wants the CPU: first through
// what is decided before any byte, then to the end of its hello, of which there
// is as much as first says. Until then it has no TLS state; and neither then,
// in the hello room, nor while it waits for its turn afterwards has it a goroutine.
func (c *Conn) arrive(first hello.State) {
	c.live(StageAccept)
	if c.from != StageHandshake {
		return // denied
	}
	if c.l.header != nil {
		c.enqueue() // under the address that the header told
	}
	switch {
	case first.Err != nil:
		(*greeting)(c).Heard(first.Err)
	case !c.l.hello || first.Missing == 0:
		c.ticket.Load().Submit()
	case !c.run.room.Enter((*greeting)(c), c.raw, first):
		go c.greet() // this stack may have grown: 2 KiB more for each
	}
}

// greet waits for the client's hello on its own goroutine.
func (c *Conn) greet() { (*greeting)(c).Heard(hello.Await((*greeting)(c), c.raw)) }

// gone counts a connection whose client had left when it was accepted.
func (r *run) gone(l *listening, nc net.Conn, err error) {
	o := outcomeOf(StageHandshake, err)
	l.outcomes[o].Add(1)
	peer := nc.RemoteAddr()
	r.charge(access.PeerOf(peer).IP, o)
	if r.log.Enabled(context.Background(), logs.Notice) && r.mayLog(o) {
		r.log.LogAttrs(context.Background(), logs.Notice, "failed", slog.String("port", l.spec.Short()),
			slog.String("peer", peer.String()), slog.String("stage", StageHandshake.String()),
			slog.String("err", err.Error()), slog.String("outcome", o.String()))
	}
	nc.Close()
}

// A greeting is a Conn as the hello wait knows it.
type greeting Conn

// ID returns the client's number.
func (g *greeting) ID() uint64 { return g.id }

// Cause returns why the client was cut.
func (g *greeting) Cause() error { return (*Conn)(g).cause() }

// Deadline returns when a client is cut whose hello is not whole by then, and
// the error that this is. Zero is never.
func (g *greeting) Deadline(begun bool, now time.Time) (end time.Time, why error) {
	limit := g.l.cfg.HandshakeTimeout
	if limit > 0 {
		end, why = g.begin.Add(limit), errHandshakeTimeout(limit)
	}
	from, phase, name := g.begin, g.l.cfg.FirstByteTimeout, ErrFirstByteTimeout
	if begun {
		from, phase, name = now, g.l.cfg.HelloTimeout, ErrHelloTimeout
	}
	if phase > 0 && (end.IsZero() || from.Add(phase).Before(end)) {
		end, why = from.Add(phase), name
	}
	return end, why
}

// Heard ends the wait, with an error for a client that does not get to its
// handshake. It waits for nothing.
func (g *greeting) Heard(err error) {
	c := (*Conn)(g)
	if err == nil {
		c.ticket.Load().Submit()
		return
	}
	c.fail(StageHandshake, err)
	if c.run.srv.Hooks.seeClients() {
		go c.finish() // what a program adds may wait
		return
	}
	c.finish()
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
func (l *listening) hasRoom() bool {
	_, ok := below(l.Listener).(*sock.StreamListener)
	return ok && l.hello
}

// handshakeErr says what a failed handshake means.
func (c *Conn) handshakeErr(err error) error {
	limit := c.l.cfg.HandshakeTimeout
	if deadline.IsTimeout(err) && limit > 0 && time.Since(c.begin) >= limit {
		return errHandshakeTimeout(limit)
	}
	if d := (*tlsparams.Denied)(nil); errors.As(err, &d) {
		return fmt.Errorf("%w: %w", ErrDenied, d)
	}
	return err
}

// watched tells the queue of the waiting of a Transport that does not do so
// itself.
type watched struct {
	net.Conn
	t *admit.Ticket
}

// Read reads, and counts as waiting for the network meanwhile.
func (w *watched) Read(b []byte) (int, error) {
	w.t.Waiting()
	n, err := w.Conn.Read(b)
	w.t.Woken()
	return n, err
}

// NetConn returns the accepted connection.
func (w *watched) NetConn() net.Conn { return w.Conn }

// enqueue adds a client that will shake hands to the queue.
func (c *Conn) enqueue() {
	q := c.run.queue
	if q == nil {
		return
	}
	t := q.Add(c.peer.IP, (*ration)(c), c.l.cfg.HandshakeTimeout)
	c.ticket.Store(t)
	if limit := t.Over(); limit != admit.OK {
		c.run.wouldRefuse(c.l, OutcomeShed, c.RemoteAddr(), limit)
	}
}

// handshake makes the connection usable, within an absolute deadline.
func (c *Conn) handshake() error {
	if c.l.transport == nil {
		c.become(c.raw)
		c.limits.Begin()
		return nil
	}
	limit := c.l.cfg.HandshakeTimeout
	if !c.l.plain && limit > 0 {
		c.raw.SetDeadline(c.begin.Add(limit))
	}
	nc, err := c.ready()
	if err != nil {
		return c.handshakeErr(err)
	}
	if !c.l.plain && limit > 0 {
		c.raw.SetDeadline(time.Time{})
	}
	c.become(nc)
	if c.nc != c.raw && c.price > 0 {
		c.run.limiter.Reserve(priceTLS - c.price)
		c.price = priceTLS
	}
	c.limits.Begin()
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
