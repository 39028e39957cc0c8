package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"netserver"
)

// maxDatagram is more than any UDP datagram holds.
const maxDatagram = 64 << 10

var datagrams = sync.Pool{New: func() any { b := make([]byte, maxDatagram); return &b }}

// A session is a client of a datagram port and its own socket to the target, so
// that all that comes there is the client's.
//
// Two goroutines serve it: one waits for the client's datagrams, in the session
// that the engine keeps of them, and one for the target's.
type session struct {
	h      *Handler
	c      *netserver.Conn
	ep     *endpoint
	target *net.UDPConn
	from   receiver // of target
	header []byte   // before each datagram to the target

	sent     atomic.Int64 // datagrams of the client
	got      int64        // of the target
	last     atomic.Int64 // when the session was active, in ns since begin
	begin    time.Time
	draining atomic.Bool
	ended    atomic.Bool // no more is sent to the target
	upErr    error       // why; read it after runUp
}

// errSent ends the sending of a session that waits for no answer.
var errSent = errors.New("sent")

// datagrams serves a session, or, where the port has none, one datagram.
func (h *Handler) datagrams(ctx context.Context, c *netserver.Conn, on *Backend) error {
	ep, err := on.acquireFor(ctx, c)
	if err != nil {
		return err
	}
	s := &session{h: h, c: c, ep: ep, begin: time.Now()}
	err = s.connect(ctx, on)
	on.note(c, s.conn(), ep, 1, time.Since(s.begin))
	if err != nil {
		if on.lone.Load() != ep {
			on.noteUnreachable(ctx, ep, err)
		}
		on.release(ep)
		return err
	}
	defer s.target.Close()
	stop := context.AfterFunc(ctx, func() { s.target.Close() })
	defer stop()
	err = s.serve()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if isUnreachable(err) && on.lone.Load() != ep {
		on.noteUnreachable(ctx, ep, err)
	}
	on.done(ep, s.got > 0, false)
	return err
}

// conn returns the connection to the target, nil if there is none.
func (s *session) conn() net.Conn {
	if s.target == nil {
		return nil
	}
	return s.target
}

// connect opens the socket to the target.
func (s *session) connect(ctx context.Context, on *Backend) error {
	switch {
	case s.ep.where.network != "tcp":
		return s.ep.failedIn("", errors.New("datagrams cannot go to a socket path; set host:port"))
	case on.Bind != nil:
		return s.ep.failedIn(stepBind, errors.New("datagrams cannot be sent from the client's address"))
	case on.TLS != nil || on.StartTLS != nil:
		return s.ep.failedIn("", errors.New("datagrams cannot go over TLS"))
	}
	d := net.Dialer{Timeout: on.connectTimeout()}
	nc, err := d.DialContext(ctx, "udp", s.ep.where.address)
	if err != nil && s.ep.second != "" {
		nc, err = d.DialContext(ctx, "udp", s.ep.second)
	}
	if err != nil {
		return s.ep.failedIn("", connectReason(err, on.connectTimeout()))
	}
	s.target = nc.(*net.UDPConn)
	if s.header, err = on.headerFor(s.c); err != nil {
		err = s.ep.failedIn(stepHeader, err)
	} else {
		err = s.from.init(s.target)
	}
	if err != nil {
		s.target.Close()
	}
	return err
}

// serve passes datagrams on until the session is over.
func (s *session) serve() error {
	if !s.c.Session() {
		return s.serveOne()
	}
	s.c.EndReadsOnDrain()
	up := make(chan struct{})
	go s.runUp(up)
	err := s.down()
	s.c.SetReadDeadline(longAgo)
	<-up
	if errors.Is(err, errAnswered) && s.isOpen() {
		s.ended.Store(false)
		err = s.down() // of what went up meanwhile
	}
	switch {
	case errors.Is(err, errAnswered):
		return nil
	case err == nil:
		return s.upErr
	}
	return err
}

// serveOne serves one datagram.
func (s *session) serveOne() error {
	buf := datagrams.Get().(*[]byte)
	n, err := readPacket(s.c, *buf)
	if err == nil {
		_, err = s.Write((*buf)[:n])
	}
	datagrams.Put(buf)
	if err == nil {
		err = s.down()
	}
	if errors.Is(err, errAnswered) || errors.Is(err, errSent) {
		return nil
	}
	return err
}

