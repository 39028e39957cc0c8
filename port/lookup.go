package port

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// A Resolver looks names up. *net.Resolver is one. Its methods may be called
// concurrently.
type Resolver interface {
	// LookupNetIP returns the addresses of a host name, best first. The
	// network is always "ip".
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	// LookupPort returns the port number of a service. The network is "tcp"
	// or "udp".
	LookupPort(ctx context.Context, network, service string) (int, error)
}

// A Stack is a Resolver that also knows the machine's address families. For a
// Resolver that is not a Stack, System's answer is used.
type Stack interface {
	// DualStack reports whether one IPv6 socket can serve IPv4 clients too.
	DualStack() bool
}

// System is the machine's own Resolver: its hosts file and DNS, services file
// and sockets. A nil Resolver means System.
type System struct{}

// LookupNetIP asks net.DefaultResolver.
func (System) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, network, host)
}

// LookupPort asks net.DefaultResolver.
func (System) LookupPort(ctx context.Context, network, service string) (int, error) {
	return net.DefaultResolver.LookupPort(ctx, network, service)
}

// DualStack tests with an unbound IPv6 socket whether it can serve IPv4 too.
func (System) DualStack() bool { return dualStack() }

func orSystem(r Resolver) Resolver {
	if r == nil {
		return System{}
	}
	return r
}

func isDualStack(r Resolver) bool {
	if s, ok := r.(Stack); ok {
		return s.DualStack()
	}
	return System{}.DualStack()
}

// lookupPort finds a service's number: under udp for udp, under tcp for every
// other protocol. Names are case-sensitive, as in the C library.
func lookupPort(ctx context.Context, r Resolver, proto, service string) (int, error) {
	network := "tcp"
	if canonical(proto) == UDP {
		network = "udp"
	}
	if lower := strings.ToLower(service); lower != service {
		return 0, fmt.Errorf("no service %q for %s; names of services are written %q", service, network, lower)
	}
	n, err := r.LookupPort(ctx, network, service)
	if d := (*net.DNSError)(nil); errors.As(err, &d) && d.IsNotFound {
		return 0, fmt.Errorf("no service %q for %s", service, network)
	}
	return n, err
}

// lookupHost returns the addresses of a host other than "*". Numeric forms
// need no resolver.
func lookupHost(ctx context.Context, r Resolver, host string) ([]netip.Addr, error) {
	if a, ok := parseIPv4(host); ok {
		return []netip.Addr{a}, nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	addrs, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	out := make([]netip.Addr, len(addrs))
	for i, a := range addrs {
		out[i] = a.Unmap() // net may return IPv4 in the longer form
	}
	return out, nil
}

// isQuad reports whether host is four numbers, which is never a name.
func isQuad(host string) bool {
	words := strings.Split(host, ".")
	if len(words) != 4 {
		return false
	}
	for _, w := range words {
		if !reDigits.MatchString(w) {
			return false
		}
	}
	return true
}

// PortNumber returns the number of the port, looking a service up under udp
// for udp and under tcp for every other protocol. A nil r is System. A socket
// path or an unknown service is an error.
func (s Spec) PortNumber(ctx context.Context, r Resolver) (int, error) {
	if s.IsUnix() {
		return 0, failf(s.Origin, "Could not determine port number from %s: it is a socket path", s.Port)
	}
	if reDigits.MatchString(s.Port) {
		if err := checkPort(s, s.Origin); err != nil {
			return 0, err
		}
		n := 0
		for _, d := range s.Port {
			n = n*10 + int(d-'0')
		}
		return n, nil
	}
	n, err := lookupPort(ctx, orSystem(r), s.Proto, s.Port)
	if err != nil {
		return 0, failf(s.Origin, "Could not determine port number from host [%s]:%s: %w", s.Host, s.Port, err)
	}
	return n, nil
}

// AddrPorts returns the addresses to open the port at, best first: only those
// of its family, and the unspecified address for "*". For IPv "*" on a
// wildcard that is [::], meant for both families. A nil r is System. A host
// without an address of the family is an error.
func (s Spec) AddrPorts(ctx context.Context, r Resolver) ([]netip.AddrPort, error) {
	r = orSystem(r)
	n, err := s.PortNumber(ctx, r)
	if err != nil {
		return nil, err
	}
	if s.Host == "" || s.Host == "*" {
		a := netip.IPv6Unspecified()
		if s.IPv == "4" {
			a = netip.IPv4Unspecified()
		}
		return []netip.AddrPort{netip.AddrPortFrom(a, uint16(n))}, nil
	}
	addrs, err := lookupHost(ctx, r, s.Host)
	if err != nil {
		return nil, failf(s.Origin, "Unresolveable [%s]:%s: %w", s.Host, s.Port, err)
	}
	var out []netip.AddrPort
	for _, a := range addrs {
		a = a.Unmap() // no system binds the IPv6 form of an IPv4 address
		if s.IPv == "4" && !a.Is4() || s.IPv == "6" && !a.Is6() {
			continue
		}
		out = append(out, netip.AddrPortFrom(a, uint16(n)))
	}
	if len(out) == 0 {
		return nil, failf(s.Origin, "Could not find valid addresses for [%s]:%s with ipv set to '%s'", s.Host, s.Port, s.IPv)
	}
	return out, nil
}
