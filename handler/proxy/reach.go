package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"syscall"
	"time"

	"netserver"
)

// maxTries is how many targets are tried for a client.
const maxTries = 8

// reach connects c to a target: to the one whose turn it is, and if that fails
// to others. The caller has to release the target. The client's record tells
// which one it was, and what it took.
func (b *Backend) reach(ctx context.Context, c *netserver.Conn) (nc net.Conn, ep *endpoint, err error) {
	begin := time.Now()
	tries := 1
	if ep = b.lone.Load(); ep != nil {
		ep.active.Add(1)
		nc, err = b.dialIn(ctx, c, ep)
	} else {
		nc, ep, tries, err = b.try(ctx, c, begin)
	}
	if err == nil {
		ep.connected(time.Since(begin))
	}
	b.note(c, nc, ep, tries, time.Since(begin))
	return nc, ep, err
}

// try is reach with more than one target to choose from, or with one that may
// not be used at all times.
func (b *Backend) try(ctx context.Context, c *netserver.Conn, begin time.Time) (nc net.Conn, ep *endpoint, tries int, err error) {
	var tried [maxTries]*endpoint
	r := b.requestOf(c)
	for {
		next, none := b.acquire(ctx, r)
		if none != nil {
			if err == nil || ctx.Err() != nil {
				err = none
			}
			return nil, ep, tries, err
		}
		ep, tries = next, tries+1
		nc, err = b.dialIn(ctx, c, ep)
		if err == nil {
			b.connectedTo(ep)
			return nc, ep, tries, nil
		}
		if tries == maxTries || ctx.Err() != nil || b.triedFor(begin) || isHeaderError(err) {
			return nil, ep, tries, err
		}
		tried[tries-1] = ep
		r.tried = tried[:tries]
	}
}

// dialIn connects c to ep, and gives its place there back if that fails, or if
// one of the Backend's functions panics.
func (b *Backend) dialIn(ctx context.Context, c *netserver.Conn, ep *endpoint) (nc net.Conn, err error) {
	defer func() {
		if nc == nil {
			b.release(ep)
		}
	}()
	nc, err = b.dial(ctx, c, ep, time.Now(), b.connectTimeout())
	if err != nil {
		b.noteFailure(ctx, ep, err)
		return nil, err
	}
	return nc, nil
}

// acquireFor returns a target for a datagram, which release gives back.
func (b *Backend) acquireFor(ctx context.Context, c *netserver.Conn) (*endpoint, error) {
	if ep := b.lone.Load(); ep != nil {
		ep.active.Add(1)
		return ep, nil
	}
	return b.acquire(ctx, b.requestOf(c))
}

func (b *Backend) requestOf(c *netserver.Conn) (r request) {
	if b.Balance == Source && c != nil {
		r.key, r.keyed = keyOf(c.RemoteAddr())
	}
	return r
}

// triedFor reports whether a client has been connected for long enough.
func (b *Backend) triedFor(begin time.Time) bool {
	limit := b.connectTimeout()
	return limit > 0 && time.Since(begin) >= 2*limit
}

// note adds to c's record where it was connected to.
func (b *Backend) note(c *netserver.Conn, nc net.Conn, ep *endpoint, tries int, took time.Duration) {
	took = took.Round(time.Microsecond)
	switch {
	case b.own && nc == nil: // the error says it all
	case b.own:
		c.Note(slog.String("backend", ep.remote(nc)), slog.Duration("connect", took))
	case ep == nil:
		c.Note(slog.String("backend", b.Name))
	default:
		c.Note(slog.String("backend", b.Name), slog.String("target", ep.remote(nc)), slog.Duration("connect", took))
		if tries > 1 {
			c.Note(slog.Int("tries", tries))
		}
	}
}

// remote is what nc, a connection to ep, leads to.
func (ep *endpoint) remote(nc net.Conn) string {
	switch {
	case ep.fixed != "":
		return ep.fixed
	case nc == nil:
		return ep.shortName()
	}
	return nc.RemoteAddr().String()
}

// isOurs reports whether a connection failed for want of something here, or for
// what the client brought, so that it says nothing about the target.
func isOurs(err error) bool {
	return lacking(err) != 0 || isBindError(err)
}

// lacking returns the system's error for something that this process or system
// has no more of; 0 if err is another.
func lacking(err error) syscall.Errno {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, e) {
			return e
		}
	}
	return 0
}

// A lackError says what to do about something that there is no more of.
type lackError struct {
	syscall.Errno
	advice string
}

func (e lackError) Error() string { return e.Errno.Error() + ": " + e.advice }

// Unwrap returns the system's error.
func (e lackError) Unwrap() error { return e.Errno }

// advised adds to the system's error what to do about it, where that is known.
func advised(errno syscall.Errno) error {
	switch errno {
	case syscall.EMFILE:
		return lackError{errno, "this process has no descriptor left for the target; raise its limit (ulimit -n, LimitNOFILE), or set max_connections"}
	case syscall.ENFILE:
		return lackError{errno, "the system has no descriptor left; raise fs.file-max"}
	case syscall.EADDRNOTAVAIL:
		return lackError{errno, "this machine has no port left for connections to the target; widen net.ipv4.ip_local_port_range, or give it several addresses or a UNIX socket"}
	}
	return errno
}
