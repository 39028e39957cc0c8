package netserver

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"netserver/access"
	"netserver/internal/admit"
	"netserver/internal/deadline"
	"netserver/internal/hello"
	"netserver/internal/relay"
	"netserver/logs"
	"netserver/outcome"
	"netserver/port"
	"netserver/proto"
)

// A Conn is one client: a byte stream, or one datagram and the way back to its
// sender. It has all methods of net.Conn and keeps their rules: one goroutine
// may read while others write, and deadlines and Close may come from anywhere.
// Its line methods (ReadLine, ReadUntil, Peek, Buffered) belong to the reading
// goroutine.
//
// The engine closes a Conn when its Handler returns. Whoever has kept it gets an
// error that wraps net.ErrClosed from its reads and writes then.
type Conn struct {
	// Up to 632 bytes fit into the allocator's 640. With more, every client
	// takes 704, silent ones too.

	// What is counted over all clients each second stands in one line of the
	// CPU's cache.
	l       *listening
	traffic traffic
	progress
	stream

	run    *run
	id     uint64
	peer   access.Peer
	begin  time.Time
	ctx    context.Context // clientCtx, or what Hooks.Accepted made of that
	ending atomic.Pointer[clientEnd]
	notes  []slog.Attr // its goroutine's, which changes them with its shard locked

	admission admission
	verdicts  verdicts
	limits    deadline.Limits
	rates     *deadline.Rates // nil if there are none
	lines     lines
}

// A stream is what a client's bytes pass through.
type stream struct {
	nc      net.Conn                          // what Ready returned; until then what Accept returned
	raw     net.Conn                          // what Accept returned, or its socket if that speaks TLS by itself
	wait    proto.Waiter                      // nc, if it can wait without a buffer
	rc      syscall.RawConn                   // of nc, if it is a plain socket
	proxied atomic.Pointer[proto.ProxyHeader] // what raw began with, if it did
}

// A progress is how far a client has come.
type progress struct {
	stage    stageCell    // the one last entered
	at       uint8        // the step of its route
	shadowed bool         // a rule in shadow mode would refuse it, and that is logged
	place    atomic.Int32 // what it has of the Handler; see notPlaced
	isClosed atomic.Bool
	hello    hello.State             // of its hello when it came; Err is how the wait for the rest ended
	trace    *trace                  // what Hooks.Trace asks for, and the hello of a client that is served undecrypted; nil of most
	parking  atomic.Pointer[parking] // of a client that has given its goroutine back once
	err      *Error                  // what ended it
	cutBy    atomic.Pointer[error]   // why it was ended from outside
}

// An admission is what a client holds of what there is only so much of.
type admission struct {
	source netip.Addr                   // what limits count it under
	price  int32                        // the bytes that it has reserved
	placed uint32                       // when it got its place in the Handler, in microseconds after begin
	ticket atomic.Pointer[admit.Ticket] // its place in the handshake scheduler, if it has one
}

// verdicts are why a client may be here. Others than its goroutine look at them.
type verdicts struct {
	cert  atomic.Pointer[verdict] // of the Transport's Judge, if it has one
	rules atomic.Pointer[ruled]   // of the access rules, if they can change
	host  atomic.Pointer[string]  // its name, once it is looked up
}

// traffic is what has passed.
type traffic struct {
	in, out atomic.Uint64 // bytes that the Handler has read and written
}

// lines are what line reads have read ahead of the Handler.
type lines struct {
	buf    lineBuffer
	reader readerState      // whose they are
	marks  marks            // here, where there is room
	raw    *relay.RawReader // reads into buf, on plain sockets; nil until then
}

func newConn(r *run, a *arrival) *Conn {
	l, nc := a.l, a.nc
	if l.header != nil && l.header.optional && !l.own {
		nc = proto.Peekable(nc)
	}
	c := &Conn{run: r, l: l, id: r.lastID.Add(1), peer: a.peer, begin: time.Now()}
	c.trace = l.newTrace()
	c.nc, c.raw = nc, l.socket(nc)
	c.hello = a.hello
	c.admission.source, c.admission.price = a.source, l.price
	c.limits.Init(&l.limits, c.begin)
	if d := l.deferral.Now(); d > 0 && !a.hello.Begun() {
		c.begin = c.begin.Add(-d) // it said nothing for so long
	}
	return c
}

// ID numbers the clients of a Serve from 1. It is in every record of this
// client.
func (c *Conn) ID() uint64 { return c.id }

// Port returns the port that the client came in by.
func (c *Conn) Port() port.Spec { return c.l.spec }

// Peer returns what is known of the client: its address, which is that of its
// PROXY header from StageHeader on, and its name from StageAccess on if names
// are looked up.
func (c *Conn) Peer() access.Peer { return c.peer }

// TLS returns the state of the client's TLS connection, or nil if it has none.
func (c *Conn) TLS() *tls.ConnectionState {
	if t, ok := c.nc.(proto.Secured); ok {
		s := t.ConnectionState()
		return &s
	}
	return nil
}

