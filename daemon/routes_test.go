//go:build unix

package daemon_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver/netservertest"
)

// tlsGreeter is greeter over TLS.
func tlsGreeter(t *testing.T, text string) (addr string) {
	t.Helper()
	pair := netservertest.NewCA(t, "theirs").Issue(t, netservertest.Leaf{Name: "theirs"})
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair.TLS}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(nc, text)
			nc.Close()
		}
	}()
	return l.Addr().String()
}

const routesFile = `
[[backend]]
name = "imap"
targets = [%[1]q]

[[listen]]
port = "127.0.0.1:0/ssl"
SSL_alpn_protocols = ["x"]

[[listen.route]]
name = "imap"
sni = ["imap.example.com", "*.mail.example.com", "/^x[0-9]+\\./"]
backend = "imap"

[[listen.route]]
name = "old"
sni = "old.example.com"
passthrough = true
proxy_to = %[2]q

[[listen.route]]
name = "alpn"
alpn = "x"
from = ["127.0.0.0/8", "::1"]
program = ["echo", "alpn"]

[[listen.route]]
name = "refused"
sni = "refused.example.com"
refuse = true

[[listen.route]]
name = "rest"
begins = "HELLO"
program = ["echo", "rest"]

[[listen]]
port = "127.0.0.1:0"

[[listen.route]]
name = "ssh"
begins = "ssh"
program = ["echo", "ssh"]

[[listen.route]]
name = "tls"
sni = "old.example.com"
proxy_to = %[2]q

[[listen.route]]
name = "silent"
begins = "silence=1s"
program = ["echo", "silent"]

[[listen]]
port = "127.0.0.2:0/ssl"

[[listen.route]]
alpn = "h2"
program = ["echo", "two"]

[[listen.route]]
program = ["echo", "one"]
`

// A conf file's routes, over real connections: what DESIGN of several jobs
// shows, on one TLS port and on one plain one.
func TestRoutes(t *testing.T) {
	imap, old := greeter(t, "imap\n"), tlsGreeter(t, "old\n")
	file := writeFile(t, filepath.Join(openDir(t), "server.toml"), fmt.Sprintf(routesFile, imap, old))
	r := start(t, "--conf_file", file, "--user", "root")
	r.serving()
	for _, c := range []struct {
		port                  int
		sni, alpn, text, want string
	}{
		{0, "imap.example.com", "", "", "imap"},
		{0, "a.mail.example.com", "", "", "imap"},
		{0, "x1.example.com", "", "", "imap"},
		{0, "old.example.com", "", "", "old"},
		{0, "OLD.example.com", "x", "", "old"},
		{0, "other.example.com", "x", "", "alpn"},
		{0, "refused.example.com", "", "", ""},
		{0, "other.example.com", "", "HELLO", "rest"},
		{0, "other.example.com", "", "HEL0", ""},
		{1, "old.example.com", "", "", "old"},
		{2, "", "h2", "", "two"}, // what a route names is offered
		{2, "", "y", "", "one"},
		{2, "", "", "", "one"},
	} {
		cfg := &tls.Config{InsecureSkipVerify: true, ServerName: c.sni}
		if c.alpn != "" && c.want != "old" {
			cfg.NextProtos = []string{c.alpn}
		}
		nc, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", strings.Replace(r.addr(c.port), "127.0.0.1", []string{"127.0.0.1", "127.0.0.1", "127.0.0.2"}[c.port], 1), cfg)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		nc.SetDeadline(time.Now().Add(30 * time.Second))
		io.WriteString(nc, c.text)
		got, err := bufio.NewReader(nc).ReadString('\n')
		if strings.TrimSpace(got) != c.want {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
		nc.Close()
	}
	for text, want := range map[string]string{"SSH-2.0-x\r\n": "ssh\n", "": "silent\n"} {
		if got, err := saysFirst(t, r.addr(1), text); got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// saysFirst returns the line that answers a client which begins with text, or
// with nothing. What this process was too slow to send is sent once more: the
// server takes that client for a silent one.
func saysFirst(t *testing.T, addr, text string) (got string, err error) {
	t.Helper()
	for range 5 {
		begin := time.Now()
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(30 * time.Second))
		io.WriteString(nc, text)
		took := time.Since(begin)
		got, err = bufio.NewReader(nc).ReadString('\n')
		if text == "" || got != "silent\n" || took < time.Second/2 {
			return got, err
		}
	}
	return got, nil
}

// What is wrong with routes is said with its place, and --check tells the route
// of a client and why.
func TestRouteProblems(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"star", "[[listen]]\nport = 1\n[[listen.route]]\nsni = 'a*.b'\necho = 'raw'\n", "sni: \"a*.b\": a star stands for the whole first label only, as in *.example.com; write an expression between slashes for more (f.toml:4)"},
		{"network", "[[listen]]\nport = 1\n[[listen.route]]\nfrom = '10.1.0.0/8'\necho = 'raw'\n", `from: "10.1.0.0/8" has bits set behind the first 8: write 10.1.0.0 or 10.0.0.0/8 (f.toml:4)`},
		{"silence", "[[listen]]\nport = 1\n[[listen.route]]\nbegins = ['ssh', 'silence=2']\necho = 'raw'\n", "begins: \"silence=2\": write the time as in silence=2s, at most 1m0s (f.toml:4)"},
		{"nobody", "[[listen]]\nport = 1\n[[listen.route]]\nsni = 'a'\n", "the [[listen.route]] says of nobody who serves (f.toml:3); give it proxy_to, backend, program, app, echo, http, http_redirect or refuse"},
		{"pass through a certificate", "[[listen]]\nport = '127.0.0.1:1/ssl'\n[[listen.route]]\nname = 'r'\ncert_cn = 'a'\npassthrough = true\nproxy_to = '127.0.0.1:9'\n", "port 127.0.0.1:1/ssl: route r passes clients on undecrypted, and cert_cn is known after the handshake only: remove one of both (f.toml:1)"},
		{"certificate of a plain port", "[[listen]]\nport = 1\n[[listen.route]]\ncert_cn = 'a'\necho = 'raw'\n", "cert_cn has no effect without a TLS port (f.toml:4); write the port as PORT/ssl or PATH|unixssl, or leave cert_cn out"},
		{"unknown key", "[[listen]]\nport = 1\n[[listen.route]]\nsnii = 'a'\necho = 'raw'\n", "unknown key \"snii\" (f.toml:4); did you mean sni?"},
	} {
		code, _, stderr, _ := checkFile(t, c.text)
		if got := strings.TrimSpace(strings.ReplaceAll(stderr, "netserver: ", "")); code != 2 || got != c.want {
			t.Errorf("%s: status %d\n got %s\nwant %s", c.name, code, got, c.want)
		}
	}
}

