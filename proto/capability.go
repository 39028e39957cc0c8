package proto

import (
	"context"
	"errors"
	"net"
	"time"

	"netserver/tlsparams"
)

// The interfaces below are what a Transport can do beside Ready. The engine
// and package daemon look for them and for no type of this package, so that a
// protocol from elsewhere has all that TLS has if it has the methods. One that
// embeds a *TLSTransport has them by that; with a Ready of its own it decides
// what surrounds the handshake.

// A Plain transport puts nothing between the socket and the handler: where
// Plain returns true, Ready returns nc as it is, at once.
type Plain interface{ Plain() bool }

// A TLSFirst transport's clients begin with a ClientHello if TLSFirst returns
// true. The engine waits until the hello is whole, as long as the port's
// limits allow, and only then calls Ready: a client that has not said so much
// costs a bare socket and no goroutine. The answer must not change.
type TLSFirst interface{ TLSFirst() bool }

// A StartsPlain transport is one for TLS whose clients begin in plain text if
// StartsPlain returns true, so that a handler that never starts TLS is refused.
type StartsPlain interface{ StartsPlain() bool }

// A LineLimiter bounds the lines of its port, in bytes with their ends; 0 is
// the engine's limit. The answer must not change.
type LineLimiter interface{ MaxLine() int }

// ErrNoRoute is wrapped by the error of a Handler that chooses among others and
// has none for a client.
var ErrNoRoute = errors.New("no route")

// ErrNoTarget is wrapped by the error of a Handler that could not connect a
// client to any of its targets, and ErrTargetFailed by that of one whose target
// has broken off the connection: in both cases it is not the client's end that
// failed.
var (
	ErrNoTarget     = errors.New("no target")
	ErrTargetFailed = errors.New("target failed")
)

// ErrSlowReceiver is wrapped by the error of a client for which more would wait
// to be sent than its Handler allows.
var ErrSlowReceiver = errors.New("the client takes its output too slowly")

// ErrBadRequest is wrapped by the error of a Handler whose client broke the
// rules of the port's protocol.
var ErrBadRequest = errors.New("bad request")

// A Runner is a Transport or a Handler with work of its own beside its clients:
// following files, or checking backends.
type Runner interface {
	// Run works until ctx ends. It is called once, while the ports are served.
	// Before the end, the server may drain: see Draining.
	Run(ctx context.Context)
}

// A drainKey is the key of a Runner's context for what Draining returns.
type drainKey struct{}

// Draining returns, to a Handler whose Run has got ctx, a channel that is closed
// when the server takes no more clients; those it has may go on for long. It
// returns nil for any other context.
func Draining(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(drainKey{}).(<-chan struct{})
	return c
}

// WithDraining returns a context for which Draining returns c.
func WithDraining(ctx context.Context, c <-chan struct{}) context.Context {
	return context.WithValue(ctx, drainKey{}, c)
}

// A Negotiator is a Handler that speaks protocols which TLS clients choose by
// ALPN. Its TLS ports offer them, unless SSL_alpn_protocols or
// TLSConfig.NextProtos says what to offer.
type Negotiator interface {
	// NextProtos returns what the client with that hello may choose from; nil
	// offers nothing. It is asked for clients that name protocols. It must not
	// wait, may be called at any time, and what it returns is not changed.
	NextProtos(hello *ClientHello) []string
}

// Descriptors are a Handler that opens descriptors of its own: so many for each
// client, beside its connection. The default of Config.Limits.MaxConns takes
// that into account.
type Descriptors interface{ Descriptors() int }

// A Sessions is a Handler that serves, on ports for datagrams, all that one
// client sends with one Conn, a session, and not each datagram by itself. The
// client is an address and a port, and the address of ours that it sends to.
//
// Reads wait for the client's next datagram then: each returns one, and
// io.ErrShortBuffer with what fits of a longer one. WriteTo (io.Copy) writes
// each in one Write. There is no end: the Handler decides when the session is
// over, and what has come by then but was not read begins the next one. Of what
// waits to be read further datagrams are dropped when there are 128 of it, or
// 128 KiB. What Peek and the line methods read ahead has lost its bounds.
//
// Access rules hold for a session as for a connection, and rates of datagrams
// for each datagram. Sessions take no places of MaxConns, MaxServing and
// MaxDatagrams, and time limits of connections do not hold for them.
type Sessions interface {
	// Sessions returns how many sessions each of its ports may have at once:
	// one more ends the one whose client has been silent the longest, of the
	// source with the most. Of those, sessions whose clients have not answered
	// to an answer go first while they are more than a quarter: their
	// addresses may be forged. 0 is 1024, but no more than a quarter of
	// the descriptors allowed; with a negative number each datagram is a
	// client.
	Sessions() int
}

// A Serial is a Handler whose parked clients (Conn.Park) go on one at a time:
// those of all Handlers whose Serial returns the same value, which must be
// comparable. With nil they go on at the same time. There are to be few of such
// values in a server; it keeps a goroutine for each.
type Serial interface{ Serial() any }

// A Judge is a Transport whose clients may have to leave because of what
// happens after their handshake: a certificate is revoked or ends.
type Judge interface {
	// Changed returns a channel that is closed when that may be so for
	// clients that are here. Ask again before judging.
	Changed() <-chan struct{}
	// Judge decides whether the client of nc, which Ready returned, may stay.
	// An error ends it. until is when to ask again; zero is never. reason
	// goes into the client's record.
	Judge(ctx context.Context, nc net.Conn) (until time.Time, reason string, err error)
}

// A Starter is a Transport whose handshake can be made later, on a connection
// that is in use: StartTLS calls it. The rules of Ready hold for Start. What it
// returns is nil when err is not.
type Starter interface {
	Start(ctx context.Context, nc net.Conn) (net.Conn, error)
}

// A Sourced transport has certificates and rules from a Source: their files
// are read again for it where a supervisor follows them, and --check, the log
// and the control socket tell of them. Several transports may share one.
type Sourced interface{ Source() *tlsparams.Source }

// A Challenged transport answers certificate authorities that look whether a
// name is ours. Those whose hello AnswersChallenge finds are not passed on
// undecrypted, whoever takes the name's clients.
type Challenged interface {
	AnswersChallenge(h *ClientHello) bool
}
