package relay

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"netserver/internal/deadline"
)

// A Source is the reading end of a copy: a client of ours, or what a handler
// reads for one.
type Source struct {
	client *Client   // one of these two
	r      io.Reader //

	conn   net.Conn         // r, or the client's, if it is one
	rc     syscall.RawConn  // of conn, if that is a plain stream socket
	limits *deadline.Limits // of the client at the other end
	own    Client           // that client points at: one allocation for both
	armed  time.Time        // conn's read deadline, if r is the source
	chunks chunkReader
}

// FromClient returns the Source that reads a client.
func FromClient(c Client) *Source {
	s := &Source{own: c}
	s.client = &s.own
	return s
}

// From returns the Source that reads r, for a client whose limits hold
// meanwhile.
func From(r io.Reader, to Client) *Source {
	s := &Source{r: r, limits: to.Limits}
	s.conn, _ = r.(net.Conn)
	s.rc = rawOf(r)
	return s
}

// init makes s ready, once it does not move any more.
func (s *Source) init() {
	r := s.r
	wait, _ := r.(Waiter)
	if c := s.client; c != nil {
		r, s.conn, s.rc, wait = c.Conn, c.Conn, c.Raw, c.Wait
	}
	s.chunks.init(r, s.conn, s.rc, wait)
}

// chunk waits for bytes and returns them in a buffer from copyBuffers, which
// the caller gives back, or an error and no buffer. It may return both.
func (s *Source) chunk() (buf *[]byte, n int, err error) {
	for {
		s.arm()
		s.waits()
		buf, n, err = s.chunks.read()
		if n > 0 {
			s.got(n)
		}
		s.came()
		if err == nil && n == 0 {
			err = io.ErrNoProgress
		}
		if err == nil || !s.again(err) {
			return buf, n, s.failure(err)
		}
		if n > 0 {
			return buf, n, nil
		}
	}
}

// arm makes sure that reading does not wait past the nearest limit.
func (s *Source) arm() {
	switch {
	case s.client != nil:
		s.client.Limits.ArmRead(s.conn)
	case s.conn != nil && s.limits.Any():
		now := time.Now()
		want := s.limits.Next(now)
		if s.armed.After(now) && !s.armed.After(want) {
			return // it may be early; again sees to that
		}
		s.armed = want
		s.conn.SetReadDeadline(want)
	}
}

func (s *Source) disarm() {
	if !s.armed.IsZero() {
		s.conn.SetReadDeadline(time.Time{})
	}
}

// waits and came stand around what may wait for s.
func (s *Source) waits() {
	if s.client != nil {
		s.client.Rates.BeginRead()
	}
}

func (s *Source) came() {
	if s.client != nil {
		s.client.Rates.EndRead()
	}
}

// got notes that bytes have come.
func (s *Source) got(n int) {
	if s.client != nil {
		s.client.Received(n)
	}
}

// again reports whether err is a deadline of ours that was set too early.
func (s *Source) again(err error) bool {
	if s.client != nil {
		return s.client.Limits.Early(err)
	}
	return !s.armed.IsZero() && deadline.IsTimeout(err) && s.limits.Passed() == nil
}

// failure says what a failed read means.
func (s *Source) failure(err error) error {
	if s.client != nil {
		return s.client.ReadError(err)
	}
	if !s.armed.IsZero() && deadline.IsTimeout(err) {
		if why := s.limits.Passed(); why != nil {
			return why
		}
	}
	return err
}

// A Sink is the writing end of a copy: a client of ours, or what a handler
// writes to for one.
type Sink struct {
	client *Client   // one of these two
	w      io.Writer //

	conn   net.Conn         // w, if it is one
	rc     syscall.RawConn  // if the sink is a plain stream socket
	limits *deadline.Limits // of the client at the other end
	own    Client           // that client points at: one allocation for both
	stall  time.Duration    // how long conn may take no bytes; 0 is no limit
	armed  time.Time        // conn's write deadline
	since  time.Time        // when conn last took bytes, or was first asked to
}

// ToClient returns the Sink that writes to a client.
func ToClient(c Client) *Sink {
	s := &Sink{own: c, rc: c.Raw}
	s.client = &s.own
	return s
}

// To returns the Sink that writes to w, for a client whose limits hold
// meanwhile.
func To(w io.Writer, from Client) *Sink {
	s := &Sink{w: w, limits: from.Limits, stall: from.Stall}
	s.conn, _ = w.(net.Conn)
	s.rc = rawOf(w)
	return s
}

