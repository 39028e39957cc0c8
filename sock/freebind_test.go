package sock

import (
	"strings"
	"testing"
)

// A port with Freebind opens at an address that no interface has.
func TestFreebind(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		for host, ipv := range map[string]string{"192.0.2.77": "4", "2001:db8::77": "6"} {
			if l, err := Listen(t.Context(), network, spec(host, "0", ipv), Options{}); err == nil {
				l.Close()
				t.Errorf("%s %s: opened without it", network, host)
			}
			l, err := Listen(t.Context(), network, spec(host, "0", ipv), Options{Freebind: true})
			if !hasFreebind {
				if err == nil || !strings.Contains(err.Error(), "freebind: only possible on Linux") {
					t.Errorf("%s: %v", network, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s %s: %v", network, host, err)
				continue
			}
			l.Close()
		}
	}
}
