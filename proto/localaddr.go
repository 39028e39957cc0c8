package proto

import (
	"context"
	"net"
)

type localAddrKey struct{}

// WithLocalAddr returns a context for Ready and Start that says which address
// the client has connected to, where the connection itself does not tell:
// behind the sender of a PROXY header. Certificates are chosen by it.
func WithLocalAddr(ctx context.Context, a net.Addr) context.Context {
	return context.WithValue(ctx, localAddrKey{}, a)
}

func localAddr(ctx context.Context, nc net.Conn) net.Addr {
	if a, ok := ctx.Value(localAddrKey{}).(net.Addr); ok {
		return a
	}
	return nc.LocalAddr()
}
