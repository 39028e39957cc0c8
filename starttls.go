package netserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"netserver/proto"
)

// ErrPlaintextBeforeTLS is returned by StartTLS when the client has sent more
// in plain text than the Handler has read. A command that was slipped in there
// must not be taken for one that came under TLS (CVE-2011-0411).
var ErrPlaintextBeforeTLS = errors.New("the client sent plain text beyond the command that starts TLS")

// StartTLS makes the connection a TLS one, with the port's parameters, as the
// STARTTLS of many protocols does. The Handler sends its agreement first. The
// handshake must end within Config.Timeouts.Handshake and before ctx does. After
// an error the connection is of no use.
//
// It can be called on TLS ports with SSL_startHandshake 0, which want a Handler
// that StartsTLS made, and on plain stream ports of a Server with a certificate
// in Config.TLS, TLS or TLSConfig. It must be called by the goroutine that
// reads, while no other writes.
func (c *Conn) StartTLS(ctx context.Context) error {
	t, err := c.startTransport()
	if err != nil {
		return err
	}
	if err := c.lines.reader.enter(); err != nil {
		return err
	}
	defer c.lines.reader.leave()
	if c.lines.buf.len() > 0 {
		return ErrPlaintextBeforeTLS
	}
	c.lines.buf.release()
	limit := c.l.cfg.Timeouts.Handshake
	begin := time.Now()
	c.limits.Off(c.nc)
	if limit > 0 {
		c.raw.SetDeadline(begin.Add(limit))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.ctx, func() { cancel(context.Cause(c.ctx)) })()
	nc, err := t.Start(c.addressed(ctx), c.raw)
	if err != nil {
		return c.orCause(&startError{c.handshakeErr(err, begin)})
	}
	c.raw.SetDeadline(time.Time{})
	c.become(nc)
	c.measure(time.Since(begin))
	c.limits.Renew(nc)
	return c.judge(c.ctx, t)
}

// A startError is a handshake of StartTLS that failed.
type startError struct{ err error }

func (e *startError) Error() string { return e.err.Error() }
func (e *startError) Unwrap() error { return e.err }

// StopTLS ends TLS and goes on in plain text: it sends close_notify and waits
// for the client's, up to Config.Timeouts.Handshake. It returns
// errors.ErrUnsupported on a connection without TLS. After another error the
// connection is of no use. The rules for StartTLS's goroutine hold.
func (c *Conn) StopTLS() error {
	t, ok := c.nc.(proto.Stopper)
	if !ok {
		return fmt.Errorf("StopTLS: no TLS here: %w", errors.ErrUnsupported)
	}
	if err := c.lines.reader.enter(); err != nil {
		return err
	}
	defer c.lines.reader.leave()
	c.lines.buf.release()
	c.limits.Off(c.nc)
	if limit := c.l.cfg.Timeouts.Handshake; limit > 0 {
		c.raw.SetDeadline(time.Now().Add(limit))
	}
	nc, sent, err := t.Stop()
	if err != nil {
		return c.orCause(err)
	}
	c.raw.SetDeadline(time.Time{})
	c.become(nc)
	c.limits.Renew(nc)
	c.lines.buf.b, c.lines.buf.w = sent, len(sent)
	return nil
}

// A starter is a Transport that can start on a connection that is in use.
type starter interface {
	proto.Judge
	proto.Starter
}

func (c *Conn) startTransport() (starter, error) {
	switch {
	case c.l.datagram != nil:
		return nil, fmt.Errorf("StartTLS on a datagram: %w", errors.ErrUnsupported)
	case c.nc != c.raw:
		return nil, errors.New("StartTLS: the connection is not plain")
	}
	if t, ok := c.l.transport.(starter); ok {
		return t, nil
	}
	return nil, fmt.Errorf("StartTLS on port %s: no certificate; give SSL_cert_file, or make the port an ssl one with SSL_startHandshake 0", c.l.spec.Short())
}
