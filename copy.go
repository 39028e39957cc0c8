package netserver

import (
	"io"

	"netserver/internal/relay"
	"netserver/internal/session"
)

// WriteTo copies what the client sends to w until its end; io.Copy(w, c) uses
// it. On Linux the kernel moves the bytes between plain TCP and UNIX sockets,
// by splice(2); else a buffer is held only while there is something in it.
//
// If w is a net.Conn that takes no bytes for Config.Timeouts.Write, WriteTo
// returns an error with a passed deadline in it; for that it uses w's write
// deadline.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	if err := c.lines.reader.enter(); err != nil {
		return 0, err
	}
	defer c.lines.reader.leave()
	if s := c.session(); s != nil {
		return c.writeDatagrams(s, w)
	}
	return relay.Copy(c.endsTo(w))
}

// writeDatagrams writes each datagram of the client to w in one Write, until
// reading or writing fails.
func (c *Conn) writeDatagrams(s *session.Conn, w io.Writer) (n int64, err error) {
	for {
		c.limits.ArmRead(c.nc)
		d, err := s.Next()
		if err != nil && c.limits.Early(err) {
			continue
		}
		if err != nil {
			return n, c.readErr(err)
		}
		c.gotBytes(d.Len())
		m, err := d.(io.WriterTo).WriteTo(w)
		n += m
		s.Done(d)
		if err != nil {
			return n, err
		}
	}
}

// ReadFrom copies r to the client until r's end; io.Copy(c, r) uses it. The
// kernel moves the bytes where it can, as in WriteTo.
//
// If r is a net.Conn, the limits of c hold while nothing comes from it: if c
// has any, r's read deadline is used for that.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	if from, ok := r.(*Conn); ok {
		if err := from.lines.reader.enter(); err != nil {
			return 0, err
		}
		defer from.lines.reader.leave()
	}
	return relay.Copy(c.endsFrom(r))
}

// endsTo returns the two ends of a copy to w. It is not part of WriteTo, as
// that waits for as long as a client is idle: with the ends on it, its stack
// grew to twice the size, which was 6 KiB a client.
//
//go:noinline
func (c *Conn) endsTo(w io.Writer) (*relay.Source, *relay.Sink) {
	from := c.end()
	if p, ok := w.(*relay.Pausing); ok {
		w, from.Pause = p.Conn, p.Pause
	}
	if to, ok := w.(*Conn); ok {
		return relay.FromClient(from), relay.ToClient(to.end())
	}
	return relay.FromClient(from), relay.To(w, from)
}

// endsFrom returns the two ends of a copy from r.
//
//go:noinline
func (c *Conn) endsFrom(r io.Reader) (*relay.Source, *relay.Sink) {
	to := c.end()
	if p, ok := r.(*relay.Pausing); ok {
		r, to.Pause = p.Conn, p.Pause
	}
	if from, ok := r.(*Conn); ok {
		return relay.FromClient(from.end()), relay.ToClient(to)
	}
	return relay.From(r, to), relay.ToClient(to)
}

// end returns c as one end of a copy.
func (c *Conn) end() relay.Client {
	return relay.Client{Conn: c.nc, Raw: c.rc, Wait: c.wait, Limits: &c.limits, Rates: c.rates, Stall: c.l.cfg.Timeouts.Write, Account: (*account)(c)}
}

// An account is a Conn as a copy counts on it.
type account Conn

// Buffered returns what line reads have left.
func (a *account) Buffered() []byte {
	a.lines.buf.drop()
	return a.lines.buf.b[a.lines.buf.r:a.lines.buf.w]
}

// Discard forgets n bytes of that.
func (a *account) Discard(n int) {
	a.lines.buf.r += n
	a.lines.buf.settle()
}

// Received counts bytes that came.
func (a *account) Received(n int) { (*Conn)(a).gotBytes(n) }

// Sent counts bytes that went.
func (a *account) Sent(n int) {
	a.traffic.out.Add(uint64(n))
	a.limits.Active()
}

// Write is the Conn's.
func (a *account) Write(b []byte) (int, error) { return (*Conn)(a).Write(b) }

// ReadError says what a failed read means.
func (a *account) ReadError(err error) error { return (*Conn)(a).readErr(err) }

// WriteError says what a failed write means.
func (a *account) WriteError(err error) error { return (*Conn)(a).writeErr(err) }
