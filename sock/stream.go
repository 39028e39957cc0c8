package sock

import (
	"net"
	"syscall"
	"time"
)

// streamSocket is the common interface of *net.TCPListener and
// *net.UnixListener.
type streamSocket interface {
	net.Listener
	syscall.Conn
	SetDeadline(time.Time) error
}

// A StreamListener accepts the connections of a tcp or unix port. Listen,
// ListenAll and FromFile make it. Its methods may be called concurrently.
type StreamListener struct {
	sock streamSocket
	named
	file      *socketFile          // nil unless unix
	keepAlive *net.KeepAliveConfig // set on each accepted connection, unless nil

	sendTimeout time.Duration
}

// SendTimeout returns the Options.SendTimeout that the kernel enforces on
// accepted connections; 0 is none.
func (l *StreamListener) SendTimeout() time.Duration { return l.sendTimeout }

// DeferAccept withholds TCP connections from Accept until the client has sent
// data, or until d has passed (TCP_DEFER_ACCEPT; see tcp(7)): a client that
// leaves before that costs the kernel little and the process nothing. It is
// for protocols whose clients speak first. The kernel counts seconds, by its
// retransmissions: 1 s is the minimum. 0 or less turns it off. It applies to
// every process that has the socket.
//
// The error wraps errors.ErrUnsupported for UNIX sockets, on systems other
// than Linux, and without SYN cookies, since deferred connections fill the SYN
// queue.
func (l *StreamListener) DeferAccept(d time.Duration) error { return deferAccept(l.sock, d) }

// Accept waits for a connection and returns it as a *net.TCPConn or
// *net.UnixConn. After Close the error is net.ErrClosed, and after a deadline
// os.ErrDeadlineExceeded.
func (l *StreamListener) Accept() (net.Conn, error) {
	c, err := l.sock.Accept()
	if err != nil || l.keepAlive == nil {
		return c, err
	}
	if t, ok := c.(*net.TCPConn); ok {
		// An error means that the client has left already; its reader will
		// notice too.
		_ = t.SetKeepAliveConfig(*l.keepAlive)
	}
	return c, nil
}

// Close ends Accept with net.ErrClosed, and removes a UNIX socket's file if
// it still is this listener's own.
func (l *StreamListener) Close() error {
	// Remove the file first: while the socket is open, the kernel cannot reuse
	// its inode number.
	rmErr := l.file.remove()
	if err := l.sock.Close(); err != nil {
		return err
	}
	return rmErr
}

// Addr returns the listening address.
func (l *StreamListener) Addr() net.Addr { return l.sock.Addr() }

// SetDeadline makes Accept fail after t; the zero time removes the deadline.
func (l *StreamListener) SetDeadline(t time.Time) error { return l.sock.SetDeadline(t) }

// SyscallConn gives access to the socket.
func (l *StreamListener) SyscallConn() (syscall.RawConn, error) { return l.sock.SyscallConn() }

// SetUnlinkOnClose says whether Close removes a UNIX socket's file: true
// after Listen, false after FromFile. A process that hands its listener over
// sets it to false. It does nothing for tcp.
func (l *StreamListener) SetUnlinkOnClose(unlink bool) { l.file.setUnlink(unlink) }
