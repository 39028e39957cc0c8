package netserver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"netserver/admit"
	"netserver/proto"
	"netserver/tlsparams"
)

// A helloWait waits for a client's hello.
type helloWait struct {
	begun func() // called once, when there is a part of it
	why   error  // what a passed deadline means, if not that of the handshake
}

// errSilent ends a client that left without a byte: a probe, mostly.
var errSilent = fmt.Errorf("the client left without a word: %w", io.ErrUnexpectedEOF)

// A ration is a Conn as the handshake queue knows it.
type ration Conn

// Start goes on with the handshake on a pooled goroutine.
func (c *ration) Start() { c.run.pool.run((*Conn)(c)) }

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
	})
}

// ready makes the connection usable.
func (c *Conn) ready() (net.Conn, error) {
	t := c.ticket.Load()
	if t == nil {
		return c.l.transport.Ready(c.ctx, c.raw)
	}
	t.Begin()
	if err := t.Err(); err != nil {
		return nil, err
	}
	defer t.Done()
	if p, ok := c.l.transport.(proto.Rationed); ok {
		return p.ReadyIn(c.ctx, c.raw, t)
	}
	w := &watched{Conn: c.raw, t: t}
	nc, err := c.l.transport.Ready(c.ctx, w)
	if nc == net.Conn(w) {
		nc = c.raw
	}
	return nc, err
}

// arrive takes a client of the queue to where it wants the CPU: first through
// what is decided before any byte, then to the end of its hello. Until then it
// costs a small stack and no TLS state; and while it then waits for its turn,
// no goroutine.
func (c *Conn) arrive() {
	c.live(StageAccept)
	if c.from != StageHandshake {
		return // denied
	}
	if c.l.header != nil {
		c.enqueue() // under the address that the header told
	}
	if c.l.hello {
		go c.greet() // this stack may have grown: 2 KiB more for each
		return
	}
	c.ticket.Load().Submit()
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
	if err = c.handshakeErr(err); h.why != nil && isTimeout(err) {
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
		end = nearest(end, c.begin.Add(h))
	}
	return end
}

// handshakeErr says what a failed handshake means.
func (c *Conn) handshakeErr(err error) error {
	limit := c.l.cfg.handshakeTimeout()
	if isTimeout(err) && limit > 0 && time.Since(c.begin) >= limit {
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
	if q := c.run.queue; q != nil {
		c.ticket.Store(q.Add(c.peer.IP, (*ration)(c), c.l.cfg.handshakeTimeout()))
	}
}
