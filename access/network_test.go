package access

import (
	"errors"
	"testing"
)

func TestParseNetwork(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32", "2001:db8::": "2001:db8::/128",
		"192.0.2.1/24": "192.0.2.1/24", "2001:db8::/32": "2001:db8::/32", "0.0.0.0/0": "0.0.0.0/0",
	} {
		if p, err := ParseNetwork(text); err != nil || p.String() != want {
			t.Errorf("%s: %v, %v; want %s", text, p, err, want)
		}
	}
	for text, noNetwork := range map[string]bool{
		"": true, "host": true, "fe80::1%eth0": true, "fe80::1%eth0/64": true, "192.0.2.1/33": true, "192.0.2/24": true, "::ffff:192.0.2.0/120": false,
	} {
		if p, err := ParseNetwork(text); err == nil || errors.Is(err, ErrNoNetwork) != noNetwork {
			t.Errorf("%q: %v, %v", text, p, err)
		}
	}
}
