package protocol

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"netserver/port"
	"netserver/proto"
	"netserver/tlsparams"
)

// Bare is the Protocol of ports that speak TLS by crypto/tls alone. Its
// parameters are those of TLS.
func Bare(p port.Spec) (proto.Transport, error) {
	params, err := tlsparams.Params{}.With(p.Params)
	if err != nil {
		return nil, err
	}
	src, err := params.Open(tlsparams.Env{Where: "port " + p.Short(), Poll: -1})
	if err != nil {
		return nil, err
	}
	return bare{src}, nil
}

type bare struct{ src *tlsparams.Source }

// These are what the engine looks for.
var (
	_ proto.Transport   = bare{}
	_ proto.TLSFirst    = bare{} // hello waiting
	_ proto.LineLimiter = bare{} // SSL_max_getline_length
	_ proto.Runner      = bare{} // reload
	_ proto.Sourced     = bare{} // reload by a supervisor
	_ proto.Judge       = bare{} // revocation
	_ proto.Starter     = bare{} // StartTLS
)

func (b bare) Network() string           { return "tcp" }
func (b bare) TLSFirst() bool            { return true }
func (b bare) MaxLine() int              { return b.src.Params().MaxLine }
func (b bare) Run(ctx context.Context)   { b.src.Run(ctx) }
func (b bare) Source() *tlsparams.Source { return b.src }
func (b bare) Changed() <-chan struct{}  { return b.src.Changed() }

func (b bare) Judge(ctx context.Context, nc net.Conn) (time.Time, string, error) {
	c, ok := nc.(proto.Secured)
	if !ok {
		return time.Time{}, "", nil // it has not started TLS
	}
	state := c.ConnectionState()
	v, err := b.src.Judge(ctx, &state)
	return v.Until, v.Reason, err
}

func (b bare) Ready(ctx context.Context, nc net.Conn) (net.Conn, error) { return b.Start(ctx, nc) }

func (b bare) Start(ctx context.Context, nc net.Conn) (net.Conn, error) {
	c := tls.Server(nc, b.src.Config())
	// HandshakeContext would close nc, which is the engine's.
	defer context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })()
	if err := c.Handshake(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, err
	}
	return c, nil
}
