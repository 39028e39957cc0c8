//go:build unix

package netserver

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// initRaw prepares waiting without a buffer on a plain socket.
func (c *Conn) initRaw() {
	c.rc = nil
	switch nc := c.nc.(type) {
	case *net.TCPConn:
		c.rc, _ = nc.SyscallConn()
	case *net.UnixConn:
		c.rc, _ = nc.SyscallConn()
	}
}

// A rawReader reads from a plain socket into a buffer that it takes only once
// the kernel has bytes: a Read would hold one while it waits. With nothing to
// read it gives the buffer back before it waits. It is made once for a
// connection, so that a read allocates nothing.
type rawReader struct {
	take    func() []byte
	release func()
	try     func(fd uintptr) bool
	n       int
	err     error
}

func newRawReader(take func() []byte, release func()) *rawReader {
	r := &rawReader{take: take, release: release}
	r.try = r.tryOnce
	return r
}

func (r *rawReader) tryOnce(fd uintptr) bool {
	b := r.take()
	for {
		r.n, r.err = syscall.Read(int(fd), b)
		if r.err != syscall.EINTR {
			break
		}
	}
	if r.err == syscall.EAGAIN {
		r.release()
		return false
	}
	return true
}

// read reads from nc, whose raw connection is rc.
func (r *rawReader) read(rc syscall.RawConn, nc net.Conn) (int, error) {
	err := rc.Read(r.try)
	switch {
	case err != nil:
		return 0, err
	case r.err != nil:
		return 0, opError("read", nc, os.NewSyscallError("read", r.err))
	case r.n == 0:
		return 0, io.EOF
	}
	return r.n, nil
}

// hasInput reports whether the Transport or the kernel holds bytes of the
// client that nobody has read.
func (c *Conn) hasInput() bool {
	if u, ok := c.nc.(interface{ Unread() bool }); ok && u.Unread() {
		return true
	}
	t, ok := c.raw.(*net.TCPConn)
	if !ok {
		return false
	}
	rc, err := t.SyscallConn()
	if err != nil {
		return false
	}
	var n int
	err = rc.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return n > 0 && !errors.Is(err, syscall.EAGAIN)
}
