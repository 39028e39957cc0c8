package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"netserver"
)

// connect opens the client's connection to the backend.
func (h *Handler) connect(ctx context.Context, c *netserver.Conn, t target) (net.Conn, error) {
	begin := time.Now()
	d := net.Dialer{Timeout: h.connectTimeout()}
	b, err := d.DialContext(ctx, t.network, t.address)
	if err != nil && t.network == "unix" && errors.Is(err, syscall.EAGAIN) {
		b, err = h.queue(ctx, t, begin)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, t.failed(connectReason(err, h.connectTimeout()))
	}
	c.Note(slog.String("backend", b.RemoteAddr().String()),
		slog.Duration("connect", time.Since(begin).Round(time.Microsecond)))
	return b, nil
}

// queue connects to a UNIX socket whose backlog is full. Unlike for TCP, the
// system returns EAGAIN at once, and nothing signals when to retry.
func (h *Handler) queue(ctx context.Context, t target, begin time.Time) (net.Conn, error) {
	if d := h.connectTimeout(); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, begin.Add(d))
		defer cancel()
	}
	var d net.Dialer
	for delay := time.Millisecond; ; delay = min(2*delay, 100*time.Millisecond) {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil, os.ErrDeadlineExceeded
		}
		b, err := d.DialContext(ctx, t.network, t.address)
		if err == nil || !errors.Is(err, syscall.EAGAIN) {
			return b, err
		}
	}
}

// failed adds the backend to err.
func (t target) failed(err error) error {
	return fmt.Errorf("proxy_to %s: %w", t.text, err)
}

// connectReason reduces a failed connect to what the operator needs, without
// addresses and system calls.
func connectReason(err error, limit time.Duration) error {
	var errno syscall.Errno
	var dns *net.DNSError
	var ne net.Error
	switch {
	case errors.As(err, &dns):
		return dns
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return lateError("no connection within " + limit.String())
	}
	return err
}

// A lateError says what did not happen in time. It wraps
// os.ErrDeadlineExceeded without its text.
type lateError string

func (e lateError) Error() string { return string(e) }

func (lateError) Unwrap() error { return os.ErrDeadlineExceeded }
