//go:build unix

package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"netserver/internal/control"
	"netserver/netservertest"
)

// explain asks what would become of a client.
func explain(t *testing.T, socket string, args ...string) (e control.Explained) {
	t.Helper()
	askAll(t, socket, &e, append([]string{"explain"}, args...)...)
	return e
}

// explainOne asks about one port.
func explainOne(t *testing.T, socket string, args ...string) control.ExplainedPort {
	t.Helper()
	e := explain(t, socket, args...)
	if len(e.Ports) != 1 || len(e.Silent) > 0 {
		t.Fatalf("%q: %+v", args, e)
	}
	p := e.Ports[0]
	if p.Allowed != (len(p.Refused) == 0) || len(p.Workers) != 1 {
		t.Errorf("%q: %+v", args, p)
	}
	return p
}

// What a running server would do with a client is told by its rules, limits and
// penalty box as they are at that moment, and nobody is counted for that.
func TestCtlExplain(t *testing.T) {
	both(t, func(t *testing.T, supervisor string) {
		dir := openDir(t)
		rules := writeFile(t, filepath.Join(dir, "rules"), "198.51.100.0/24\n")
		unix := filepath.Join(dir, "s")
		file := writeFile(t, filepath.Join(dir, "f.toml"), fmt.Sprintf(`
max_per_source = 2
penalty_points = 100
penalty_exempt = "203.0.113.1"
cidr_allow = ["0.0.0.0/0", "2001:db8::/32"]
cidr_deny_file = %q
[[backend]]
name = "web"
targets = "127.0.0.1:9"
[[listen]]
port = "127.0.0.1:0"
[[listen]]
port = "*:0/ssl"
SSL_cert_file = "self-signed"
max_per_source = 1
[[listen.route]]
name = "www"
sni = "www.example.org"
backend = "web"
[[listen.route]]
alpn = "h2"
refuse = 1
[[listen.route]]
echo = "raw"
[[listen]]
port = "%s|unix"
unix_allow_user = "root"
`, rules, unix))
		r, socket := startCtl(t, "--conf_file", file, "--supervisor", supervisor)
		var st control.Status
		netservertest.Eventually(t, "all ports are served", func() bool {
			st = statusBy(t, socket)
			return len(st.Listeners) == 3
		})
		plain, secure := st.Listeners[0].Port, st.Listeners[1].Port

		e := explain(t, socket, "127.0.0.1")
		if e.Source != "127.0.0.1" || e.Network != "127.0.0.0/24" || len(e.Ports) != 2 || !e.Ports[0].Allowed || e.Ports[0].Rule == "" {
			t.Fatalf("%+v", e)
		}
		for range 2 {
			mustDial(t, r.addr(0)).mustAsk(t, "hello")
		}
		p := explainOne(t, socket, "127.0.0.1", "--port", plain)
		if p.Allowed || p.Refused[0] != "max_per_source: 2 of 2 in use" {
			t.Errorf("%+v", p)
		}
		if got := explainOne(t, socket, "192.0.2.7", "--port", plain); !got.Allowed || got.Route != nil || got.TLS != nil {
			t.Errorf("%+v", got)
		}
		if l := limitsBy(t, socket); len(l.Sources) != 1 || l.Sources[0].Clients != 2 {
			t.Errorf("who was asked about is counted: %+v", l.Sources)
		}

		// Rules as they are loaded.
		if p := explainOne(t, socket, "198.51.100.9", "--port", plain); p.Allowed || !strings.Contains(p.Rule, "198.51.100.0/24") {
			t.Errorf("%+v", p)
		}
		writeFile(t, rules+".new", "192.0.2.0/24\n")
		if err := os.Rename(rules+".new", rules); err != nil {
			t.Fatal(err)
		}
		netservertest.Eventually(t, "the new rules are in force", func() bool {
			return explainOne(t, socket, "198.51.100.9", "--port", plain).Allowed
		})
		if p := explainOne(t, socket, "192.0.2.7", "--port", plain); p.Allowed || !strings.Contains(p.Refused[0], "192.0.2.0/24") {
			t.Errorf("%+v", p)
		}

		// The penalty box; limits come before rules.
		mustCtl(t, socket, nil, "penalties", "add", "192.0.2.0/24", "500")
		p = explainOne(t, socket, "192.0.2.7:4711", "--port", plain)
		if len(p.Refused) != 2 || !strings.HasPrefix(p.Refused[0], "192.0.2.0/24 is in the penalty box") || p.Penalty == nil || p.Penalty.Left < 1 {
			t.Errorf("%+v", p)
		}
		if p := explainOne(t, socket, "203.0.113.1", "--port", plain); !p.Exempt || !p.Allowed {
			t.Errorf("%+v", p)
		}

		// IPv6, TLS, routes and targets.
		p = explainOne(t, socket, "2001:db8::7", "www.example.org")
		if p.Port != secure || !p.Allowed || p.Route == nil || p.Route.Name != "www" || p.Backend != "web" || p.TLS == nil || p.TLS.Certificate == "" ||
			!reflect.DeepEqual(p.Targets, []control.Reachable{{Target: "127.0.0.1:9", Address: "127.0.0.1:9", State: "up"}}) {
			t.Errorf("%+v", p)
		}
		own := false
		for _, l := range p.Limits {
			own = own || l.OfPort && l.Key == "max_per_source" && l.Value == 1
		}
		if !own {
			t.Errorf("the port's own limit is not told: %+v", p.Limits)
		}
		if p := explainOne(t, socket, "203.0.113.9", "other.example", "--port", secure, "--alpn", "h2,http/1.1"); p.Route == nil || !strings.Contains(p.Route.Name, "f.toml") || p.Backend != "" || p.Allowed || !strings.Contains(p.Refused[0], "serves nobody") {
			t.Errorf("%+v", p)
		}

		// UNIX clients.
		if p := explainOne(t, socket, "unix:root"); !p.Allowed || !strings.Contains(p.Port, unix) || p.Penalty != nil {
			t.Errorf("%+v", p)
		}
		if p := explainOne(t, socket, "unix:nobody", "--port", unix); p.Allowed {
			t.Errorf("%+v", p)
		}
		code, text, errs := ctl(socket, "explain", "127.0.0.1", "www.example.org")
		if code != 0 || errs != "" || !strings.Contains(text, "refused      max_per_source: 2 of 2 in use") || !strings.Contains(text, "127.0.0.1:9 up") {
			t.Errorf("exit status %d: %s%s", code, text, errs)
		}
	})
}

