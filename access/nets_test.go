package access

import (
	"net/netip"
	"strings"
	"testing"
)

// Networks of a program's own code add to those of its keys.
func TestNetsOfCode(t *testing.T) {
	p := compile(t, Rules{
		CIDRAllow: Texts("192.0.2.0/24"), AllowNets: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		DenyNets: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16"), netip.MustParsePrefix("192.0.2.7/32")},
	})
	for ip, want := range map[string]bool{"192.0.2.1": true, "192.0.2.7": false, "10.1.2.3": true, "10.9.1.1": false, "198.51.100.1": false} {
		if v := p.Early(ipPeer(ip)); v.Allowed != want {
			t.Errorf("%s: %+v", ip, v)
		}
	}
	if v := compile(t, Rules{DenyNets: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}).Early(ipPeer("192.0.2.1")); v.Allowed {
		t.Error("a list of code alone does not count as one")
	}
	if _, err := (Rules{AllowNets: []netip.Prefix{{}}}).Compile(); err == nil || !strings.Contains(err.Error(), "cidr_allow") {
		t.Errorf("an invalid network: %v", err)
	}
}
