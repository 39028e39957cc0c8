package sock

import (
	"context"
	"errors"
	"net"
	"strconv"

	"netserver/port"
)

// A Request is one socket for ListenAll to open; the fields are Listen's
// arguments.
type Request struct {
	Network string
	Spec    port.Spec
	Options Options
}

// maxSharedTries is how often ListenAll tries to find a port number that is
// free at all addresses of one port-0 specification.
const maxSharedTries = 16

// ListenAll opens all ports, in the order of the requests, or none: if any
// fails, it closes the others, removes their socket files, and returns the
// joined *ListenErrors of all that failed, a line each.
//
// Consecutive requests with port 0, the same network and protocol, and
// disjoint addresses come from one specification, such as localhost:0 with
// IPv4 and IPv6; they get the same port number.
func ListenAll(ctx context.Context, reqs []Request) ([]net.Listener, error) {
	ls := make([]net.Listener, 0, len(reqs))
	var errs []error
	for len(reqs) > 0 {
		n := sharing(reqs)
		opened, err := listenSharing(ctx, reqs[:n])
		ls = append(ls, opened...)
		if err != nil {
			errs = append(errs, err)
		}
		reqs = reqs[n:]
	}
	if len(errs) > 0 {
		CloseAll(ls)
		return nil, errors.Join(errs...)
	}
	return ls, nil
}

// listenSharing opens rs, at one port number if there are several. It returns
// all listeners or none.
func listenSharing(ctx context.Context, rs []Request) ([]net.Listener, error) {
	for try := 1; ; try++ {
		ls, err := tryShared(ctx, rs)
		if err == nil || len(rs) == 1 || try == maxSharedTries || !isInUse(err) {
			return ls, err
		}
	}
}

// tryShared opens rs, all at the port number that the first one got.
func tryShared(ctx context.Context, rs []Request) ([]net.Listener, error) {
	first, err := Listen(ctx, rs[0].Network, rs[0].Spec, rs[0].Options)
	if err != nil {
		return nil, err
	}
	ls := []net.Listener{first}
	for _, r := range rs[1:] {
		fixed := r.Spec
		fixed.Port = first.(specer).Spec().Port
		l, err := listen(ctx, r.Network, fixed, r.Options)
		if err != nil {
			CloseAll(ls)
			return nil, &ListenError{Network: r.Network, Spec: fixed, Err: err}
		}
		l.(asker).setAsked(r.Spec)
		ls = append(ls, l)
	}
	return ls, nil
}

type specer interface{ Spec() port.Spec }

type asker interface{ setAsked(p port.Spec) }

func (n *named) setAsked(p port.Spec) { n.asked = p }

// sharing returns how many requests at the front of rs share a port number, at
// least 1.
func sharing(rs []Request) int {
	n := 1
	for n < len(rs) && sharesWithAll(rs[:n], rs[n]) {
		n++
	}
	return n
}

func sharesWithAll(group []Request, r Request) bool {
	for _, g := range group {
		if !isPortZero(g) || !isPortZero(r) || g.Network != r.Network || g.Spec.Proto != r.Spec.Proto || overlap(g.Spec, r.Spec) {
			return false
		}
	}
	return true
}

func isPortZero(r Request) bool {
	n, err := strconv.Atoi(r.Spec.Port)
	return !isUnix(r.Network) && err == nil && n == 0
}

// overlap reports whether a and b could not both be bound to one port number.
func overlap(a, b port.Spec) bool {
	if isDual(a) || isDual(b) {
		return true
	}
	if a.IPv != b.IPv {
		return false
	}
	return a.Host == b.Host || isWildcard(a.Host) || isWildcard(b.Host)
}

func isWildcard(host string) bool { return isAny(host) || host == "0.0.0.0" || host == "::" }
