package netserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"netserver/access"
	"netserver/internal/admit"
	"netserver/internal/deadline"
	"netserver/proto"
	"netserver/tlsparams"
)

// A helloWait waits for a client's hello.
type helloWait struct {
	begun func() // called once, when there is a part of it
	why   error  // what a passed deadline means, if not that of the handshake
}

// A helloState is how much of a client's first TLS record there is.
type helloState struct {
	have    int   // bytes, or some of them
	missing int   // how many there must be for it to be whole or to tell more; 0 if it is whole, or no TLS
	dead    error // the client has left
}

// begun reports whether there is anything.
func (s helloState) begun() bool { return s.have > 0 }

// errSilent ends a client that left without a byte: a probe, mostly.
var errSilent = fmt.Errorf("the client left without a word: %w", io.ErrUnexpectedEOF)

// A ration is a Conn as the handshake queue knows it.
type ration Conn

// Start goes on with the handshake on a pooled goroutine.
func (c *ration) Start() { c.run.pool.Run((*Conn)(c)) }

// Cut ends the handshake.
func (c *ration) Cut(why error) { (*Conn)(c).cut(why) }

// newQueue makes the handshake queue, or none.
func (r *run) newQueue() *admit.Queue {
	if !r.cfg.fairHandshakes() {
		return nil
	}
	return admit.NewQueue(admit.QueueConfig{
		Max:          r.cfg.maxHandshakesOf(r.maxConns()),
		MaxPerSource: r.cfg.maxHandshakesPerSource(),
		MaxPerPrefix: r.cfg.maxHandshakesPerPrefix(),
		Shadow:       r.cfg.LimitsShadow,
	})
}

// deferAccept returns how long the kernel may keep the connections of a port
// that speaks t while they say nothing; 0 if it must not: a client with a PROXY
// header or with a short limit has to be seen at once.
func (c *Config) deferAccept(t proto.Transport) time.Duration {
	tls, ok := t.(*proto.TLSTransport)
	d := c.deferAfter()
	if !ok || tls.Plain() || c.ProxyProtocol != "" && c.ProxyProtocol != ProxyOff {
		return 0
	}
	for _, limit := range []time.Duration{c.handshakeTimeout(), c.firstByteTimeout()} {
		if limit > 0 && limit < 2*d {
			return 0
		}
	}
	return d
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
		return nil, err
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
		return hasFailed(tc)
	}
	return nil
}

// arrive takes a client of the queue to where it wants the CPU: first through
// what is decided before any byte, then to the end of its hello, of which there
// is as much as hello says. Until then it has no TLS state; and neither then,
// in the lobby, nor while it waits for its turn afterwards has it a goroutine.
func (c *Conn) arrive(hello helloState) {
	c.live(StageAccept)
	if c.from != StageHandshake {
		return // denied
	}
	if c.l.header != nil {
		c.enqueue() // under the address that the header told
	}
	switch {
	case hello.dead != nil:
		c.dismiss(hello.dead)
	case !c.l.hello || hello.missing == 0:
		c.ticket.Load().Submit()
	case c.run.lobby == nil || !c.run.lobby.enter(c, hello):
		go c.greet() // this stack may have grown: 2 KiB more for each
	}
}

// greet waits for the client's hello, and then for its turn.
func (c *Conn) greet() {
	if err := c.awaitHello(); err != nil {
		c.fail(StageHandshake, err)
		c.finish()
		return
	}
	c.ticket.Load().Submit()
}

// peekAccepted sees what there is of the hello of a connection that was just
// accepted. One that is dead is of no use, whatever it sent before.
func peekAccepted(nc net.Conn) helloState {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return helloState{missing: 1}
	}
	state, err := lookForHello(tc)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return helloState{missing: 1}
	case err == nil && state.begun():
		err = hasFailed(tc)
	}
	state.dead = err
	return state
}

// gone counts a connection whose client had left when it was accepted.
func (r *run) gone(l *listening, nc net.Conn, err error) {
	o := outcomeOf(StageHandshake, err)
	l.outcomes[o].Add(1)
	peer := nc.RemoteAddr()
	r.charge(access.PeerOf(peer).IP, o)
	if r.log.Enabled(context.Background(), LevelNotice) && r.mayLog(o) {
		r.log.LogAttrs(context.Background(), LevelNotice, "failed", slog.String("port", l.spec.Short()),
			slog.String("peer", peer.String()), slog.String("stage", StageHandshake.String()),
			slog.String("err", err.Error()), slog.String("outcome", o.String()))
	}
	nc.Close()
}

// awaitHello waits for the client's first words, within their deadlines.
func (c *Conn) awaitHello() error {
	h := helloWait{}
	if limit := c.l.cfg.firstByteTimeout(); limit > 0 {
		c.raw.SetReadDeadline(c.helloDeadline(c.begin, limit))
		h.why = ErrFirstByteTimeout
	} else if end := c.helloDeadline(c.begin, 0); !end.IsZero() {
		c.raw.SetReadDeadline(end)
	}
	if limit := c.l.cfg.helloTimeout(); limit > 0 {
		h.begun = func() {
			c.raw.SetReadDeadline(c.helloDeadline(time.Now(), limit))
			h.why = ErrHelloTimeout
		}
	}
	err := h.wait(c.raw)
	if err == nil {
		return nil
	}
	if err = c.handshakeErr(err); h.why != nil && deadline.IsTimeout(err) {
		return h.why
	}
	return err
}

// helloDeadline returns from plus limit, or the end of the handshake if that
// is earlier; zero is none.
func (c *Conn) helloDeadline(from time.Time, limit time.Duration) (end time.Time) {
	if limit > 0 {
		end = from.Add(limit)
	}
	if h := c.l.cfg.handshakeTimeout(); h > 0 {
		end = deadline.Nearest(end, c.begin.Add(h))
	}
	return end
}

// handshakeErr says what a failed handshake means.
func (c *Conn) handshakeErr(err error) error {
	limit := c.l.cfg.handshakeTimeout()
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
	t := q.Add(c.peer.IP, (*ration)(c), c.l.cfg.handshakeTimeout())
	c.ticket.Store(t)
	if limit := t.Over(); limit != admit.OK {
		c.run.wouldRefuse(c.l, OutcomeShed, c.RemoteAddr(), limit)
	}
}
