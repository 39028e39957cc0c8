package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"netserver"
	"netserver/internal/foreign"
)

// connect opens a connection to ep; limit bounds it from begin on, 0 does not.
func connect(ctx context.Context, d net.Dialer, ep *endpoint, begin time.Time, limit time.Duration) (net.Conn, error) {
	if ep.second != "" {
		return eitherOf(ctx, d, ep)
	}
	var nc net.Conn
	var err error
	if ep.direct && d.ControlContext == nil {
		nc, err = connectDirectly(ctx, ep, begin, limit)
	} else {
		nc, err = d.DialContext(ctx, ep.where.network, ep.where.address)
	}
	if err != nil && ep.where.network == "unix" && errors.Is(err, syscall.EAGAIN) {
		return queue(ctx, ep.where, limit, begin)
	}
	return nc, err
}

// An attempt is one connect to an address that needs no look-up, and its own
// context. Over loopback, and for UNIX sockets, a connection is there when the
// system call returns: then nothing is made of a time limit, of a client that
// may leave or of a wait, all of which package net would prepare beforehand.
// Only an attempt that has to wait becomes a context that ends.
type attempt struct {
	context.Context // of who asks for the connection
	end             time.Time
	to              netip.AddrPort  // of TCP
	waits           bool            // the connection is not there at once; stays true
	failed          error           // what connect has said at once
	bounded         context.Context // Context with the limit, once it waits
	cancel          context.CancelFunc
	begin           func(fd uintptr) // connects fd; made once
}

// connectDirectly connects to ep, whose address is known; limit bounds it from
// begin on, 0 does not.
func connectDirectly(ctx context.Context, ep *endpoint, begin time.Time, limit time.Duration) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a := &attempt{Context: ctx, to: ep.to}
	if limit > 0 {
		a.end = begin.Add(limit)
	}
	d := net.Dialer{KeepAlive: -1} // as dialer has it
	if ep.where.network == "tcp" {
		a.begin = a.connect
		d.ControlContext = a.control
	}
	nc, err := d.DialContext(a, ep.where.network, ep.where.address)
	if a.cancel != nil {
		a.cancel()
	}
	return nc, err
}

// control connects a socket before package net does, which then finds that it is
// connected, or about to be.
func (a *attempt) control(_ context.Context, _, _ string, rc syscall.RawConn) error {
	a.failed = nil
	if err := rc.Control(a.begin); err != nil {
		return err
	}
	return a.failed
}

// Deadline returns the limit, once the attempt has to wait.
func (a *attempt) Deadline() (time.Time, bool) {
	if !a.waits {
		return time.Time{}, false
	}
	return a.bound().Deadline()
}

// Done returns nil until the attempt has to wait: it does not end before.
func (a *attempt) Done() <-chan struct{} {
	if !a.waits {
		return nil
	}
	return a.bound().Done()
}

// Err returns why the attempt is over.
func (a *attempt) Err() error {
	if a.bounded != nil {
		return a.bounded.Err()
	}
	return a.Context.Err()
}

// Value returns that of the context that ends.
func (a *attempt) Value(key any) any {
	if a.bounded != nil {
		return a.bounded.Value(key)
	}
	return a.Context.Value(key)
}

// bound returns the context that ends. The first call is by the goroutine that
// connects, before any other knows of it.
func (a *attempt) bound() context.Context {
	switch {
	case a.bounded != nil:
	case a.end.IsZero():
		a.bounded = a.Context
	default:
		a.bounded, a.cancel = context.WithDeadline(a.Context, a.end)
	}
	return a.bounded
}

// familyDelay is how long the first address of a host has to itself before the
// one of the other family is tried beside it; net.Dialer's is the same.
const familyDelay = 300 * time.Millisecond

// eitherOf connects to ep by whichever of its two addresses is first, as
// net.Dialer does for a name. It cannot be left to the dialer: that would look
// the name up itself.
func eitherOf(ctx context.Context, dialer net.Dialer, ep *endpoint) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &dialer
	results := make(chan dialed, 2)
	go dialInto(ctx, d, ep.where.address, results)
	delay := time.NewTimer(familyDelay)
	defer delay.Stop()
	second, open := false, 1
	var first error
	for {
		select {
		case <-delay.C:
		case r := <-results:
			if r.err == nil {
				if open == 2 {
					go closeLate(results)
				}
				return r.nc, nil
			}
			if first = cmp.Or(first, r.err); second && open == 1 {
				return nil, first
			}
			open--
		}
		if !second {
			second, open = true, open+1
			go dialInto(ctx, d, ep.second, results)
		}
	}
}

type dialed struct {
	nc  net.Conn
	err error
}

func dialInto(ctx context.Context, d *net.Dialer, address string, to chan<- dialed) {
	nc, err := d.DialContext(ctx, "tcp", address)
	to <- dialed{nc, err}
}

// closeLate closes the connection that came second, if it still comes.
func closeLate(results <-chan dialed) {
	if r := <-results; r.err == nil {
		r.nc.Close()
	}
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
	var own *headerError
	var family *familyError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &family):
		return family
	case errors.As(err, &dns):
		return dns
	case errors.As(err, &errno):
		return advised(errno)
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

// BindTransparent is for the field Bind of a Backend or Handler whose process
// may connect from addresses of others (IP_TRANSPARENT): on Linux, with
// CAP_NET_RAW or CAP_NET_ADMIN.
func BindTransparent(from netip.Addr, rc syscall.RawConn) error { return foreign.Bind(from, rc) }

// stepBind is how errors name the step of Bind.
const stepBind = "transparent"

// dialer returns what connects to targets for c; c is nil for a health check,
// which comes from this machine.
func (b *Backend) dialer(c *netserver.Conn, limit time.Duration) net.Dialer {
	// Keep-alive would be four system calls, and neither checks nor most clients
	// take long: keepAlive turns it on where it is needed.
	d := net.Dialer{Timeout: limit, KeepAlive: -1}
	if b.Bind == nil || c == nil {
		return d
	}
	d.ControlContext = func(_ context.Context, network, _ string, rc syscall.RawConn) error {
		return b.bindTo(c.RemoteAddr(), network, rc)
	}
	return d
}

// bindTo binds a socket for a target to the client's address.
func (b *Backend) bindTo(client net.Addr, network string, rc syscall.RawConn) error {
	a, ok := client.(*net.TCPAddr)
	if !ok {
		return &headerError{errors.New("a client of a UNIX socket has no address to connect from")}
	}
	from := a.AddrPort().Addr().Unmap().WithZone("")
	switch {
	case network == "unix":
		return &familyError{"the target is a UNIX socket, which sees no addresses"}
	case from.Is4() != strings.HasSuffix(network, "4"):
		return &familyError{fmt.Sprintf("the client's address %v is of another family than the target's", from)}
	}
	if err := b.Bind(from, rc); err != nil {
		return &headerError{err}
	}
	return nil
}

// A familyError is why a client cannot be connected to a target from its own
// address. It is no fault of the target, and another may do.
type familyError struct{ text string }

func (e *familyError) Error() string { return e.text }

// isBindError reports whether a connection failed before it was begun, for its
// client's address.
func isBindError(err error) bool {
	var f *familyError
	return isHeaderError(err) || errors.As(err, &f)
}
