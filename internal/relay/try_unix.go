//go:build unix

package relay

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// A trial is one attempt to read from or write to a socket, which does not
// wait. They are pooled with their functions, so that one allocates nothing.
type trial struct {
	b     []byte
	n     int
	err   error
	read  func(fd uintptr) bool
	write func(fd uintptr) bool
}

var trials = sync.Pool{New: func() any {
	t := new(trial)
	t.read = func(fd uintptr) bool { t.try(syscall.Read, fd); return true }
	t.write = func(fd uintptr) bool { t.try(syscall.Write, fd); return true }
	return t
}}

func (t *trial) try(f func(int, []byte) (int, error), fd uintptr) {
	for {
		t.n, t.err = f(int(fd), t.b)
		if t.err != syscall.EINTR {
			return
		}
	}
}

// result returns what became of it: nothing if it would have to wait.
func (t *trial) result(op string, nc net.Conn, err error) (int, error) {
	switch {
	case err != nil:
		return 0, err
	case t.err == syscall.EAGAIN:
		return 0, nil
	case t.err != nil:
		return 0, opError(op, nc, os.NewSyscallError(op, t.err))
	}
	return t.n, nil
}

func (t *trial) free() {
	t.b = nil
	trials.Put(t)
}

// TryRead reads from nc, whose raw connection is rc, what there is, and does not
// wait: 0 and nil is nothing.
func TryRead(rc syscall.RawConn, nc net.Conn, b []byte) (n int, err error) {
	t := trials.Get().(*trial)
	defer t.free()
	t.b = b
	n, err = t.result("read", nc, rc.Read(t.read))
	if n == 0 && err == nil && t.err == nil && len(b) > 0 {
		err = io.EOF
	}
	return n, err
}

// TryWrite writes to nc as much of b as it takes, and does not wait.
func TryWrite(rc syscall.RawConn, nc net.Conn, b []byte) (n int, err error) {
	t := trials.Get().(*trial)
	defer t.free()
	t.b = b
	return t.result("write", nc, rc.Write(t.write))
}