// Draining returns a channel that is closed when the server stops taking
// clients. A handler with long-lived clients should then end soon: when the
// context of Serve is done, clients are cut after Config.Shutdown.Grace, which
// ends their contexts and closes their connections. Shutdown cuts nobody; Close
// does.
func (c *Conn) Draining() <-chan struct{} { return c.run.draining }

// EndReadsOnDrain asks for a read to end when the server drains: Read, ReadLine,
// ReadUntil, Peek or WriteTo returns ErrDraining, once. It is the read that
// waits for the client then, or else the next one that finds nothing to read:
// what has arrived is read first. So a Handler can say goodbye
// between two requests without a goroutine that watches Draining. Nothing is
// lost by it: what has arrived is there for the next read, and reads go on as
// before. It may be called while the server drains already. It must be called
// by the Handler's goroutine.
func (c *Conn) EndReadsOnDrain() {
	c.limits.AskDrain()
	if c.run.isDraining() {
		c.limits.Drain(c.raw)
	}
}

// NetConn returns what the Transport made of the accepted connection: a
// *net.TCPConn or *net.UnixConn on a plain port. It is there for socket options
// and for handing the socket on. Bytes that pass it beside c are not counted,
// and limits of c do not see them; bytes that c has Buffered are missing.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Logger returns the server's logger with the client's number and port.
func (c *Conn) Logger() *slog.Logger {
	return c.run.log.With("client", c.id, "port", c.l.spec.Short())
}

// LocalAddr returns the server's address: with a PROXY header the one that the
// client connected to, at the sender of the header. NetConn's is the real one.
func (c *Conn) LocalAddr() net.Addr {
	if h := c.forwarded(); h != nil {
		return h.Destination
	}
	return c.nc.LocalAddr()
}

// RemoteAddr returns the client's address: with a PROXY header the one that
// stands there. NetConn's is the real one.
func (c *Conn) RemoteAddr() net.Addr {
	if h := c.forwarded(); h != nil {
		return h.Source
	}
	return c.nc.RemoteAddr()
}

// Read reads from the client: first what Peek or a line read has buffered.
// After the client's end it returns io.EOF. ErrIdle, ErrMaxLife and ErrTooSlow
// tell of the server's limits.
func (c *Conn) Read(b []byte) (int, error) {
	if c.lines.buf.len() > 0 {
		if err := c.lines.reader.enter(); err != nil {
			return 0, err
		}
		defer c.lines.reader.leave()
		return c.lines.buf.take(b), nil
	}
	return c.read(b)
}

func (c *Conn) read(b []byte) (int, error) {
	for {
		c.limits.ArmRead(c.nc)
		c.rates.BeginRead()
		n, err := c.nc.Read(b)
		if n > 0 {
			c.gotBytes(n)
		}
		c.rates.EndRead()
		if err == nil || !c.limits.Early(err) {
			return n, c.readErr(err)
		}
		if n > 0 {
			return n, nil
		}
	}
}

func (c *Conn) gotBytes(n int) {
	if c.traffic.in.Add(uint64(n)) == uint64(n) {
		if t := c.admission.ticket.Swap(nil); t != nil { // nothing else needs it any more
			t.Useful()
		}
	}
	c.limits.Got()
}

// readErr says what a failed Read means.
func (c *Conn) readErr(err error) error {
	switch {
	case err == nil:
		return nil
	case err == io.EOF:
		c.lines.marks.set(markEOF)
		return err
	case deadline.IsTimeout(err):
		switch why := c.limits.Expired(); {
		case why == ErrDraining:
			c.limits.Drained(c.nc)
			if c.raw != c.nc {
				c.raw.SetReadDeadline(time.Time{})
			}
			return why
		case why != nil:
			return why
		}
	}
	return c.orCause(err)
}

// Write writes b to the client: all of it, or an error. A datagram client gets
// b as one packet. ErrWriteStalled tells that the client took no bytes for
// Config.Timeouts.Write; the connection is of no use after that.
func (c *Conn) Write(b []byte) (n int, err error) {
	if c.l.datagram != nil {
		n, err = c.nc.Write(b)
		c.sent(n, err)
		return n, c.orCause(err)
	}
	c.rates.BeginWrite()
	defer c.rates.EndWrite()
	for {
		part := b[n:min(len(b), n+deadline.MaxWrite)]
		c.limits.ArmWrite(c.nc)
		m, err := c.nc.Write(part)
		n += m
		if m > 0 {
			c.traffic.out.Add(uint64(m))
			c.limits.Active()
		}
		if err != nil && !(m > 0 && c.resumable(err)) {
			return n, c.writeErr(err)
		}
		if n == len(b) {
			return n, nil
		}
	}
}

// resumable reports whether a write that timed out after some bytes may go on.
// A tls.Conn is of no use after a timed-out write, nor is a connection that the
// kernel has given up.
func (c *Conn) resumable(err error) bool {
	return deadline.IsTimeout(err) && c.nc == c.raw && c.limits.ExpiredWrite() == nil && !errors.Is(err, syscall.ETIMEDOUT)
}

