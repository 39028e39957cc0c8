package starttls

import (
	"context"
	"net"
)

// A Join brings a backend to where its client is, before the first byte between
// them. nc has a deadline. tls starts TLS with the backend, and is nil where it
// has none or has started it already. The result is to be used in place of nc. An
// error is a *BackendError, or the client's.
type Join func(nc net.Conn, tls func(net.Conn) (net.Conn, error)) (net.Conn, error)

// A BackendError is what a backend did in a Join.
type BackendError struct{ Err error }

// Error returns what it did.
func (e *BackendError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *BackendError) Unwrap() error { return e.Err }

type joinKey struct{}

// WithJoin tells whoever connects a client to a backend how to join them.
func WithJoin(ctx context.Context, j Join) context.Context {
	return context.WithValue(ctx, joinKey{}, j)
}

// JoinOf returns the Join of ctx, or nil.
func JoinOf(ctx context.Context) Join {
	j, _ := ctx.Value(joinKey{}).(Join)
	return j
}
