package proto

import (
	"context"
	"crypto/tls"
	"net"
	"reflect"
	"time"
)

// Accepted is the Transport of listeners whose connections speak TLS by
// themselves, as those of tls.NewListener do: the handshake is made before the
// handler runs, within the port's limits. nc of Ready is what Accept returned,
// and so is what it returns. StartTLS, reload and revocation are the
// listener's own business.
type Accepted struct{}

// DoesTLS reports whether l is a listener of that kind: what tls.NewListener
// returned, or one that is TLSFirst.
func DoesTLS(l net.Listener) bool {
	if f, ok := l.(TLSFirst); ok {
		return f.TLSFirst()
	}
	return reflect.TypeOf(l) == reflect.TypeOf(tls.NewListener(nil, nil))
}

// Network returns "tcp".
func (Accepted) Network() string { return "tcp" }

// TLSFirst returns true.
func (Accepted) TLSFirst() bool { return true }

// Ready shakes hands.
func (Accepted) Ready(ctx context.Context, nc net.Conn) (net.Conn, error) {
	own, w := under(nc)
	if w != nil {
		// Its TLS reads the socket itself and tells nobody when it waits, so
		// that it goes without turns: with one, a client that is silent in
		// its handshake would keep others from theirs.
		w.Waiting()
		defer w.Woken()
	}
	var err error
	switch c := own.(type) {
	case *tls.Conn: // HandshakeContext would start a goroutine for each
		if ctx.Done() != nil {
			defer context.AfterFunc(ctx, func() { own.SetDeadline(time.Unix(1, 0)) })()
		}
		if err = c.Handshake(); err != nil && context.Cause(ctx) == nil {
			return nil, handshakeError(c, err)
		}
	case Handshaker:
		err = c.HandshakeContext(ctx)
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, err
	}
	return own, nil
}