func (c *Conn) writeErr(err error) error {
	if deadline.IsTimeout(err) {
		if why := c.limits.ExpiredWrite(); why != nil {
			return why
		}
		if !c.limits.UserWritePassed() {
			return ErrWriteStalled
		}
	}
	if c.l.stall && errors.Is(err, syscall.ETIMEDOUT) {
		return ErrWriteStalled
	}
	return c.orCause(err)
}

// CloseWrite tells the client that nothing more will come, and leaves it free
// to send: close_notify on TLS, a FIN on TCP. It returns an error that wraps
// errors.ErrUnsupported where the connection cannot do that.
func (c *Conn) CloseWrite() error {
	if w, ok := c.nc.(proto.HalfCloser); ok {
		c.limits.ArmWrite(c.nc)
		return c.orCause(w.CloseWrite())
	}
	return errors.ErrUnsupported
}

// Close closes the connection at once. Handlers need not call it: the engine
// closes c when Serve returns, and if the client has sent what nobody has read,
// it reads that first, for two seconds at most, since TCP might otherwise lose
// the end of what was written. Its place in the Handler is another client's by
// then.
func (c *Conn) Close() error {
	if c.isClosed.Swap(true) {
		return net.ErrClosed
	}
	return c.nc.Close()
}

// SetDeadline sets the read and write deadlines, as net.Conn tells. The
// server's own limits stay in force; the nearest counts.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline sets the read deadline, as net.Conn tells.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.limits.SetRead(c.nc, t) }

// SetWriteDeadline sets the write deadline, as net.Conn tells. After a write
// to a TLS client has timed out the connection is of no use.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.limits.SetWrite(c.nc, t) }

// cut ends the client from outside its goroutine.
func (c *Conn) cut(why error) {
	if !c.cutBy.CompareAndSwap(nil, &why) {
		return
	}
	(*clientCtx)(c).made().end(why)
	if t := c.admission.ticket.Load(); t != nil {
		t.Abort() // first: Close waits for readers
	}
	c.raw.Close()
	if room := c.run.room; room != nil && room.Leave(c.id) {
		go (*greeting)(c).Heard(why)
	}
	c.Wake()
}

// cause returns why the client was cut, or nil.
func (c *Conn) cause() error {
	if p := c.cutBy.Load(); p != nil {
		return *p
	}
	return nil
}

// orCause returns why the client was cut, which err is then a consequence of,
// or else err.
func (c *Conn) orCause(err error) error {
	if err == nil {
		return nil
	}
	if why := c.cause(); why != nil {
		return why
	}
	if c.lines.reader.ended() {
		return errHandlerReturned
	}
	return err
}

// A rated is a Conn as its minimum rates know it.
type rated Conn

// Counts returns what the Handler has read and written.
func (r *rated) Counts() (in, out uint64) { return r.traffic.in.Load(), r.traffic.out.Load() }

// TooSlow ends a client that is below a minimum rate.
func (r *rated) TooSlow(err error) {
	c := (*Conn)(r)
	if !c.run.cfg.Admission.Shadow {
		c.cut(err)
		return
	}
	c.l.wouldCut.Add(1)
	if c.run.mayLog(outcome.TooSlow) {
		c.run.log.LogAttrs(context.Background(), logs.Notice, "would cut", slog.Uint64("client", c.id),
			slog.String("port", c.l.spec.Short()), slog.String("peer", c.RemoteAddr().String()), slog.String("err", err.Error()))
	}
}

// close closes the connection so that what was written to it arrives. A TCP
// socket closed with unread input sends a reset, and that makes the client's
// system throw away what it has not read yet; so such input is read first,
// for a bounded time.
func (c *Conn) close() {
	unread := false
	free := c.lines.reader.end()
	if free {
		unread = c.lines.buf.len() > 0
		if c.lines.buf.pooled != nil {
			putBuffer(c.lines.buf.pooled) // nobody looks at line any more
		}
	}
	if c.isClosed.Load() {
		c.raw.Close() // a handler that closed nc may have left a layer below
		return
	}
	c.limits.Off(c.nc)
	if c.cause() == nil && !c.lines.marks.has(markEOF) && c.stage.get() >= StageAccess && (unread || c.hasInput(free)) {
		buf := getBuffer()
		relay.Linger(c.nc, c.raw, *buf)
		putBuffer(buf)
	}
	c.isClosed.Store(true)
	c.nc.Close()
	if c.nc != c.raw {
		c.raw.Close()
	}
}

// hasInput reports whether the Transport or the kernel holds bytes of the
// client that nobody has read.
func (c *Conn) hasInput(free bool) bool {
	if u, ok := c.nc.(proto.Unreader); free && ok && u.Unread() {
		return true
	}
	return relay.HasInput(c.raw)
}
