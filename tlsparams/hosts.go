package tlsparams

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"slices"

	"netserver/tlsparams/internal/sni"
)

// hosts finds what a client is served: by the name that it asks for, or by the
// address that it has connected to, as clients name no address (RFC 6066,
// section 3).
type hosts struct {
	names  sni.Table[*host]
	addrs  map[netip.Addr]*host // nil if no certificate is for an address
	refuse bool                 // SSL_unknown_sni: the default is not for names that it is not made for
}

// find returns the host for a name. conn, which may be nil, tells the address
// where there is no name.
func (t *hosts) find(name string, conn net.Conn) (*host, bool) {
	if name == "" {
		if len(t.addrs) > 0 && conn != nil {
			if h := t.addrs[addrOf(conn.LocalAddr())]; h != nil {
				return h, true
			}
		}
		return t.names.At("")
	}
	if h, ok := t.names.Own(name); ok {
		return h, true
	}
	if len(t.addrs) > 0 {
		if a, err := netip.ParseAddr(name); err == nil { // not allowed, but seen
			if h := t.addrs[a.Unmap()]; h != nil {
				return h, true
			}
		}
	}
	h, ok := t.names.At("")
	if ok && t.refuse && !h.covers(sni.Normal(name)) {
		return nil, false
	}
	return h, ok
}

// serves reports whether a certificate is made for host.
func (t *hosts) serves(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return t.addrs[a.Unmap()] != nil
	}
	if _, ok := t.names.Own(host); ok {
		return true
	}
	h, ok := t.names.At("")
	return ok && h.covers(sni.Normal(host))
}

// empty reports whether there is no certificate at all.
func (t *hosts) empty() bool { return len(t.addrs) == 0 && t.names.Empty() }

// forHello is find for a client's hello.
func (t *hosts) forHello(hello *tls.ClientHelloInfo) (*host, bool) {
	return t.find(hello.ServerName, hello.Conn)
}

// addAddrs notes the addresses that the certificate of a slot is for. The
// first that claims one keeps it, further ones add key types.
func (t *hosts) addAddrs(sl *slot) {
	for _, ip := range sl.cur.Load().Leaf.IPAddresses {
		a, ok := netip.AddrFromSlice(ip)
		if !ok {
			continue
		}
		if t.addrs == nil {
			t.addrs = make(map[netip.Addr]*host)
		}
		h := t.addrs[a.Unmap()]
		if h == nil {
			h = &host{}
			t.addrs[a.Unmap()] = h
		}
		if !h.hasType(sl) {
			h.add(sl)
		}
	}
}

func sameAddrs(a, b *x509.Certificate) bool {
	return slices.EqualFunc(a.IPAddresses, b.IPAddresses, net.IP.Equal)
}

// addrOf returns the IP address of a, the zero Addr if it has none.
func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// checkUnknownSNI returns why SSL_unknown_sni is wrong, or "".
func checkUnknownSNI(text string) string {
	switch text {
	case "", "default", "refuse":
		return ""
	}
	return "must be default (clients that ask for an unknown name get the default certificate) or refuse (they get the alert unrecognized_name)"
}

// checkUnknown finds an SSL_unknown_sni that asks for what is not there.
func (s *Source) checkUnknown(t *hosts) error {
	if reason := checkUnknownSNI(s.p.UnknownSNI); reason != "" {
		return s.p.fail(s.env.Where, "SSL_unknown_sni", s.p.UnknownSNI, reason, nil)
	}
	if _, ok := t.names.At(""); s.p.UnknownSNI == "default" && !ok {
		return s.p.fail(s.env.Where, "SSL_unknown_sni", "default", "asks for the default certificate, and there is none; give an SSL_cert_file without a name", nil)
	}
	return nil
}
