package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
)

// Check reports what is wrong with h before any client connects. ports are the
// addresses of the server's own listeners: a target among them would make each
// client an endless chain of clients. Host names other than localhost are not
// looked up for this. An unreachable backend is not an error.
func (h *Handler) Check(ports ...net.Addr) error {
	b, err := h.backend()
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range ports {
		if n := p.Network(); (n == "udp" || n == "unixgram") && (b.TLS != nil || b.StartTLS != nil) {
			return b.failed("", fmt.Errorf("datagrams of %v cannot go over TLS: give that port another backend", p))
		} else if b.Bind != nil && (n == "udp" || n == "unixgram") {
			return b.failed("", fmt.Errorf("datagrams of %v cannot be sent from the client's address (transparent): give that port another backend", p))
		}
	}
	for _, s := range b.sources {
		if b.Bind != nil && s.where.network == "unix" {
			return b.failed(s.Address, errors.New("a UNIX socket sees no address of a client (transparent)"))
		}
		for _, p := range ports {
			if err := s.where.checkPort(p); err != nil {
				return b.failed(s.Address, err)
			}
		}
	}
	return nil
}

func (a address) checkPort(p net.Addr) error {
	switch p := p.(type) {
	case *net.TCPAddr:
		if a.network == "tcp" && a.is(p.AddrPort(), "tcp") {
			return fmt.Errorf("the target is port %v of this server itself", p)
		}
	case *net.UDPAddr:
		if a.network == "unix" {
			return fmt.Errorf("datagrams of port %v/udp cannot go to a socket path; set host:port", p)
		}
		if a.is(p.AddrPort(), "udp") {
			return fmt.Errorf("the target is port %v/udp of this server itself", p)
		}
	case *net.UnixAddr:
		switch {
		case p.Net == "unixgram" && a.network == "unix":
			return fmt.Errorf("datagrams of %s cannot go to a socket path; set host:port", p.Name)
		case p.Net == "unix" && a.network == "unix" && sameSocket(a.address, p.Name):
			return fmt.Errorf("the target is socket %s of this server itself", p.Name)
		}
	}
	return nil
}

// is reports whether a is a port that the process itself listens on at own.
func (a address) is(own netip.AddrPort, network string) bool {
	if n, err := net.LookupPort(network, a.port); err != nil || n != int(own.Port()) {
		return false
	}
	ip, err := netip.ParseAddr(a.host)
	switch {
	case a.host == "localhost":
		return own.Addr().IsUnspecified() || own.Addr().IsLoopback()
	case err != nil:
		return false // a name
	}
	ip, listen := ip.Unmap(), own.Addr().Unmap()
	if ip == listen {
		return true
	}
	if !listen.IsUnspecified() {
		// Connecting to the wildcard reaches the loopback address.
		return ip.IsUnspecified() && listen.IsLoopback()
	}
	if listen.Is4() && ip.Is6() {
		return false
	}
	return ip.IsUnspecified() || ip.IsLoopback() || isOwn(ip)
}

// isOwn reports whether an interface of this machine has the address ip.
func isOwn(ip netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == ip.WithZone("") {
			return true
		}
	}
	return false
}

func sameSocket(a, b string) bool {
	if a == b {
		return true
	}
	ai, aerr := os.Stat(a)
	bi, berr := os.Stat(b)
	return aerr == nil && berr == nil && os.SameFile(ai, bi)
}
