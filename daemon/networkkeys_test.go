//go:build unix

package daemon_test

import (
	"strings"
	"testing"
)

// A network with bits behind its length says two things, and is refused with the
// same words wherever one is given; but not in rules by address, which take it as
// Net::Server's do.
func TestNetworksThatSayTwoThings(t *testing.T) {
	const why = `"10.0.0.1/8" has bits set behind the first 8: write 10.0.0.1 or 10.0.0.0/8`
	for _, text := range []string{
		"port = 1\nquiet_from = '10.0.0.1/8'\n",
		"[[listen]]\nport = 1\nquiet_from = ['192.0.2.0/24', '10.0.0.1/8']\n",
		"port = 1\npenalty_points = 5\npenalty_exempt = '10.0.0.1/8'\n",
		"port = 1\nproxy_protocol = 'accept'\nproxy_protocol_from = '10.0.0.1/8'\n",
		"port = '1/ssl'\nSSL_cert_file = 'self-signed'\nSSL_verify_mode = 3\nSSL_allow_ip = '10.0.0.1/8'\n",
		"[[listen]]\nport = 1\n[[listen.route]]\nfrom = '10.0.0.1/8'\necho = 'raw'\n",
	} {
		if code, _, stderr, _ := checkFile(t, text); code == 0 || !strings.Contains(stderr, why) {
			t.Errorf("%s%d: %s", text, code, stderr)
		}
		text = strings.Replace(text, "10.0.0.1/8", "10.0.0.0/8", 1)
		if _, _, stderr, _ := checkFile(t, text); strings.Contains(stderr, "bits") {
			t.Errorf("%s%s", text, stderr)
		}
	}
	for _, key := range []string{"cidr_allow", "cidr_deny"} {
		if code, _, stderr, _ := checkFile(t, "port = 1\n"+key+" = '10.0.0.1/8'\n"); code != 0 {
			t.Errorf("%s: %s", key, stderr)
		}
	}
}
