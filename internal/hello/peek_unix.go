//go:build unix

package hello

import (
	"net"
	"sync"
	"syscall"
)

// bufferSize is as much of a hello as is waited for: what does not fit is left
// to the handshake.
const bufferSize = 4 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// recordHandshake is the first byte of a TLS record that carries a hello, and
// recordHeader the length of what stands before its bytes.
const (
	recordHandshake = 0x16
	recordHeader    = 5
)

// await returns when the client has sent its whole first TLS record, or
// something else. It takes nothing, and calls begun, if not nil, once when there
// is a part of it. The end of a client that has sent nothing is an error.
func await(nc net.Conn, begun func()) error {
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
	var state State
	err = rc.Read(func(fd uintptr) bool {
		state = peekHello(int(fd))
		if state.Begun() && state.Missing > 0 && begun != nil {
			begun()
			begun = nil
		}
		return state.Missing == 0
	})
	if err == nil {
		err = state.Err
	}
	return err
}

// peek looks how much of a hello there is on a connection.
func peek(nc *net.TCPConn) (state State) {
	rc, err := nc.SyscallConn()
	if err != nil {
		return State{Err: err}
	}
	err = rc.Control(func(fd uintptr) { state = peekHello(int(fd)) })
	if err != nil {
		state.Err = err
	}
	return state
}

// peekHello looks how much of a hello there is, and takes nothing of it.
func peekHello(fd int) State {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	b := buf[:]
	n, _, err := syscall.Recvfrom(fd, b, syscall.MSG_PEEK)
	have := int32(n)
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return Unseen
	case err != nil:
		return State{Err: &net.OpError{Op: "read", Net: "tcp", Err: err}}
	case n == 0:
		return State{Err: ErrSilent}
	case b[0] != recordHandshake:
		return State{Have: have}
	case n < recordHeader:
		return State{Have: have, Missing: recordHeader}
	}
	need := min(recordHeader+int32(b[3])<<8+int32(b[4]), bufferSize)
	if have < need {
		return State{Have: have, Missing: need}
	}
	return State{Have: have}
}

// Failed returns the error of a connection that the client has reset,
// without reading what it had sent before.
func Failed(nc *net.TCPConn) error {
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
