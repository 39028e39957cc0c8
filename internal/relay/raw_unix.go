//go:build unix

package relay

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// RawOf returns the raw connection of a plain TCP or UNIX socket, for waiting
// without a buffer; nil for others.
func RawOf(nc net.Conn) (rc syscall.RawConn) {
	switch nc := nc.(type) {
	case *net.TCPConn:
		rc, _ = nc.SyscallConn()
	case *net.UnixConn:
		rc, _ = nc.SyscallConn()
	}
	return rc
}

// IsSocket reports whether RawOf returns something for nc.
func IsSocket(nc net.Conn) bool {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

// A RawReader reads from a plain socket into a buffer that it takes only once
// the kernel has bytes: a Read would hold one while it waits. With nothing to
// read it gives the buffer back before it waits. It is made once for a
// connection, so that a read allocates nothing.
type RawReader struct {
	funcs   bufferFuncs
	buffers buffers
	try     func(fd uintptr) bool
	n       int
	err     error
}

// NewRawReader returns a RawReader that takes buffers by take and gives one
// back that it does not need by release.
func NewRawReader(take func() []byte, release func()) *RawReader {
	r := &RawReader{funcs: bufferFuncs{take, release}}
	r.buffers, r.try = &r.funcs, r.tryOnce
	return r
}

// newRawReader returns one that takes its buffers of b: two functions less to
// allocate.
func newRawReader(b buffers) *RawReader {
	r := &RawReader{buffers: b}
	r.try = r.tryOnce
	return r
}

func (r *RawReader) tryOnce(fd uintptr) bool {
	b := r.buffers.take()
	for {
		r.n, r.err = syscall.Read(int(fd), b)
		if r.err != syscall.EINTR {
			break
		}
	}
	if r.err == syscall.EAGAIN {
		r.buffers.release()
		return false
	}
	return true
}

// Read reads from nc, whose raw connection is rc.
func (r *RawReader) Read(rc syscall.RawConn, nc net.Conn) (int, error) {
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

// HasInput reports whether the kernel holds bytes of a TCP connection that
// nobody has read.
func HasInput(nc net.Conn) bool {
	t, ok := nc.(*net.TCPConn)
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
