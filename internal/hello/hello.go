package hello

import (
	"errors"
	"fmt"
	"io"
	"net"
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
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return Unseen
	}
	state := peek(tc, most)
	switch {
	case errors.Is(state.Err, errors.ErrUnsupported):
		return Unseen
	case state.Err == nil && state.Begun():
		state.Err = Failed(tc)
	}
	return state
}

// Await waits for the hello of a client on the caller's goroutine, within its
// deadlines. It takes no byte.
func Await(c Client, nc net.Conn) error {
	end, why := c.Deadline(false, time.Now())
	nc.SetReadDeadline(end)
	err := await(nc, c.Most(), func() {
		end, why = c.Deadline(true, time.Now())
		nc.SetReadDeadline(end)
	})
	if err == nil {
		nc.SetReadDeadline(time.Time{})
	} else if why != nil && deadline.IsTimeout(err) {
		err = why
	}
	return err
}
