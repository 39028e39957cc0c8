package access

import (
	"net"
	"net/netip"
	"strings"
)

// A Peer identifies the other end of a connection, as far as it is known. The
// zero Peer is unknown: a pipe, say.
type Peer struct {
	// IP is the client's address, without the ::ffff: of an IPv4 client on
	// a dual-stack socket. It is the zero Addr for UNIX clients.
	IP netip.Addr
	// Port is the client's port number, 0 for UNIX clients.
	Port uint16
	// Mapped is set for an IPv4 client on an IPv6 socket, whose address the
	// system prefixes with ::ffff:.
	Mapped bool
	// Unix is set for clients of UNIX sockets; address rules do not apply to
	// them.
	Unix bool
	// Host is the client's name if one was looked up and found.
	Host string
	// Cred is the identity of a UNIX client, nil if unknown. CredOf finds it.
	Cred *Cred
}

// PeerOf returns the Peer with the address of a.
func PeerOf(a net.Addr) Peer {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		ap = a.AddrPort()
	case *net.UDPAddr:
		ap = a.AddrPort()
	case interface{ AddrPort() netip.AddrPort }:
		ap = a.AddrPort()
	case nil:
		return Peer{}
	default:
		return Peer{Unix: strings.HasPrefix(a.Network(), "unix")}
	}
	return Peer{IP: ap.Addr().Unmap(), Port: ap.Port(), Mapped: ap.Addr().Is4In6()}
}

// seen returns the address in the system's form.
func (p Peer) seen() netip.Addr {
	if p.Mapped && p.IP.Is4() {
		return netip.AddrFrom16(p.IP.As16())
	}
	return p.IP
}

// String prints the peer as Net::Server's log does, [address]:port, or
// "local" for a peer without an address.
func (p Peer) String() string {
	if !p.IP.IsValid() {
		return "local"
	}
	s := "[" + p.IP.String() + "]:" + itoa(p.Port)
	if p.Host != "" {
		s += " (" + p.Host + ")"
	}
	return s
}

func itoa(n uint16) string {
	var b [5]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return string(b[i:])
		}
	}
}
