//go:build unix

package proto

import (
	"io"
	"net"
	"os"
	"syscall"

	"netserver/internal/relay"
)

func (a *ahead) initFill() {
	sc, ok := a.Conn.(syscall.Conn)
	if !ok {
		return
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return
	}
	a.rc = rc
	a.fill = a.fillFrom
}

// fillFrom takes a buffer only for a socket that has bytes.
func (a *ahead) fillFrom(fd uintptr) bool {
	a.endWait()
	a.take()
	for {
		a.n, a.ferr = syscall.Read(int(fd), *a.buf)
		if a.ferr != syscall.EINTR {
			break
		}
	}
	if a.ferr == syscall.EAGAIN {
		a.release()
		a.startWait()
		if a.owes {
			a.owes = false
			acknowledge(fd)
		}
		return a.tries
	}
	return true
}

func (a *ahead) readSocket() (int, error) {
	if a.rc == nil {
		return a.readPlain()
	}
	err := a.rc.Read(a.fill)
	n, ferr := a.n, a.ferr
	switch {
	case err != nil:
		return 0, err
	case ferr == syscall.EAGAIN:
		return 0, errWouldWait{}
	case ferr != nil:
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: a.LocalAddr(), Addr: a.RemoteAddr(),
			Err: os.NewSyscallError("read", ferr)}
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// canTry reports whether it can be read and written without waiting.
func (a *ahead) canTry() bool { return a.rc != nil }

// trySend writes what the socket takes.
func (a *ahead) trySend(b []byte) (int, error) { return relay.TryWrite(a.rc, a.Conn, b) }