// runUp sends the client's datagrams to the target.
func (s *session) runUp(done chan<- struct{}) {
	defer close(done)
	_, err := s.c.WriteTo(s)
	if errors.Is(err, netserver.ErrDraining) {
		s.draining.Store(true)
		s.wake()
		_, err = s.c.WriteTo(s) // what had come
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, errSent) {
		s.upErr = err
	}
	s.ended.Store(true)
	s.wake()
}

// wake has the session look at how long it may still wait.
func (s *session) wake() { s.target.SetReadDeadline(longAgo) }

// Write sends one datagram of the client to the target.
func (s *session) Write(p []byte) (int, error) {
	s.last.Store(int64(time.Since(s.begin)))
	s.sent.Add(1)
	err := s.send(p)
	switch {
	case err == nil || isDropped(err):
	default:
		return 0, s.failed(errnoOf(err))
	}
	if s.h.Answers < 0 {
		return len(p), errSent
	}
	return len(p), nil
}

func (s *session) send(p []byte) (err error) {
	if len(s.header) == 0 {
		_, err = s.target.Write(p)
		return err
	}
	buf := datagrams.Get().(*[]byte)
	n := copy(*buf, s.header)
	n += copy((*buf)[n:], p)
	_, err = s.target.Write((*buf)[:n])
	datagrams.Put(buf)
	return err
}

// failed says that err came from the target.
func (s *session) failed(err error) error { return targetFailed{s.ep.failed(err)} }

// isDropped reports whether one datagram could not be sent, which says nothing
// about the next.
func isDropped(err error) bool {
	for _, e := range []syscall.Errno{syscall.EAGAIN, syscall.ENOBUFS, syscall.EMSGSIZE, syscall.EPERM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// errAnswered ends a session whose datagrams all have their answers.
var errAnswered = errors.New("answered")

// answers returns how many are expected to each datagram; 0 is any number.
func (s *session) answers() int {
	if s.h.Answers == 0 && !s.c.Session() {
		return 1
	}
	return s.h.Answers
}

// isOpen reports whether answers are missing.
func (s *session) isOpen() bool { return s.got < int64(s.answers())*s.sent.Load() }

// down passes the target's datagrams on. It returns nil when the session is
// over, errAnswered when the answers are complete, and else what went wrong.
func (s *session) down() error {
	s.arm()
	for {
		buf, n, err := s.from.receive()
		switch {
		case err == nil && s.h.Answers < 0: // it may come before the session has ended
			datagrams.Put(buf)
		case err == nil:
			_, err = s.c.Write((*buf)[:n])
			datagrams.Put(buf)
			s.got++
			if err != nil && !isDropped(err) {
				return err
			}
			if s.answers() > 0 && !s.isOpen() {
				return errAnswered
			}
			if s.answers() == 0 {
				s.last.Store(int64(time.Since(s.begin)))
			}
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return s.failed(errnoOf(err))
		case time.Since(s.begin) < s.until():
			s.arm()
		case s.answers() > 0 && s.got == 0 && !s.ended.Load():
			return s.failed(lateError("no answer within " + s.h.answerTimeout().String()))
		default:
			return nil
		}
	}
}

// until returns when the session is over if nothing more is passed on, since
// its beginning.
func (s *session) until() time.Duration {
	if s.ended.Load() {
		return 0
	}
	idle := s.h.sessionTimeout()
	if s.answers() > 0 {
		idle = s.h.answerTimeout()
	} else if s.draining.Load() {
		idle = min(idle, s.h.answerTimeout())
	}
	return time.Duration(s.last.Load()) + idle
}

// arm makes receive return at that time.
func (s *session) arm() {
	for {
		u := s.until()
		s.target.SetReadDeadline(s.begin.Add(u))
		if s.until() >= u { // runUp may have called wake before
			return
		}
	}
}

// readPacket reads the client's datagram into b.
func readPacket(c *netserver.Conn, b []byte) (n int, err error) {
	for {
		m, err := c.Read(b[n:])
		n += m
		switch {
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		case n == len(b):
			return n, io.ErrShortBuffer
		}
	}
}

// errnoOf returns the system's part of err, or err.
func errnoOf(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// isUnreachable reports whether err tells that nobody is at the target.
func isUnreachable(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}
