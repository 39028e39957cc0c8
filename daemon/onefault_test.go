//go:build unix

package daemon_test

import (
	"strings"
	"testing"
)

// What is wrong is said, and not what follows from it.
func TestFaultsWithoutConsequences(t *testing.T) {
	const smtp = "[[listen]]\nport = '127.0.0.1:1/ssl'\nstarttls = 'smtp'\n"
	const target = "proxy_to = '127.0.0.1:9'\n"
	const acme = "acme_domains = ['a.example']\nacme_agree = true\nport = '4443/ssl'\n"
	for _, c := range []struct{ name, text, want string }{
		{"a route beside starttls", smtp + "[[listen.route]]\nsni = 'a b'\n" + target + "[[listen.route]]\n" + target,
			"sni: \"a b\" is no host name; names in other alphabets are written as xn-- (f.toml:5)"},
		{"another port beside starttls", smtp + target + "[[listen]]\nport = 2\nproxy_to = 'x'\necho = 'raw'\n",
			"proxy_to and echo are both given: a client can be served by one of them (f.toml:8)"},
		{"two faulty routes below starttls", smtp + "[[listen.route]]\nsni = 'a'\nbackend_tls = true\nbackend_ca_file = '/nonexistent'\n" + target + "[[listen.route]]\nbackend = 'none'\n",
			"port 127.0.0.1:1/ssl: backend_ca_file: /nonexistent does not exist; give the path of a file (f.toml:8)\nport 127.0.0.1:1/ssl: there is no [[backend]] named \"none\" (f.toml:10)"},
		{"a faulty target of all ports with starttls", "port = '127.0.0.1:1/ssl'\nstarttls = 'smtp'\nproxy_to = 'x'\n",
			"proxy_to x: missing port in address: write host:port, [address]:port or a socket path (f.toml:3)"},
		{"acme_directory", acme + "acme_storage = '/tmp/x'\nacme_directory = 'ftp://x'\n", "acme_directory: \"ftp://x\" is neither production nor staging nor an https URL"},
		{"acme_agree", "acme_domains = ['a.example']\nport = '4443/ssl'\nacme_storage = '/tmp/x'\n", "acme_agree: the authority's terms must be agreed to; read them, and give acme_agree 1"},
		{"acme_email, and two ports", acme + "acme_storage = '/tmp/x'\nacme_email = 'x'\n[[listen]]\nport = '4444/ssl'\necho = 'raw'\n", "acme_email: \"x\" is no address such as ops@example.com"},
		{"acme_storage", acme + "acme_storage = '/nonexistent/x'\n", "acme_storage: /nonexistent/x cannot be made: stat /nonexistent: no such file or directory"},
		{"acme_storage is missing", acme, "acme_storage: it is missing: certificates and the account's key are kept there; give a directory that belongs to who starts the server, such as /var/lib/netserver/acme"},
	} {
		code, _, stderr, _ := checkFile(t, c.text)
		if got := strings.TrimSpace(strings.ReplaceAll(stderr, "netserver: ", "")); code != 2 || got != c.want {
			t.Errorf("%s: status %d\n got %s\nwant %s", c.name, code, got, c.want)
		}
	}
}

// Where the datagrams of a client are one session, max_datagrams counts nothing.
func TestMaxDatagramsBesideSessions(t *testing.T) {
	const text = "[[listen]]\nport = '1/udp'\nproxy_to = '127.0.0.1:9'\nmax_datagrams = 3\n"
	for _, c := range []struct{ text, want string }{
		{text, "max_datagrams has no effect on ports for datagrams whose clients have sessions (f.toml:4)"},
		{text + "proxy_max_sessions = 'none'\n", ""},
		{"port = '1/udp'\nproxy_to = '127.0.0.1:9'\nmax_datagrams = 3\n", "max_datagrams has no effect on ports for datagrams whose clients have sessions (f.toml:3)"},
		{"max_datagrams = 3\n" + strings.Replace(text, "max_datagrams = 3\n", "", 1) + "[[listen]]\nport = '2/udp'\necho = 'raw'\n", ""},
	} {
		if code, _, stderr, _ := checkFile(t, c.text); (code == 0) != (c.want == "") || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: status %d: %s", c.text, code, stderr)
		}
	}
}
