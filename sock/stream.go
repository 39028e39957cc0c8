package sock

import (
	"net"
	"syscall"
	"time"
)

// streamSocket is what *net.TCPListener and *net.UnixListener have in common.
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

// SendTimeout returns the Options.SendTimeout that the kernel keeps for the
// accepted connections; 0 is none.
func (l *StreamListener) SendTimeout() time.Duration { return l.sendTimeout }

// DeferAccept keeps a TCP connection from Accept until its client has sent
// something, or for so long (TCP_DEFER_ACCEPT; see tcp(7)): what resets or
// leaves before that costs the kernel little and the process nothing. It is for
// protocols whose clients speak first. The kernel counts seconds, by its
// retransmissions: 1 s is the least. 0 or less is off again. It holds for every
// process that has the socket.
//
// The error wraps errors.ErrUnsupported where it cannot be had: for UNIX
// sockets, on systems other than Linux, and without SYN cookies, as such
// connections fill the queue of SYNs.
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
		// An error means that the client has left already, which whoever
		// reads from it finds out as well.
		_ = t.SetKeepAliveConfig(*l.keepAlive)
	}
	return c, nil
}

// Close ends Accept with net.ErrClosed, and removes a UNIX socket's file if
// it still is this listener's own.
func (l *StreamListener) Close() error {
	// The file goes first: while the socket is open the kernel cannot give
	// the inode's number to another file.
	rmErr := l.file.remove()
	if err := l.sock.Close(); err != nil {
		return err
	}
	return rmErr
}

// Addr returns the address that is listened on.
func (l *StreamListener) Addr() net.Addr { return l.sock.Addr() }

// SetDeadline makes Accept fail from t on; the zero time lifts it.
func (l *StreamListener) SetDeadline(t time.Time) error { return l.sock.SetDeadline(t) }

// SyscallConn gives access to the socket.
func (l *StreamListener) SyscallConn() (syscall.RawConn, error) { return l.sock.SyscallConn() }

// SetUnlinkOnClose says whether Close removes a UNIX socket's file: true
// after Listen, false after FromFile. A process that hands its listener over
// sets it to false. It does nothing for tcp.
func (l *StreamListener) SetUnlinkOnClose(unlink bool) { l.file.setUnlink(unlink) }
