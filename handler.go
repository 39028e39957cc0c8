package netserver

import "context"

// A Handler serves one client: a stream connection, or one datagram.
//
// Serve may run for many clients at the same time. The engine closes c when
// Serve returns, so c must not be used after that. ctx ends when the client
// must be cut, and after Serve has returned; a server that only drains says so
// by c.Draining. An error other than io.EOF goes into the client's record. A
// panic becomes such an error and ends this client alone.
type Handler interface {
	Serve(ctx context.Context, c *Conn) error
}

// HandlerFunc makes a Handler of a function.
type HandlerFunc func(ctx context.Context, c *Conn) error

// Serve calls f.
func (f HandlerFunc) Serve(ctx context.Context, c *Conn) error { return f(ctx, c) }
