package sock

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"netserver/port"
)

// scratchSize holds the longest datagram that can be served, and one byte more
// to detect a longer one.
const scratchSize = maxUDPRecvLen + 1

// maxBadReads is how many consecutive per-client errors Accept skips before it
// reports one, so that it cannot spin.
const maxBadReads = 64

// A packetSocket is the udp or unixgram socket under a DatagramListener.
type packetSocket interface {
	// receive reads one datagram into s.buf and describes it.
	receive(s *scratch) (n int, err error)
	// sender returns the sender's address of the datagram in s.
	sender(s *scratch) net.Addr
	// newConn makes the connection of the datagram in s; its packet is not set.
	newConn(s *scratch) *DatagramConn
	// send sends p to the sender of c's datagram.
	send(c *DatagramConn, p []byte) error

	LocalAddr() net.Addr
	SetReadDeadline(time.Time) error
	SyscallConn() (syscall.RawConn, error)
	Close() error
}

// A DatagramListener accepts the datagrams of a udp or unixgram port. Listen,
// ListenAll and FromFile make it. Its methods may be called concurrently.
//
// Errors of one client, such as an ICMP message about an earlier answer, do
// not end Accept.
type DatagramListener struct {
	// OnOversize, if not nil, is called when a datagram was dropped because it
	// is longer than Options.UDPRecvLen, at most once a second; Oversize
	// returns their number. size is in bytes; above 65535 it is a lower bound.
	// Accept calls it, so it must not block. Set it before the first Accept.
	OnOversize func(from net.Addr, size int)

	sock packetSocket
	named
	file *socketFile // nil unless unixgram
	max  int         // longest datagram served

	scratches sync.Pool // of *scratch
	buffers   buffers

	oversize   atomic.Uint64
	lastReport atomic.Int64 // of OnOversize, in nanoseconds; 0 is never

	mu     sync.Mutex // guards the fields below and the order of deadlines
	closed bool
	users  int // connections not closed yet, Accepts, and 1 for the listener while open
}

// A scratch is what one Accept reads with.
type scratch struct {
	buf [scratchSize]byte
	from
}

func newDatagramListener(sock packetSocket, file *socketFile, p port.Spec, o Options) *DatagramListener {
	return &DatagramListener{
		sock:  sock,
		named: newNamed(p, sock.LocalAddr()),
		file:  file,
		max:   o.udpRecvLen(),
		users: 1,
	}
}

// Accept waits for a datagram and returns it as a *DatagramConn. After Close
// the error is net.ErrClosed, and after a deadline os.ErrDeadlineExceeded.
func (l *DatagramListener) Accept() (net.Conn, error) {
	s, _ := l.scratches.Get().(*scratch)
	if s == nil {
		s = new(scratch)
	}
	defer l.scratches.Put(s)
	// A datagram read during Close must still be answered, so the socket is
	// kept for it from here on.
	if !l.use() {
		return nil, opError("accept", l.Addr(), net.ErrClosed)
	}
	for bad := 0; ; {
		n, err := l.sock.receive(s)
		switch {
		case err == nil && n <= l.max:
			return l.accepted(s, n), nil
		case err == nil:
			l.tooLong(s, n)
			continue
		case l.isClosed():
			err = opError("accept", l.Addr(), net.ErrClosed)
		default:
			if bad++; bad < maxBadReads && isOneClients(err) {
				continue
			}
		}
		l.release()
		return nil, err
	}
}

// use counts a user of the socket, unless the listener is closed.
func (l *DatagramListener) use() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.users++
	return true
}

// accepted makes the connection of the n bytes in s. It takes over the
// caller's use of the socket.
func (l *DatagramListener) accepted(s *scratch, n int) *DatagramConn {
	c := l.sock.newConn(s)
	c.l = l
	if n > 0 {
		c.buf = l.buffers.get(n)
		c.rest = (*c.buf)[:copy(*c.buf, s.buf[:n])]
	}
	return c
}

// isOneClients reports whether a read failed because of an earlier packet to
// or from one client.
func isOneClients(err error) bool {
	for _, no := range []syscall.Errno{
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EHOSTUNREACH, syscall.ENETUNREACH,
		syscall.EHOSTDOWN, syscall.ENETDOWN, syscall.EMSGSIZE, syscall.EPROTO, syscall.ENOPROTOOPT,
		syscall.EINTR, windowsConnReset, windowsNetReset,
	} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// Windows reports an undelivered answer on the next read: WSAECONNRESET and
// WSAENETRESET. Elsewhere no error has these numbers.
const (
	windowsConnReset = syscall.Errno(10054)
	windowsNetReset  = syscall.Errno(10052)
)

// tooLong counts a dropped datagram, and reports it if none was reported
// within the last second.
func (l *DatagramListener) tooLong(s *scratch, n int) {
	l.oversize.Add(1)
	if l.OnOversize == nil {
		return
	}
	now, last := time.Now().UnixNano(), l.lastReport.Load()
	if last != 0 && now-last < int64(time.Second) || !l.lastReport.CompareAndSwap(last, now) {
		return
	}
	l.OnOversize(l.sock.sender(s), n)
}

// Oversize returns how many datagrams were dropped because they were longer
// than Options.UDPRecvLen.
func (l *DatagramListener) Oversize() uint64 { return l.oversize.Load() }

// Close ends Accept with net.ErrClosed, and removes a UNIX socket's file if
// it still is this listener's own. The socket stays open, unread, until the
// last accepted connection is closed, so that those can still answer.
func (l *DatagramListener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return opError("close", l.Addr(), net.ErrClosed)
	}
	l.closed = true
	err := l.sock.SetReadDeadline(time.Unix(1, 0)) // ends Accept
	l.mu.Unlock()

	err = errors.Join(err, l.file.remove())
	return errors.Join(err, l.release())
}

// release ends one use of the socket and closes it after the last.
func (l *DatagramListener) release() error {
	l.mu.Lock()
	l.users--
	last := l.users == 0
	l.mu.Unlock()
	if last {
		return l.sock.Close()
	}
	return nil
}

func (l *DatagramListener) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// Addr returns the listening address.
func (l *DatagramListener) Addr() net.Addr { return l.sock.LocalAddr() }

// SetDeadline makes Accept fail after t; the zero time removes the deadline.
func (l *DatagramListener) SetDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return opError("set", l.Addr(), net.ErrClosed)
	}
	return l.sock.SetReadDeadline(t)
}

// SyscallConn gives access to the socket.
func (l *DatagramListener) SyscallConn() (syscall.RawConn, error) { return l.sock.SyscallConn() }

// SetUnlinkOnClose says whether Close removes a UNIX socket's file: true
// after Listen, false after FromFile. A process that hands its listener over
// sets it to false. It does nothing for udp.
func (l *DatagramListener) SetUnlinkOnClose(unlink bool) { l.file.setUnlink(unlink) }