// write writes all of b, or returns an error.
func (s *Sink) write(b []byte) (n int, err error) {
	if s.client != nil {
		return s.client.Write(b)
	}
	if s.conn == nil {
		n, err = s.w.Write(b)
		if err == nil && n < len(b) {
			err = io.ErrShortWrite
		}
		return n, err
	}
	s.begin()
	for {
		s.arm()
		m, err := s.conn.Write(b[n:])
		n += m
		if m > 0 {
			s.took(m)
		}
		if err == nil && n < len(b) {
			err = io.ErrShortWrite
		}
		if err == nil || !s.again(err) {
			return n, s.failure(err)
		}
	}
}

// begin is called before the first arm for some bytes.
func (s *Sink) begin() {
	if s.conn != nil {
		s.since = time.Now()
	}
}

// waits and went stand around what may wait for s, where that is not a write
// of the client's Conn.
func (s *Sink) waits() {
	if s.client != nil {
		s.client.Rates.BeginWrite()
	}
}

func (s *Sink) went() {
	if s.client != nil {
		s.client.Rates.EndWrite()
	}
}

// arm makes sure that writing does not wait past the nearest limit.
func (s *Sink) arm() {
	switch {
	case s.client != nil:
		s.client.Limits.ArmWrite(s.client.Conn)
	case s.conn != nil && (s.stall > 0 || s.limits.Any()):
		now := time.Now()
		want := s.limits.Next(now)
		if s.stall > 0 {
			want = deadline.Nearest(want, s.since.Add(s.stall))
		}
		if s.rc != nil && s.armed.After(now) && !s.armed.After(want) {
			return // it may be early; again sees to that
		}
		s.armed = want
		s.conn.SetWriteDeadline(want)
	}
}

func (s *Sink) disarm() {
	if !s.armed.IsZero() {
		s.conn.SetWriteDeadline(time.Time{})
	}
}

// took notes that bytes have gone.
func (s *Sink) took(n int) {
	if c := s.client; c != nil {
		c.Sent(n)
		return
	}
	s.since = time.Now()
	s.limits.Active()
}

// again reports whether err is a deadline of ours that was set too early. Only
// a plain socket is of use after that.
func (s *Sink) again(err error) bool {
	switch {
	case s.rc == nil || !deadline.IsTimeout(err):
		return false
	case s.client != nil:
		return false // armWrite sets none too early
	}
	return !s.armed.IsZero() && s.limits.Passed() == nil && !s.stalled()
}

func (s *Sink) stalled() bool {
	return s.stall > 0 && time.Since(s.since) >= s.stall
}

// failure says what a failed write means.
func (s *Sink) failure(err error) error {
	switch {
	case err == nil:
		return nil
	case s.client != nil:
		return s.client.WriteError(err)
	case !s.armed.IsZero() && deadline.IsTimeout(err):
		if why := s.limits.Passed(); why != nil {
			return why
		}
		return opError("write", s.conn, os.ErrDeadlineExceeded)
	}
	return err
}

// rawOf returns the raw connection of v if it is a plain stream socket.
func rawOf(v any) syscall.RawConn {
	switch c := v.(type) {
	case *net.TCPConn, tcpInDisguise:
	case *net.UnixConn:
		if c.LocalAddr().Network() != "unix" {
			return nil
		}
	default:
		return nil
	}
	rc, err := v.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil
	}
	return rc
}

// tcpInDisguise is what a type that embeds *net.TCPConn has and others lack:
// (*net.TCPConn).WriteTo passes itself on so, hiding its WriteTo.
type tcpInDisguise interface {
	net.Conn
	syscall.Conn
	SetNoDelay(bool) error
	SetLinger(int) error
}

// opError dresses err up as package net does.
func opError(op string, nc net.Conn, err error) error {
	return &net.OpError{Op: op, Net: nc.LocalAddr().Network(), Source: nc.LocalAddr(), Addr: nc.RemoteAddr(), Err: err}
}

// errNoSplice tells that the rest must be copied by hand.
var errNoSplice = errors.New("no splice")

// netConn returns the connection to write to.
func (s *Sink) netConn() net.Conn {
	if s.client != nil {
		return s.client.Conn
	}
	return s.conn
}

// mayGoOn reports whether a write that timed out after some bytes may go on.
func (s *Sink) mayGoOn() bool {
	if s.client != nil {
		return s.client.Limits.ExpiredWrite() == nil
	}
	return s.limits.Passed() == nil
}
