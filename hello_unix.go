//go:build unix

package netserver

import (
	"net"
	"syscall"
)

// recordHandshake is the first byte of a TLS record that carries a hello, and
// recordHeader the length of what stands before its bytes.
const (
	recordHandshake = 0x16
	recordHeader    = 5
)

// wait returns when the client has sent its whole first TLS record, or
// something else. It takes nothing. The end of a client that has sent nothing
// is an error.
func (h *helloWait) wait(nc net.Conn) error {
	// A connection of another type may hold bytes that the kernel no longer
	// has.
	sc, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	var perr error
	err = rc.Read(func(fd uintptr) bool {
		state, err := peekHello(int(fd))
		perr = err
		if state.begun() && state.missing > 0 && h.begun != nil {
			h.begun()
			h.begun = nil
		}
		return state.missing == 0 || err != nil
	})
	if err == nil {
		err = perr
	}
	return err
}

// lookForHello looks how much of a hello there is on a connection.
func lookForHello(nc *net.TCPConn) (state helloState, err error) {
	rc, err := nc.SyscallConn()
	if err != nil {
		return state, err
	}
	var perr error
	err = rc.Control(func(fd uintptr) { state, perr = peekHello(int(fd)) })
	if err == nil {
		err = perr
	}
	return state, err
}

// peekHello looks how much of a hello there is, and takes nothing of it.
func peekHello(fd int) (state helloState, err error) {
	buf := getBuffer()
	defer putBuffer(buf)
	b := *buf
	n, _, err := syscall.Recvfrom(fd, b, syscall.MSG_PEEK)
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return helloState{missing: 1}, nil
	case err != nil:
		return state, &net.OpError{Op: "read", Net: "tcp", Err: err}
	case n == 0:
		return state, errSilent
	case b[0] != recordHandshake:
		return helloState{have: n}, nil
	case n < recordHeader:
		return helloState{have: n, missing: recordHeader}, nil
	}
	need := min(recordHeader+int(b[3])<<8+int(b[4]), len(b))
	if n < need {
		return helloState{have: n, missing: need}, nil
	}
	return helloState{have: n}, nil
}

// hasFailed returns the error of a connection that the client has reset,
// without reading what it had sent before.
func hasFailed(nc *net.TCPConn) error {
	rc, err := nc.SyscallConn()
	if err != nil {
		return err
	}
	code := 0
	cerr := rc.Control(func(fd uintptr) { code, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR) })
	switch {
	case cerr != nil:
		return cerr
	case err != nil:
		return err
	case code != 0:
		return &net.OpError{Op: "read", Net: "tcp", Err: syscall.Errno(code)}
	}
	return nil
}
