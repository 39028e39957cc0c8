package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"netserver"
)

// dial opens a connection to ep, step by step: connect, PROXY header, STARTTLS
// dialog, TLS. c is the client, nil for a health check. An error names the
// target, the step and what failed.
func (b *Backend) dial(ctx context.Context, c *netserver.Conn, ep *endpoint) (net.Conn, error) {
	begin := time.Now()
	nc, err := connect(ctx, ep.where, b.connectTimeout(), begin)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, ep.failed("", connectReason(err, b.connectTimeout()))
	case b.Header == nil && b.StartTLS == nil && b.TLS == nil:
		return nc, nil
	}
	return b.prepare(ctx, c, ep, nc, begin)
}

// prepare does what has to be done on nc before the client's first byte, within
// what is left of the connect timeout.
func (b *Backend) prepare(ctx context.Context, c *netserver.Conn, ep *endpoint, nc net.Conn, begin time.Time) (_ net.Conn, err error) {
	limit := b.connectTimeout()
	if limit > 0 {
		nc.SetDeadline(begin.Add(limit))
	}
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(longAgo) })
	socket, step := nc, ""
	if b.Header != nil {
		step, err = "PROXY header", b.sendHeader(nc, c)
	}
	if err == nil && b.StartTLS != nil {
		step, err = "STARTTLS", b.StartTLS(ctx, nc)
	}
	if err == nil && b.TLS != nil {
		step = "TLS"
		nc, err = b.TLS(ctx, socket, ep.Target)
	}
	if !stop() {
		err = context.Cause(ctx)
	} else if err != nil {
		err = ep.failed(step, stepReason(err, limit))
	}
	if err != nil {
		reset(socket)
		return nil, err
	}
	socket.SetDeadline(time.Time{})
	return nc, nil
}

// sendHeader sends what Header makes for c.
func (b *Backend) sendHeader(nc net.Conn, c *netserver.Conn) error {
	h, err := b.Header(nil, c)
	if err == nil && len(h) > 0 {
		_, err = nc.Write(h)
	}
	return err
}

// stepReason reduces the error of a step as connectReason does that of a
// connect.
func stepReason(err error, limit time.Duration) error {
	switch {
	case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the target closed the connection")
	case isTimeout(err):
		return lateError("not done within " + limit.String())
	}
	return errnoOf(err)
}

// failed adds to err which target it is about, and in which step it came, if not
// in connecting. It does not wrap a reset, which the engine would mistake for
// the client's.
func (ep *endpoint) failed(step string, err error) error {
	if step == "" {
		return fmt.Errorf("%s: %w", ep.label, err)
	}
	return fmt.Errorf("%s: %s: %v", ep.label, step, err)
}

// failed adds the backend's name to err, and what of it it is about.
func (b *Backend) failed(what string, err error) error {
	if what == "" {
		return fmt.Errorf("%s%w", b.label, err)
	}
	return fmt.Errorf("%s%s: %w", b.label, what, err)
}