func TestShadowedRoute(t *testing.T) {
	code, _, stderr, _ := checkFile(t, "[[listen]]\nport = 1\n[[listen.route]]\nname = 'a'\nsni = '*.x'\necho = 'raw'\n[[listen.route]]\nname = 'b'\nsni = 'c.x'\necho = 'lines'\n")
	if want := "route b is never reached: route a before it takes all of its clients"; code != 0 || !strings.Contains(stderr, want) {
		t.Errorf("status %d: %s", code, stderr)
	}
}

func TestCheckTellsTheRoute(t *testing.T) {
	text := fmt.Sprintf(routesFile, "127.0.0.1:9", "127.0.0.1:8")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--sni", "imap.example.com"}, `imap false`},
		{[]string{"--sni", "old.example.com"}, `old true`},
		{[]string{"--sni", "o.example.com", "--alpn", "x", "--peer", "127.0.0.2"}, `alpn false`},
		{[]string{"--sni", "o.example.com", "--alpn", "x", "--peer", "192.0.2.1"}, ` false`},
	} {
		_, stdout, stderr, _ := checkFile(t, text, c.args...)
		var out struct {
			Services []struct {
				Route struct {
					Name, Why   string
					PassThrough bool
				}
			}
		}
		if err := json.Unmarshal([]byte(stdout), &out); err != nil {
			t.Fatalf("%v: %s", err, stderr)
		}
		route := out.Services[0].Route
		if got := fmt.Sprint(route.Name, " ", route.PassThrough); got != c.want || route.Why == "" {
			t.Errorf("%q: %s (%s)", c.args, got, route.Why)
		}
	}
}

// The same holds for all that is done with the routes of a conf file.
func TestManyRoutesStart(t *testing.T) {
	took := func(n, times int) time.Duration {
		text := "[[listen]]\nport = '127.0.0.1:1/ssl'\n"
		for i := range n {
			text += fmt.Sprintf("[[listen.route]]\nsni = 'h%d.example'\nproxy_to = '127.0.0.1:9'\n", i)
		}
		begin := time.Now()
		for range times {
			if code, _, stderr, _ := checkFile(t, text); code != 0 {
				t.Fatal(stderr)
			}
		}
		return time.Since(begin)
	}
	for range 5 { // other programs delay both alike
		if few, many := took(300, 10), took(3000, 1); many < 4*few {
			return
		}
	}
	t.Error("the time grows with the square of the routes")
}
