package supervisor

import (
	"net"
	"net/netip"
	"testing"

	"netserver/port"
)

// A socket that the service manager has opened belongs to the port whose
// address it has, and to no other.
func TestSocketOfAPort(t *testing.T) {
	tcp := func(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
	for _, tc := range []struct {
		at   net.Addr
		host string
		want bool
	}{
		{tcp("127.0.0.1:80"), "127.0.0.1", true},
		{tcp("[::ffff:127.0.0.1]:80"), "127.0.0.1", true},
		{tcp("127.0.0.2:80"), "127.0.0.1", false},
		{tcp("127.0.0.1:80"), "localhost", false}, // a name is none of its addresses
		{tcp("0.0.0.0:80"), "*", true},
		{tcp("127.0.0.1:80"), "*", false},
		{&net.UnixAddr{Name: "/run/x", Net: "unix"}, "127.0.0.1", false},
		{&net.UnixAddr{Name: "/run/x", Net: "unix"}, "*", false},
	} {
		if got := isFor(tc.at, port.Spec{Host: tc.host, Port: "80", Proto: "tcp", IPv: "4"}); got != tc.want {
			t.Errorf("a socket at %v is for host %s: %v", tc.at, tc.host, got)
		}
	}
}
