package admin

import (
	"strings"
	"testing"

	"netserver/conf"
	"netserver/port"
)

// An admin listener and a port of the server cannot have the same address.
func TestSameAddress(t *testing.T) {
	for _, tt := range []struct {
		admin, port string
		want        bool
	}{
		{"127.0.0.1:7", "127.0.0.1:7", true}, {"127.0.0.1:7", "127.0.0.1:7/ssl", true}, {"127.0.0.1:7", "127.0.0.1:8", false},
		{"127.0.0.1:7", "127.0.0.2:7", false}, {"127.0.0.1:7", "127.0.0.1:7/udp", false}, {"127.0.0.1:0", "127.0.0.1:0", false},
		{"127.0.0.1:7", "*:7", true}, {"127.0.0.1:7", "0.0.0.0:7", true}, {"127.0.0.1:7", "[::]:7", true},
		{"[::1]:7", "[::]:7", true}, {"[::1]:7", "127.0.0.1:7", false}, {"[::1]:7", "0.0.0.0:7", false}, {"*:7", "127.0.0.1:7", true},
		{"/run/a", "/run/a|unix", true}, {"/run/a", "/run/b|unix", false}, {"/run/a", "127.0.0.1:7", false},
	} {
		s, err := ParseAddress(conf.Value{Text: tt.admin})
		if err != nil {
			t.Fatal(err)
		}
		specs, err := port.Parse(tt.port, port.Defaults{Host: "127.0.0.1", Proto: port.TCP})
		if err != nil {
			t.Fatal(err)
		}
		if got := Same(s, specs[0]); got != tt.want {
			t.Errorf("%s and %s: %v", tt.admin, tt.port, got)
		}
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1:8080": "127.0.0.1 8080 tcp 4", "8080": "127.0.0.1 8080 tcp 4", "[::1]:8080": "::1 8080 tcp 6", "localhost:8080": "127.0.0.1 8080 tcp 4",
		"127.0.0.1:8080/ssl": "127.0.0.1 8080 ssl 4", "127.0.0.1:8080|SSL_cert_file=/x.pem": "127.0.0.1 8080 ssl 4", "*:8080": "* 8080 tcp *",
		"/run/x.sock": " /run/x.sock unix *", "/run/x.sock|unix_mode=0660": " /run/x.sock unix *", "/run/x.sock|SSL_cert_file=/x.pem": " /run/x.sock unixssl *",
		"x.sock|unix": "absolute", "127.0.0.1:8080/udp": "not spoken", "example.org:8080": "not an address", "127.0.0.1:8080|proxy_to=x": "no parameter",
		"127.0.0.1:8080|SSL_cert_file=a|SSL_cert_file=b": "twice", "127.0.0.1": "",
	} {
		s, err := ParseAddress(conf.Value{Text: text})
		got := strings.Join([]string{s.Host, s.Port, s.Proto, s.IPv}, " ")
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	public := func(text string, public, write, pprof, verified bool) string {
		s, err := ParseAddress(conf.Value{Text: text})
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckPublic(s, public, write, pprof, verified); err != nil {
			return err.Error()
		}
		return ""
	}
	for _, tt := range []struct{ got, want string }{
		{public("127.0.0.1:1", false, true, true, false), ""},
		{public("/x", false, true, true, false), ""},
		{public("192.0.2.1:1", false, false, false, true), "admin_public"},
		{public("*:1", false, false, false, false), "admin_public"},
		{public("*:1", true, false, false, false), ""},
		{public("*:1", true, true, false, false), "admin_write"},
		{public("*:1", true, true, false, true), ""},
		{public("*:1", true, false, true, true), "admin_pprof"},
	} {
		if (tt.got == "") != (tt.want == "") || !strings.Contains(tt.got, tt.want) {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

// A socket is for its owner alone unless the operator says otherwise.
func TestSocketsAreTheOwners(t *testing.T) {
	for text, want := range map[string]string{"/run/a": "0600", "/run/a|unix_mode=0660": "0660", "127.0.0.1:7": ""} {
		s, err := ParseAddress(conf.Value{Text: text})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Params.Get("unix_mode"); got != want {
			t.Errorf("%s: unix_mode %q, want %q", text, got, want)
		}
	}
}
