//go:build unix

package daemon_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The key starttls has clients begin in plain text, on the ports of its block;
// routes are chosen when TLS has started.
func TestStartTLS(t *testing.T) {
	one, two := greeter(t, "+OK one\r\n+OK first\r\n"), greeter(t, "+OK two\r\n+OK second\r\n")
	file := writeFile(t, filepath.Join(openDir(t), "server.toml"), fmt.Sprintf(`
[[listen]]
port = "127.0.0.1:0/ssl"
starttls = "pop3 name=pop.example.org"

[[listen.route]]
sni = "two.example.org"
proxy_to = %q

[[listen.route]]
proxy_to = %q

[[listen]]
port = "[::1]:0/ssl"
proxy_to = %[2]q
`, two, one))
	r := start(t, "--conf_file", file, "--user", "root")
	r.serving()
	for name, want := range map[string]string{"two.example.org": "+OK second\r\n", "one.example.org": "+OK first\r\n"} {
		nc, err := net.Dial("tcp", r.addr(0))
		if err != nil {
			t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(30 * time.Second))
		in := bufio.NewReader(nc)
		greeting, _ := in.ReadString('\n')
		io.WriteString(nc, "STLS\r\n")
		agreed, _ := in.ReadString('\n')
		c := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, ServerName: name})
		if got, err := bufio.NewReader(c).ReadString('\n'); greeting != "+OK pop.example.org ready\r\n" || !strings.HasPrefix(agreed, "+OK") || got != want {
			t.Errorf("%s: %q, %q, then %q, %v", name, greeting, agreed, got, err)
		}
		nc.Close()
	}
	c, err := tls.Dial("tcp", strings.Replace(r.addr(1), "127.0.0.1", "[::1]", 1), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal("the other port:", err)
	}
	if got, _ := bufio.NewReader(c).ReadString('\n'); got != "+OK one\r\n" {
		t.Errorf("the other port: %q", got)
	}
	c.Close()
}

func TestStartTLSProblems(t *testing.T) {
	const proxied = "proxy_to = '127.0.0.1:9'\n"
	for _, c := range []struct{ name, text, want string }{
		{"good", "[[listen]]\nport = '127.0.0.1:1/ssl'\nstarttls = 'smtp xclient optional name=mx.example.org'\n" + proxied, ""},
		{"for all", "port = '127.0.0.1:1/ssl'\nstarttls = 'imap'\n" + proxied, ""},
		{"ftp", "[[listen]]\nport = '127.0.0.1:1/ssl'\nstarttls = 'ftp'\n" + proxied, "starttls: ftp cannot be had: AUTH TLS protects its control connection alone, and a proxy that decrypts that would have to open and protect each data connection too (f.toml:3)"},
		{"unknown", "[[listen]]\nport = '127.0.0.1:1/ssl'\nstarttls = 'stmp'\n" + proxied, "starttls: \"stmp\" is not a protocol with STARTTLS: there are smtp, imap, pop3, nntp, sieve, irc, xmpp, ldap, postgres, mysql (f.toml:3)"},
		{"word", "[[listen]]\nport = '127.0.0.1:1/ssl'\nstarttls = 'imap xclient'\n" + proxied, "starttls: \"xclient\" cannot follow imap: there are optional, name=HOST, and for smtp xclient (f.toml:3)"},
		{"plain", "[[listen]]\nport = '127.0.0.1:1'\nstarttls = 'imap'\n" + proxied, "port 127.0.0.1:1/tcp: clients start TLS on TLS ports: write it as PORT/ssl or PATH|unixssl, or give starttls in the [[listen]] block of another"},
		{"echo", "[[listen]]\nport = '127.0.0.1:1/ssl'\nstarttls = 'imap'\n", "port 127.0.0.1:1/ssl: starttls wants a target, whose greeting it takes, and not echo"},
		{"at once", "[[listen]]\nport = '127.0.0.1:1/ssl'\nSSL_startHandshake = 1\nstarttls = 'imap'\n" + proxied, "port 127.0.0.1:1/ssl: starttls and SSL_startHandshake 1 contradict each other: remove one of both"},
		{"routes of mysql", "[[listen]]\nport = '127.0.0.1:1/ssl'\nstarttls = 'mysql'\n[[listen.route]]\n" + proxied, "port 127.0.0.1:1/ssl: a target of MySQL greets its clients before TLS, when nothing is known that a route could be chosen by: give it a port of its own"},
		{"two protocols", "[[listen]]\nport = '127.0.0.1:1/ssl'\nstarttls = 'imap'\nbackend_tls = 1\nbackend_starttls = 'pop3'\n" + proxied, "starttls is imap, and backend_starttls of proxy to 127.0.0.1:9 is pop3: clients and targets speak one protocol"},
		{"two protocols, in a backend", "[[backend]]\nname = 'b'\ntargets = '127.0.0.1:9'\nbackend_tls = 1\nbackend_starttls = 'pop3'\n[[listen]]\nport = '127.0.0.1:1/ssl'\nstarttls = 'imap'\nbackend = 'b'\n", "starttls is imap, and backend_starttls of backend b is pop3: clients and targets speak one protocol"},
		{"one protocol", "[[listen]]\nport = '127.0.0.1:1/ssl'\nstarttls = 'mysql'\nbackend_tls = 1\nbackend_starttls = 'mariadb'\n" + proxied, ""},
		{"without backend_tls", "[[listen]]\nport = '127.0.0.1:1'\nbackend_starttls = 'imap'\n" + proxied, "backend_starttls has no effect without backend_tls"},
		{"no such target", "[[listen]]\nport = '127.0.0.1:1'\nbackend_tls = 1\nbackend_starttls = 'ftp'\n" + proxied, "backend_starttls: ftp cannot be had"},
		{"passed on", "[[listen]]\nport = '127.0.0.1:1/ssl'\nstarttls = 'imap'\n[[listen.route]]\npassthrough = true\n" + proxied, "port 127.0.0.1:1/ssl: clients who begin in plain text (SSL_startHandshake 0) cannot be passed on undecrypted: remove one of both"},
	} {
		code, _, stderr, _ := checkFile(t, c.text)
		got := strings.TrimSpace(strings.ReplaceAll(stderr, "netserver: ", ""))
		if (code == 0) != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: status %d\n got %s\nwant %s", c.name, code, got, c.want)
		}
	}
}
