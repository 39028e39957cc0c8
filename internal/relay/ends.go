package relay

import (
	"cmp"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"netserver/internal/deadline"
)

// A Source is the reading end of a copy: a client of ours, or what a handler
// reads for one. It is kept while a client is idle, so it copies only what it
// needs of a Client.
type Source struct {
	account Account          // of the client; nil if r is none
	rates   *deadline.Rates  // of the client; nil if there are none
	limits  *deadline.Limits // of the client, or of the one at the other end
	r       io.Reader
	conn    net.Conn        // r, if it is one
	rc      syscall.RawConn // of conn, if that is a plain stream socket
	wait    Waiter          // r, if it can wait without a buffer
	armed   time.Time       // conn's read deadline, if r is no client
	raw     *RawReader      // reads conn, if rc is set
	buf     *[]byte         // what read has taken from copyBuffers
	pause   *Pause          // may end the copy while nothing comes; nil for none
	side    uint8           // which source of it s is
}

// FromClient returns the Source that reads a client.
func FromClient(c Client) *Source {
	return &Source{account: c.Account, rates: c.Rates, limits: c.Limits, r: c.Conn, conn: c.Conn, rc: c.Raw, wait: c.Wait, pause: c.Pause}
}

// From returns the Source that reads r, for a client whose limits hold
// meanwhile.
func From(r io.Reader, to Client) *Source {
	s := &Source{r: r, limits: to.Limits, rc: rawOf(r), pause: to.Pause, side: 1}
	s.conn, _ = r.(net.Conn)
	s.wait, _ = r.(Waiter)
	return s
}

// chunk waits for bytes and returns them in a buffer from copyBuffers, which
// the caller gives back, or an error and no buffer. It may return both.
func (s *Source) chunk() (buf *[]byte, n int, err error) {
	for {
		s.arm()
		s.waits()
		buf, n, err = s.read()
		if n > 0 {
			s.got(n)
		}
		s.came()
		if s.isAsked() {
			if s.answer(n, err) {
				return nil, 0, ErrPaused
			}
			if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
				continue // a limit that has passed is met again
			}
		}
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
	case s.account != nil:
		s.limits.ArmRead(s.conn)
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
	s.rates.BeginRead()
	if s.pause != nil {
		s.pause.waits[s.side].Add(1)
	}
}

func (s *Source) came() {
	s.rates.EndRead()
	if s.pause != nil {
		s.pause.waits[s.side].Add(1)
	}
}

// got notes that bytes have come.
func (s *Source) got(n int) {
	if s.account != nil {
		s.account.Received(n)
	}
}

// again reports whether err is a deadline of ours that was set too early.
func (s *Source) again(err error) bool {
	if s.account != nil {
		return s.limits.Early(err)
	}
	return !s.armed.IsZero() && deadline.IsTimeout(err) && s.limits.Passed() == nil
}

// failure says what a failed read means.
func (s *Source) failure(err error) error {
	if s.account != nil {
		return s.account.ReadError(err)
	}
	if !s.armed.IsZero() && deadline.IsTimeout(err) {
		if why := s.limits.Passed(); why != nil {
			return why
		}
	}
	return err
}

// A Sink is the writing end of a copy: a client of ours, or what a handler
// writes to for one. It copies only what it needs of a Client, as a Source does.
type Sink struct {
	account Account          // of the client; nil if it is none
	rates   *deadline.Rates  // of the client; nil if there are none
	limits  *deadline.Limits // of the client, or of the one at the other end
	w       io.Writer        // if it is no client
	conn    net.Conn         // w or the client, if it is one
	rc      syscall.RawConn  // if the sink is a plain stream socket
	stall   time.Duration    // how long w may take no bytes; 0 is no limit
	armed   time.Time        // w's write deadline
	since   time.Time        // when w last took bytes, or was first asked to
	late    *lateWrites      // of w, if its writes cannot go on after a deadline
}

// ToClient returns the Sink that writes to a client.
func ToClient(c Client) *Sink {
	return &Sink{account: c.Account, rates: c.Rates, limits: c.Limits, conn: c.Conn, rc: c.Raw}
}

// To returns the Sink that writes to w, for a client whose limits hold
// meanwhile.
func To(w io.Writer, from Client) *Sink {
	s := &Sink{w: w, limits: from.Limits, stall: from.Stall, rc: rawOf(w)}
	s.conn, _ = w.(net.Conn)
	if w, ok := w.(lateWriter); ok && s.rc == nil {
		s.late = &lateWrites{w: w, limits: s.limits, stall: s.stall}
		w.OnLateWrite(s.late.goOn)
	}
	return s
}

// write writes all of b, or returns an error.
func (s *Sink) write(b []byte) (n int, err error) {
	if s.account != nil {
		return s.account.Write(b)
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
	if s.account == nil && s.conn != nil {
		s.since = time.Now()
		s.late.took(s.since)
	}
}

// waits and went stand around what may wait for s, where that is not a write
// of the client's Conn.
func (s *Sink) waits() { s.rates.BeginWrite() }
func (s *Sink) went()  { s.rates.EndWrite() }

// arm makes sure that writing does not wait past the nearest limit.
func (s *Sink) arm() {
	switch {
	case s.account != nil:
		s.limits.ArmWrite(s.conn)
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
	s.late.end()
	if !s.armed.IsZero() {
		s.conn.SetWriteDeadline(time.Time{})
	}
}

// took notes that bytes have gone.
func (s *Sink) took(n int) {
	if s.account != nil {
		s.account.Sent(n)
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
	case s.account != nil:
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
	case s.account != nil:
		return s.account.WriteError(err)
	case !s.armed.IsZero() && deadline.IsTimeout(err):
		if why := cmp.Or(s.late.why(), s.limits.Passed()); why != nil {
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

// mayGoOn reports whether a write that timed out after some bytes may go on.
func (s *Sink) mayGoOn() bool {
	if s.account != nil {
		return s.limits.ExpiredWrite() == nil
	}
	return s.limits.Passed() == nil
}
