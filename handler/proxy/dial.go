package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"netserver"
	"netserver/proto"
)

// dial opens a connection to ep, step by step: connect, PROXY header, STARTTLS
// dialog, TLS. limit bounds all of it from begin on, 0 does not. c is the
// client, nil for a health check. An error is a *failure, which names the
// target, the step and what failed, or says why ctx ended.
func (b *Backend) dial(ctx context.Context, c *netserver.Conn, ep *endpoint, begin time.Time, limit time.Duration) (net.Conn, error) {
	header, err := b.headerFor(c)
	if err != nil {
		return nil, ep.failedIn(stepHeader, err)
	}
	nc, err := connect(ctx, b.dialer(c, limit), ep, begin, limit)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil && isBindError(err):
		return nil, ep.failedIn(stepBind, connectReason(err, limit))
	case err != nil:
		return nil, ep.failedIn("", connectReason(err, limit))
	case b.Header == nil && b.StartTLS == nil && (b.TLS == nil || b.MySQL):
		return nc, nil
	}
	return b.prepare(ctx, c, ep, nc, header, begin, limit)
}

// stepHeader is how errors name the step of the PROXY header.
const stepHeader = "PROXY header"

// prepare does what has to be done on nc before the client's first byte. If that
// fails, or one of the Backend's functions panics, nc is closed.
func (b *Backend) prepare(ctx context.Context, c *netserver.Conn, ep *endpoint, nc net.Conn, header []byte, begin time.Time, limit time.Duration) (over net.Conn, err error) {
	defer func() {
		if over == nil {
			reset(nc)
		}
	}()
	if limit > 0 {
		nc.SetDeadline(begin.Add(limit))
	}
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(longAgo) })
	to, step, err := b.steps(ctx, c, ep, nc, header)
	switch {
	case !stop():
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, ep.failedIn(step, stepReason(err, limit))
	}
	nc.SetDeadline(time.Time{})
	return to, nil
}

// steps takes the steps that follow the connection, and returns what the
// client's bytes go over. An error came in step.
func (b *Backend) steps(ctx context.Context, c *netserver.Conn, ep *endpoint, nc net.Conn, header []byte) (over net.Conn, step string, err error) {
	if len(header) > 0 {
		if _, err := nc.Write(header); err != nil {
			return nil, stepHeader, err
		}
	}
	if c == nil && b.Check.Kind == CheckTCP {
		return nc, "", nil
	}
	t := Target{Address: ep.name}
	var greeting []byte
	if b.StartTLS != nil {
		if greeting, err = b.StartTLS(ctx, nc, t); err != nil {
			return nil, "STARTTLS", err
		}
	}
	if b.TLS == nil || b.MySQL {
		return greeted(nc, greeting), "", nil
	}
	if over, err = b.TLS(ctx, nc, t, c); err != nil {
		return nil, "TLS", err
	}
	return greeted(over, greeting), "", nil
}

// headerFor returns what a target gets before the bytes of c, or before each of
// its datagrams; nothing if there is no Header.
func (b *Backend) headerFor(c *netserver.Conn) ([]byte, error) {
	if b.Header == nil {
		return nil, nil
	}
	h, err := b.Header(nil, c)
	if err != nil {
		return nil, &headerError{err}
	}
	return h, nil
}

// A headerError is why there is no PROXY header for a client. It is no fault of
// the target, and there would be none for another.
type headerError struct{ err error }

func (e *headerError) Error() string { return e.err.Error() }

func (e *headerError) Unwrap() error { return e.err }

func isHeaderError(err error) bool {
	var he *headerError
	return errors.As(err, &he)
}

// stepReason reduces the error of a step as connectReason does that of a
// connect. An end or a reset is not wrapped: the engine would take it for the
// client's.
func stepReason(err error, limit time.Duration) error {
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the target closed the connection")
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		return errors.New("the target broke off the connection")
	case isTimeout(err):
		return lateError("not done within " + limit.String())
	}
	return err
}

// closeWrite shuts down the sending direction of nc.
func closeWrite(nc net.Conn) error {
	if w, ok := nc.(proto.HalfCloser); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// reset closes nc with a reset, where the protocol has one, as TCP does.
func reset(nc net.Conn) {
	if t, ok := nc.(interface{ SetLinger(int) error }); ok {
		t.SetLinger(0)
	}
	nc.Close()
}
