package netserver

import "context"

// A Handler serves one client: a stream connection, or one datagram.
//
// Serve may run for many clients at the same time. The engine closes c when
// Serve returns, so c must not be used after that. ctx ends when the client
// must be cut, and after Serve has returned; a server that only drains says so
// by c.Draining. An error other than io.EOF and
// ErrDraining goes into the client's record. A
// panic becomes such an error and ends this client alone.
type Handler interface {
	Serve(ctx context.Context, c *Conn) error
}

// StartsTLS says of h that it starts TLS itself, with Conn.StartTLS. Ports that
// speak TLS, and whose clients begin in plain text (SSL_startHandshake 0), are
// refused to every other Handler: a client of theirs would never get TLS. What
// wraps such a Handler must say so again.
func StartsTLS(h Handler) Handler { return starting{h} }

type starting struct{ Handler }

func (starting) StartsTLS() bool { return true }

// HandlerFunc makes a Handler of a function.
type HandlerFunc func(ctx context.Context, c *Conn) error

// Serve calls f.
func (f HandlerFunc) Serve(ctx context.Context, c *Conn) error { return f(ctx, c) }
