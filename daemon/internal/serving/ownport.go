package serving

import (
	"net"
	"net/netip"
	"slices"

	"netserver"
	"netserver/port"
)

// leadsBack refuses a handler that connects the clients of a port to that port.
// A port whose address is known only when it is open is looked at then.
// That datagrams cannot go over TLS is said elsewhere.
func (m *maker) leadsBack(h netserver.Handler, spec port.Spec, s *Service) error {
	own := addressOf(spec)
	if h == nil || own == nil {
		return nil
	}
	if spec.IsDatagram() {
		overTLS := func(leaf *Service) bool { return leaf.kind == proxies && m.dialOf(leaf).TLS }
		if slices.ContainsFunc(s.Leaves(), overTLS) {
			return nil
		}
	}
	c, ok := netserver.HandlerAs[interface{ Check(...net.Addr) error }](h)
	if !ok {
		return nil
	}
	if err := c.Check(own); err != nil {
		return located(err, s.at)
	}
	return nil
}

// addressOf returns the address that a port will have, or nil if that is not
// known yet.
func addressOf(spec port.Spec) net.Addr {
	switch spec.Kind() {
	case port.Unix, port.UnixSSL:
		return &net.UnixAddr{Net: "unix", Name: spec.Port}
	case port.UnixDgram:
		return &net.UnixAddr{Net: "unixgram", Name: spec.Port}
	}
	network := "tcp"
	if spec.Kind() == port.UDP {
		network = "udp"
	}
	n, err := net.LookupPort(network, spec.Port)
	if err != nil || n == 0 {
		return nil
	}
	var ip netip.Addr
	switch {
	case !spec.IsWildcard():
		ip, err = netip.ParseAddr(spec.Host)
	case spec.IPv == "4":
		ip = netip.IPv4Unspecified()
	default:
		ip = netip.IPv6Unspecified()
	}
	if err != nil {
		return nil // a name
	}
	at := netip.AddrPortFrom(ip, uint16(n))
	if network == "udp" {
		return net.UDPAddrFromAddrPort(at)
	}
	return net.TCPAddrFromAddrPort(at)
}
