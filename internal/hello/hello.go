package hello

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"netserver/internal/deadline"
)

// A State is how much of a client's first TLS record there is.
type State struct {
	Have    int32 // bytes, or some of them
	Missing int32 // how many there must be for it to be whole or to tell more; 0 if it is whole, or no TLS
	Err     error // the client has left
}

// Unseen is the state of a hello that was not looked for yet.
var Unseen = State{Missing: 1}

// Begun reports whether there is anything.
func (s State) Begun() bool { return s.Have > 0 }

// ErrSilent ends a client that left without a byte: a probe, mostly.
var ErrSilent = fmt.Errorf("the client left without a word: %w", io.ErrUnexpectedEOF)

// ErrSilentReset ends a client that reset its connection and had sent nothing: some
// balancers end their checks so.
var ErrSilentReset = fmt.Errorf("the client left without a word: %w", syscall.ECONNRESET)

// A Client is whose hello is waited for. Its methods may be called by any
// goroutine, and must not wait.
type Client interface {
	// ID returns a number that no other waiting client has.
	ID() uint64
	// Most is as much of its hello as is waited for, in bytes: Short or
	// Longest. The answer must not change.
	Most() int
	// Deadline returns when the client is cut if its hello is not whole by
	// then, begun or not, and the error that this is. Zero is never.
	Deadline(begun bool, now time.Time) (end time.Time, why error)
	// Cause returns why the client was cut; nil if it was not.
	Cause() error
	// Heard is called once, by who ends the wait: with nil when the hello is
	// whole.
	Heard(err error)
}

// Peek sees what there is of the hello of a connection that was just accepted,
// as far as that has most bytes.
// One that is dead is of no use, whatever it sent before.
func Peek(nc net.Conn, most int) State {
	if !Bare(nc) {
		return Unseen
	}
	state := peek(nc, most)
	switch {
	case errors.Is(state.Err, errors.ErrUnsupported):
		return Unseen
	case state.Err == nil && state.Begun():
		state.Err = Failed(nc)
	}
	return state
}

// Bare reports whether nc is a socket whose bytes all are still in the kernel,
// as long as nobody reads: a connection of another type may hold some itself.
func Bare(nc net.Conn) bool {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

// control gives f the descriptor of a connection that is Bare.
func control(nc net.Conn, f func(fd uintptr)) error {
	// The types are named so that nothing is allocated.
	switch c := nc.(type) {
	case *net.TCPConn:
		rc, err := c.SyscallConn()
		if err != nil {
			return err
		}
		return rc.Control(f)
	case *net.UnixConn:
		rc, err := c.SyscallConn()
		if err != nil {
			return err
		}
		return rc.Control(f)
	}
	return errors.ErrUnsupported
}

// unixGrace is how long the hello of a client of a UNIX socket may take once it
// has begun. There the kernel counts what a client has sent by writes and not by
// bytes: some 270 of them, however short, and it can send nothing more before
// somebody takes them.
const unixGrace = 100 * time.Millisecond

// errEnough ends the wait for such a hello. The handshake waits for the rest and
// takes it.
var errEnough = errors.New("the rest of the hello is the handshake's to wait for")

// deadlineOf returns when the wait for the hello of c ends, and why. Where the
// whole hello has to be seen before the handshake (Longest), there is no
// unixGrace.
func deadlineOf(c Client, nc net.Conn, begun bool) (end time.Time, why error) {
	now := time.Now()
	end, why = c.Deadline(begun, now)
	if _, ok := nc.(*net.UnixConn); ok && begun && c.Most() <= Short {
		if grace := now.Add(unixGrace); end.IsZero() || grace.Before(end) {
			return grace, errEnough
		}
	}
	return end, why
}

// Await waits for the hello of a client on the caller's goroutine, within its
// deadlines. It takes no byte.
func Await(c Client, nc net.Conn) error {
	end, why := deadlineOf(c, nc, false)
	nc.SetReadDeadline(end)
	err := await(nc, c.Most(), func() {
		end, why = deadlineOf(c, nc, true)
		nc.SetReadDeadline(end)
	})
	if why == errEnough && deadline.IsTimeout(err) {
		err = nil
	}
	if err == nil {
		nc.SetReadDeadline(time.Time{})
	} else if why != nil && deadline.IsTimeout(err) {
		err = why
	}
	return err
}
