package admit

import (
	"fmt"
	"net/netip"
	"testing"
)

func TestTop(t *testing.T) {
	l, _ := newTestLimiter(Limits{})
	for i := range 200 {
		a := addr4(10, 0, i, 1)
		for range i + 1 {
			l.Enter(a)
		}
	}
	l.Enter(addr4(10, 0, 199, 2))
	sources, networks := l.Top(3)
	if len(sources) != 3 || sources[0].Prefix.String() != "10.0.199.1/32" || sources[0].Conns != 200 || sources[2].Conns != 198 {
		t.Errorf("sources %v", sources)
	}
	if len(networks) != 3 || networks[0].Prefix.String() != "10.0.199.0/24" || networks[0].Conns != 201 {
		t.Errorf("networks %v", networks)
	}
	if s, n := l.Top(0); s != nil || n != nil {
		t.Error("none were asked for")
	}
}

// A source of IPv6 is a /64, its network a /48.
func TestTopOfIPv6(t *testing.T) {
	l, _ := newTestLimiter(Limits{})
	for _, a := range []string{"2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:3::1", "192.0.2.1"} {
		l.Enter(netip.MustParseAddr(a))
	}
	sources, networks := l.Top(10)
	if got, want := fmt.Sprint(sources), "[{2001:db8:1:2::/64 2 0} {192.0.2.1/32 1 0} {2001:db8:1:3::/64 1 0}]"; got != want {
		t.Errorf("sources %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(networks), "[{2001:db8:1::/48 3 0} {192.0.2.0/24 1 0}]"; got != want {
		t.Errorf("networks %s, want %s", got, want)
	}
}
