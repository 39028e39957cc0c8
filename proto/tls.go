package proto

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"netserver/port"
	"netserver/tlsparams"
)

// TLS makes the Transports of TLS ports. Its Protocol is what "ssl", "ssleay"
// and "tls" stand for.
type TLS struct {
	// Params are the parameters of ports without their own.
	Params tlsparams.Params
	// Loopback tells that every TLS port is bound to loopback, so that one
	// without a certificate may show a self-signed one.
	Loopback bool
	// SelfSigned is that certificate, shared by the ports; nil makes one for
	// each.
	SelfSigned *tlsparams.Certificate
	// Env is what the ports need beside that; its fields that say the same as
	// those above are not looked at.
	Env tlsparams.Env
}

// Protocol makes the Transport of one TLS port. It loads and checks the files
// that p's parameters name.
func (t TLS) Protocol(p port.Spec) (Transport, error) {
	params, err := t.Params.With(p.Params)
	if err != nil {
		return nil, err
	}
	env := t.Env
	env.Where, env.Loopback, env.SelfSigned = "port "+p.Short(), t.Loopback, t.SelfSigned
	src, err := params.Open(env)
	if err != nil {
		return nil, err
	}
	return &TLSTransport{src: src}, nil
}

// A TLSTransport speaks TLS (RFC 8446, RFC 5246) over TCP.
type TLSTransport struct {
	src *tlsparams.Source
}

// Network returns "tcp".
func (t *TLSTransport) Network() string { return "tcp" }

// Source returns where the port's certificates and rules come from.
func (t *TLSTransport) Source() *tlsparams.Source { return t.src }

// Ready shakes hands. The connection it returns is a *TLSConn. A client that
// speaks no TLS gives an error that wraps ErrNotTLS.
func (t *TLSTransport) Ready(ctx context.Context, nc net.Conn) (net.Conn, error) {
	a := newAhead(nc)
	c := &TLSConn{Conn: tls.Server(a, t.src.Config()), ahead: a}
	// HandshakeContext would start a goroutine for each handshake.
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
		defer stop()
	}
	if err := c.Handshake(); err != nil {
		a.release()
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, handshakeError(err)
	}
	return c, nil
}

// ErrNotTLS is the error of a client that does not speak TLS.
var ErrNotTLS = errors.New("the client does not speak TLS")

// handshakeError says what a failed handshake means, where crypto/tls's words
// need it.
func handshakeError(err error) error {
	var rec tls.RecordHeaderError
	switch {
	case errors.As(err, &rec):
		return fmt.Errorf("%w: it sent %s", ErrNotTLS, looksLike(rec.RecordHeader))
	case err == io.EOF:
		return fmt.Errorf("TLS handshake: the client left: %w", io.ErrUnexpectedEOF)
	default:
		return fmt.Errorf("TLS handshake: %w", err)
	}
}

// looksLike names what the first bytes of a client probably are.
func looksLike(b [5]byte) string {
	for _, m := range []string{"GET ", "HEAD ", "POST ", "PUT ", "OPTIO", "DELET", "CONNE", "PATCH", "TRACE", "PRI *"} {
		if string(b[:min(len(m), len(b))]) == m[:min(len(m), len(b))] {
			return "plain HTTP; use https:// for this port"
		}
	}
	switch {
	case string(b[:4]) == "SSH-":
		return "SSH"
	case string(b[:5]) == "PROXY":
		return "a PROXY header"
	case b[0]&0x80 != 0 && b[2] == 1:
		return "an SSLv2 hello"
	default:
		return fmt.Sprintf("% x", b[:])
	}
}

// A TLSConn is a TLS connection that needs no read buffer while it waits.
type TLSConn struct {
	*tls.Conn
	ahead *ahead
	more  bool // the last Read may have left decrypted bytes
}

// Read reads decrypted bytes, as tls.Conn does. It waits in a shallow stack
// and without a buffer.
func (c *TLSConn) Read(b []byte) (int, error) {
	if !c.more {
		if err := c.ahead.wait(); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Read(b)
	// crypto/tls does not tell what it holds, but a Read that did not fill
	// b has emptied it.
	c.more = err == nil && n == len(b)
	return n, err
}

// WaitRead waits until a Read would not wait, or may not.
func (c *TLSConn) WaitRead() error {
	if c.more {
		return nil
	}
	return c.ahead.wait()
}

// NetConn returns the connection below TLS, as accepted.
func (c *TLSConn) NetConn() net.Conn { return c.ahead.Conn }