func limitsBy(t *testing.T, socket string) (l control.Limits) {
	t.Helper()
	askAll(t, socket, &l, "limits")
	return l
}

// What no client can be is refused.
func TestCtlExplainWhatCannotBe(t *testing.T) {
	both(t, func(t *testing.T, supervisor string) {
		_, socket := startCtl(t, "--port", "127.0.0.1:0", "--supervisor", supervisor)
		netservertest.Eventually(t, "the port is served", func() bool { return len(statusBy(t, socket).Listeners) == 1 })
		for _, c := range []struct {
			args []string
			code int
			want string
		}{
			{[]string{"explain"}, 2, "needs the address"},
			{[]string{"explain", "a", "b", "c"}, 2, "needs the address"},
			{[]string{"explain", "example.org"}, 2, "is not an address"},
			{[]string{"explain", "unix:no-such-user"}, 2, "no such user"},
			{[]string{"explain", "127.0.0.1", "a\x1b[2Jb"}, 2, "cannot be asked for"},
			{[]string{"explain", "127.0.0.1", "a\u202eb"}, 2, "cannot be asked for"},
			{[]string{"explain", "127.0.0.1", strings.Repeat("a", 256)}, 2, "at most 255"},
			{[]string{"explain", "127.0.0.1", "--alpn", "h2,,h3"}, 2, "cannot be offered"},
			{[]string{"explain", "127.0.0.1", "--port", "1"}, 1, "no port 1"},
			{[]string{"explain", "unix"}, 1, "no port that takes such clients"},
			{[]string{"explain", "2001:db8::1"}, 1, "no port that takes such clients"},
			{[]string{"status", "--port", "1"}, 2, "status has no port"},
		} {
			code, out, errs := ctl(socket, c.args...)
			if code != c.code || !strings.Contains(errs, c.want) || strings.ContainsAny(out+errs, "\x1b\u202e") {
				t.Errorf("%q: exit status %d: %s%s", c.args, code, out, errs)
			}
		}
	})
}

