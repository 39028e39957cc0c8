package proxy

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// connect opens a connection to a; limit bounds it from begin on, 0 does not.
func connect(ctx context.Context, a address, limit time.Duration, begin time.Time) (net.Conn, error) {
	d := net.Dialer{Timeout: limit}
	nc, err := d.DialContext(ctx, a.network, a.address)
	if err != nil && a.network == "unix" && errors.Is(err, syscall.EAGAIN) {
		return queue(ctx, a, limit, begin)
	}
	return nc, err
}

// queue connects to a UNIX socket whose backlog is full. Unlike for TCP, the
// system returns EAGAIN at once, and nothing signals when to retry.
func queue(ctx context.Context, a address, limit time.Duration, begin time.Time) (net.Conn, error) {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, begin.Add(limit))
		defer cancel()
	}
	var d net.Dialer
	for delay := time.Millisecond; ; delay = min(2*delay, 100*time.Millisecond) {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil, os.ErrDeadlineExceeded
		}
		nc, err := d.DialContext(ctx, a.network, a.address)
		if err == nil || !errors.Is(err, syscall.EAGAIN) {
			return nc, err
		}
	}
}

// connectReason reduces a failed connect to what the operator needs, without
// addresses and system calls.
func connectReason(err error, limit time.Duration) error {
	var errno syscall.Errno
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return dns
	case errors.As(err, &errno):
		return errno
	case isTimeout(err):
		return lateError("no connection within " + limit.String())
	}
	return err
}

// isTimeout reports whether err says that a time had passed.
func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

// A lateError says what did not happen in time. It wraps
// os.ErrDeadlineExceeded without its text.
type lateError string

func (e lateError) Error() string { return string(e) }

func (lateError) Unwrap() error { return os.ErrDeadlineExceeded }
