//go:build unix

package hello

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
)

var (
	buffers = sync.Pool{New: func() any { return new([Short]byte) }}
	longs   = sync.Pool{New: func() any { return new([Longest]byte) }}
)

// await returns when the client has sent its whole hello, as far as that has
// most bytes, or something else. It takes nothing, and calls begun, if not nil, once when there
// is a part of it. The end of a client that has sent nothing is an error.
func await(nc net.Conn, most int, begun func()) error {
	// A connection of another type may hold bytes that the kernel no longer
	// has.
	if !Bare(nc) {
		return nil
	}
	rc, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var state State
	err = rc.Read(func(fd uintptr) bool {
		state = peekHello(int(fd), most)
		if state.Begun() && state.Missing > 0 && begun != nil {
			begun()
			begun = nil
		}
		return state.Missing == 0
	})
	if err == nil {
		err = readError(nc, state.Err)
	}
	return err
}

// readError names what a system call has failed at; other errors stay as they
// are.
func readError(nc net.Conn, err error) error {
	if code, ok := err.(syscall.Errno); ok {
		return &net.OpError{Op: "read", Net: nc.LocalAddr().Network(), Err: code}
	}
	return err
}

// peek looks how much of a hello there is on a connection.
func peek(nc net.Conn, most int) (state State) {
	err := control(nc, func(fd uintptr) { state = peekHello(int(fd), most) })
	if err == nil {
		err = readError(nc, state.Err)
	}
	state.Err = err
	return state
}

// peekHello looks how much of a hello there is, and takes nothing of it. Where
// the first record is enough (Short), the rest is the handshake's to wait for.
func peekHello(fd, most int) State {
	if most > Short {
		buf := longs.Get().(*[Longest]byte)
		defer longs.Put(buf)
		return look(fd, buf[:])
	}
	buf := buffers.Get().(*[Short]byte)
	defer buffers.Put(buf)
	return look(fd, buf[:])
}

func look(fd int, b []byte) State {
	n, _, err := syscall.Recvfrom(fd, b, syscall.MSG_PEEK)
	have := int32(n)
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return Unseen
	case err == syscall.ECONNRESET: // what had come before would have been read
		return State{Err: ErrSilentReset}
	case err != nil:
		return State{Err: err}
	case n == 0:
		return State{Err: ErrSilent}
	case b[0] != recordHandshake:
		return State{Have: have}
	case len(b) > Short:
		_, need := Message(b[:n])
		return State{Have: have, Missing: int32(need)}
	case n < recordHeader:
		return State{Have: have, Missing: recordHeader}
	}
	need := min(recordHeader+int32(b[3])<<8+int32(b[4]), Short)
	if have < need {
		return State{Have: have, Missing: need}
	}
	return State{Have: have}
}

// Copy copies what the kernel holds of a connection's first bytes into b, and
// takes nothing of it.
func Copy(nc net.Conn, b []byte) (n int, err error) {
	var perr error
	err = control(nc, func(fd uintptr) { n, _, perr = syscall.Recvfrom(int(fd), b, syscall.MSG_PEEK) })
	if err == nil {
		err = readError(nc, perr)
	}
	return max(n, 0), err
}

// First waits for a connection's first byte, within its read deadline, and takes
// nothing of it. The error of a client that has left is io.EOF.
func First(nc net.Conn) (byte, error) {
	if !Bare(nc) {
		return 0, errors.ErrUnsupported
	}
	rc, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var b [1]byte
	n := 0
	var perr error
	err = rc.Read(func(fd uintptr) bool {
		n, _, perr = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		return perr != syscall.EAGAIN && perr != syscall.EINTR
	})
	switch {
	case err != nil:
		return 0, err
	case perr != nil:
		return 0, readError(nc, perr)
	case n == 0:
		return 0, io.EOF
	}
	return b[0], nil
}

// CanCopy tells that Copy works here.
const CanCopy = true

// Failed returns the error of a connection that the client has reset,
// without reading what it had sent before.
func Failed(nc net.Conn) (err error) {
	code := 0
	cerr := control(nc, func(fd uintptr) { code, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR) })
	switch {
	case cerr != nil:
		return cerr
	case err != nil:
		return err
	case code != 0:
		return readError(nc, syscall.Errno(code))
	}
	return nil
}