// Where limits only watch, they refuse nobody; a proxy is many clients; and a
// client without a place waits.
func TestCtlExplainNotes(t *testing.T) {
	r, socket := startCtl(t, "--port", "127.0.0.1:0", "--limits_shadow", "1", "--max_per_source", "1", "--max_servers", "1", "--proxy_protocol", "accept", "--proxy_protocol_from", "192.0.2.1")
	mustDial(t, r.addr(0)).mustAsk(t, "hello")
	p := explainOne(t, socket, "127.0.0.1")
	notes := strings.Join(p.Notes, "\n")
	if !p.Allowed || !strings.Contains(notes, "limits_shadow lets through what would be refused: max_per_source: 1 of 1 in use") || !strings.Contains(notes, "would wait for max_servers: 1 of 1 in use") ||
		!strings.Contains(p.Rule, "not in proxy_protocol_from") {
		t.Errorf("%+v", p)
	}
	p = explainOne(t, socket, "192.0.2.1")
	if !p.Allowed || !strings.Contains(p.Rule, "the address in its PROXY header") {
		t.Errorf("%+v", p)
	}
	for _, l := range p.Limits {
		if l.Key == "max_per_source" {
			t.Errorf("a proxy is counted by source: %+v", l)
		}
	}
}

// Workers that say the same are one row; each that says something else has its
// own.
func TestCtlExplainByWorkers(t *testing.T) {
	r, socket := startCtl(t, "PreForkSimple", "--max_servers", "3", "--clients_per_server", "10", "--port", "127.0.0.1:0", "--max_per_source", "5")
	netservertest.Eventually(t, "all say the same", func() bool {
		e := explain(t, socket, "127.0.0.1")
		return len(e.Ports) == 1 && len(e.Ports[0].Workers) == 3
	})
	mustDial(t, r.addr(0)).mustAsk(t, "hello")
	e := explain(t, socket, "127.0.0.1")
	if len(e.Ports) != 2 || len(e.Ports[0].Workers)+len(e.Ports[1].Workers) != 3 {
		t.Errorf("%+v", e)
	}
}

// A port that tells balancers of the server serves nobody, whoever it is.
func TestCtlExplainHealth(t *testing.T) {
	_, socket := startCtl(t, "--conf_file", writeFile(t, filepath.Join(openDir(t), "f.toml"),
		"[[listen]]\nport = '127.0.0.1:0'\nhealth = 1\ncidr_allow = '127.0.0.0/8'\n[[listen]]\nport = '[::1]:0'\n"))
	p := explainOne(t, socket, "127.0.0.1")
	if !p.Allowed || !strings.Contains(strings.Join(p.Notes, "\n"), "serves no clients (health)") {
		t.Errorf("%+v", p)
	}
	for _, l := range p.Limits {
		if l.Key == "max_connections" || l.Key == "max_servers" {
			t.Errorf("who is no client is counted: %+v", l)
		}
	}
	p = explainOne(t, socket, "192.0.2.1")
	if p.Allowed || len(p.Refused) != 1 {
		t.Errorf("%+v", p)
	}
}
