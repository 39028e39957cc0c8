//go:build unix

package sock

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"netserver/port"
)

// A unixgramSocket is a UNIX datagram socket as a packetSocket.
type unixgramSocket struct {
	*net.UnixConn
	raw   syscall.RawConn
	local net.Addr
}

func newUnixgramListener(conn *net.UnixConn, file *socketFile, p port.Spec, o Options) (*DatagramListener, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &unixgramSocket{UnixConn: conn, raw: raw, local: conn.LocalAddr()}
	return newDatagramListener(s, file, p, o), nil
}

func (s *unixgramSocket) receive(r *scratch) (n int, err error) {
	n, r.unix, err = s.ReadFromUnix(r.buf[:])
	if r.unix != nil && r.unix.Name == "" {
		r.unix = nil
	}
	return n, err
}

func (s *unixgramSocket) sender(r *scratch) net.Addr {
	if r.unix == nil {
		return &net.UnixAddr{Net: "unixgram"}
	}
	return r.unix
}

func (s *unixgramSocket) newConn(r *scratch) *DatagramConn {
	return &DatagramConn{local: s.local, remote: s.sender(r), back: from{unix: r.unix}}
}

const (
	sendPatience = 10 * time.Second
	minSendPause = 200 * time.Microsecond
	maxSendPause = 50 * time.Millisecond
)

// send retries while the client's queue is full. It must not wait in package
// net, which holds the socket's write lock: one client that never reads would
// block the answers to all others, and the poller cannot tell when one of many
// receivers has room again.
//
// This does not help against a client that connects its own socket to this one
// and never reads: the kernel does not limit its queue, so it fills the send
// buffer that all answers share. The file's mode decides who can do that.
func (s *unixgramSocket) send(c *DatagramConn, p []byte) error {
	if c.back.unix == nil {
		return ErrNoReturnAddress
	}
	to := &unix.SockaddrUnix{Name: c.back.unix.Name}
	end := time.Now().Add(sendPatience)
	for pause := minSendPause; ; pause = min(2*pause, maxSendPause) {
		err := s.trySend(p, to)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.ENOBUFS) { // ENOBUFS: the BSDs
			return err
		}
		time.Sleep(pause)
		if err := c.writable(); err != nil {
			return err
		}
		if c.hasWriteDeadline() {
			continue
		}
		if time.Now().After(end) {
			return os.ErrDeadlineExceeded
		}
	}
}

func (c *DatagramConn) hasWriteDeadline() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.writeDeadline.IsZero()
}

// trySend sends p without waiting.
func (s *unixgramSocket) trySend(p []byte, to unix.Sockaddr) error {
	var err error
	werr := s.raw.Write(func(fd uintptr) bool {
		for {
			err = unix.Sendto(int(fd), p, 0, to)
			if err != unix.EINTR {
				return true // do not wait, whatever the result
			}
		}
	})
	switch {
	case werr != nil:
		return werr
	case err == unix.EACCES || err == unix.EPERM: // EPERM: connected to another
		name := to.(*unix.SockaddrUnix).Name
		return explain(os.NewSyscallError("sendto", err), "the answer cannot be sent: user %d, which the server runs as, may not write to the client's socket %q (%v): the client must permit it, for instance with umask 0 before it binds the socket, or set user to one that it permits", os.Geteuid(), name, err)
	}
	return os.NewSyscallError("sendto", err)
}
