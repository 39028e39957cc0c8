package proxy

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"time"
)

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
