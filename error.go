package netserver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"netserver/access"
	"netserver/internal/deadline"
	"netserver/outcome"
	"netserver/port"
)

// What a Handler, or the caller of Serve, may test for with errors.Is. What
// else ends a client has no name here: Record.Outcome and Error.Outcome say it.
// access.ErrDenied is wrapped by the error of one that a rule or Hooks.Allow
// refused.
var (
	// ErrCut ends clients that were still being served when the server
	// stopped, and the Serve that cut them.
	ErrCut = errors.New("cut: the server stopped")
	// ErrIdle ends a client that sent and took nothing for Config.Timeouts.Idle.
	ErrIdle = deadline.ErrIdle
	// ErrMaxLife ends a client that was connected for Config.Timeouts.Life.
	ErrMaxLife = deadline.ErrMaxLife
	// ErrWriteStalled ends a client that took no bytes for Config.Timeouts.Write.
	ErrWriteStalled = deadline.ErrWriteStalled
	// ErrFirstRequestTimeout ends a client that sent no byte of a request for
	// Config.Timeouts.FirstRequest.
	ErrFirstRequestTimeout = deadline.ErrFirstRequestTimeout
	// ErrDraining ends one read of a Conn that asked for it with
	// EndReadsOnDrain, when the server drains. A Handler may return it: its
	// client then counts as served.
	ErrDraining = deadline.ErrDraining
	// ErrTooSlow ends a client that sent less than Config.Limits.MinReadRate or took
	// less than Config.Limits.MinWriteRate.
	ErrTooSlow = deadline.ErrTooSlow
	// ErrLineTooLong is returned by reads that found no delimiter within
	// their limit. The bytes stay unread.
	ErrLineTooLong = errors.New("line too long")
	// ErrServerClosed is returned by Serve after Shutdown or Close.
	ErrServerClosed = errors.New("server closed")
)

// What ends a client before its Handler, or from outside; outcomeOf knows them.
var (
	errDenied           = access.ErrDenied
	errKilled           = errors.New("killed by the operator")
	errHandshakeTimeout = errors.New("handshake not finished in time")
	errProxyHeader      = errors.New("PROXY header") // of a sender that is not believed it wraps errDenied too
	errFirstByteTimeout = errors.New("no byte in time")
	errHelloTimeout     = errors.New("hello not finished in time")
	errOverLimit        = errors.New("over a limit") // behind a proxy: others are refused at accept
	errPenalised        = errors.New("source is in the penalty box")
)

// A cutError is ErrCut with another reason than the server's end.
type cutError struct{ why string }

func (e *cutError) Error() string        { return "cut: " + e.why }
func (e *cutError) Is(target error) bool { return target == ErrCut }

// An Error says at which stage, on which port and for which peer something
// failed.
type Error struct {
	Stage Stage
	Port  port.Spec
	Peer  net.Addr // nil before there is a client
	Err   error
}

// Error returns one line: port, peer, stage, cause.
func (e *Error) Error() string {
	s := "port " + e.Port.Short()
	if e.Peer != nil && e.Peer.String() != "" {
		s += ": peer " + e.Peer.String()
	}
	return s + ": " + e.Stage.String() + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Outcome returns the class of clients that end with e, as their records have
// it: outcome.Hello of one whose hello took too long, for instance.
func (e *Error) Outcome() outcome.Class { return outcomeOf(e.Stage, e.Err) }

// A PanicError is the error of a Handler or hook that panicked.
type PanicError struct {
	Value any    // what was passed to panic
	Stack []byte // the goroutine's stack at the panic
}

// Error returns the panic's value. The stack is logged apart from it.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

func handshakeTimeout(limit time.Duration) error {
	return fmt.Errorf("%w (%v)", errHandshakeTimeout, limit)
}

// isGone reports whether err only says that the client has left: what every
// long-lived server sees all day and nobody has to act on.
func isGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
