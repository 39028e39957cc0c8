package port

import (
	"reflect"
	"strings"
	"testing"

	"netserver/conf"
)

func TestSpecForms(t *testing.T) {
	dgram := conf.Values{keyUnixType: {{Text: sockDgram}}}
	for _, tc := range []struct {
		spec                        Spec
		full, short, kind, network  string
		unix, wildcard, cannotParse bool
	}{
		{Spec{Host: "*", Port: "443", Proto: "ssl", IPv: "*"}, "*:443/ssl/IPv*", "443/ssl", "ssl", "tcp", false, true, false},
		{Spec{Host: "::", Port: "443", Proto: "SSLEAY", IPv: "*"}, "[::]:443/SSLEAY/IPv*", "443/SSLEAY", "ssl", "tcp", false, true, false},
		{Spec{Host: "::", Port: "443", Proto: "tls", IPv: "6"}, "[::]:443/tls/IPv6", "[::]:443/tls", "ssl", "tcp6", false, false, false},
		{Spec{Host: "*", Port: "443", Proto: "tls", IPv: "6"}, "*:443/tls/IPv6", "443/tls/IPv6", "ssl", "tcp6", false, true, false},
		{Spec{Host: "127.0.0.1", Port: "53", Proto: "UDP", IPv: "4"}, "127.0.0.1:53/UDP/IPv4", "127.0.0.1:53/UDP", "udp", "udp4", false, false, false},
		{Spec{Host: "fe80::1%eth0", Port: "http-alt", Proto: "Net::Server::Proto::TCP", IPv: "6"}, "[fe80::1%eth0]:http-alt/Net::Server::Proto::TCP/IPv6", "[fe80::1%eth0]:http-alt/Net::Server::Proto::TCP", "tcp", "tcp6", false, false, false},
		{Spec{Host: "*", Port: "7", Proto: "My::Proto", IPv: "4"}, "*:7/My::Proto/IPv4", "7/My::Proto/IPv4", "My::Proto", "", false, true, false},
		{Spec{Host: "*", Port: "/run/x.sock", Proto: "unix", IPv: "*"}, "/run/x.sock|unix", "/run/x.sock|unix", "unix", "unix", true, false, false},
		{Spec{Host: "*", Port: "/run/x.sock", Proto: "UNIX", IPv: "*", Params: dgram}, "/run/x.sock|sock_dgram|UNIX", "/run/x.sock|sock_dgram|UNIX", "unixdgram", "unixgram", true, false, false},
		{Spec{Host: "*", Port: "/run/x.sock", Proto: "unixdgram", IPv: "*", Params: dgram}, "/run/x.sock|sock_dgram|unixdgram", "/run/x.sock|unixdgram", "unixdgram", "unixgram", true, false, false},
		{Spec{Host: "*", Port: "/run/x.sock", Proto: "unixssl", IPv: "*"}, "/run/x.sock|unixssl", "/run/x.sock|unixssl", "unixssl", "unix", true, false, false},
		{Spec{Host: "*", Port: "/run/ssl/x", Proto: "UnixTLS", IPv: "*"}, "/run/ssl/x|UnixTLS", "/run/ssl/x|UnixTLS", "unixssl", "unix", true, false, false},
		{Spec{Host: "*", Port: "@a, b", Proto: "myunix", IPv: "*"}, "@a, b/myunix", "@a, b/myunix", "myunix", "", true, false, false},
		{Spec{Port: "443", Proto: "tcp"}, "*:443/tcp/IPv*", "443/tcp", "tcp", "tcp", false, true, true},
		{Spec{Port: "9374"}, "*:9374/tcp/IPv*", "9374/tcp", "tcp", "tcp", false, true, true},
	} {
		s := tc.spec
		if got := s.String(); got != tc.full {
			t.Errorf("String: got %s, want %s", got, tc.full)
		}
		if got := s.Short(); got != tc.short {
			t.Errorf("%s: Short: got %s, want %s", s, got, tc.short)
		}
		if got := s.Kind(); got != tc.kind {
			t.Errorf("%s: Kind: got %s, want %s", s, got, tc.kind)
		}
		if tls, dgram := tc.kind == SSL || tc.kind == UnixSSL, tc.kind == UDP || tc.kind == UnixDgram; s.IsTLS() != tls || s.IsDatagram() != dgram {
			t.Errorf("%s: IsTLS %v, IsDatagram %v", s, s.IsTLS(), s.IsDatagram())
		}
		if got := s.Network(); got != tc.network {
			t.Errorf("%s: Network: got %s, want %s", s, got, tc.network)
		}
		if s.IsUnix() != tc.unix || s.IsWildcard() != tc.wildcard {
			t.Errorf("%s: IsUnix %v, IsWildcard %v", s, s.IsUnix(), s.IsWildcard())
		}
		if back, err := Parse(s.String(), Defaults{}); !tc.cannotParse && (err != nil || len(back) != 1 || !reflect.DeepEqual(back[0], s)) {
			t.Errorf("%s reads back as %#v, %v", s, back, err)
		}
	}
}

func TestParseLooksNothingUp(t *testing.T) {
	got, err := Parse("nosuch.invalid:nosuch", Defaults{Host: "localhost", Proto: "udp", IPv: "IPv4 IPv6"})
	want := []Spec{
		{Host: "nosuch.invalid", Port: "nosuch", Proto: "udp", IPv: "6"},
		{Host: "nosuch.invalid", Port: "nosuch", Proto: "udp", IPv: "4"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

// FuzzParse checks that what Parse accepts is written by String so that Parse
// reads it back equal, and that it keeps its promises.
func FuzzParse(f *testing.F) {
	for _, k := range cases() {
		if text, ok := k.Ports.(string); ok {
			str := func(v any) string { s, _ := v.(string); return s }
			f.Add(text, str(k.Hosts), str(k.Protos), str(k.IPvs))
		}
	}
	f.Fuzz(func(t *testing.T, text, host, proto, ipv string) {
		specs, err := Parse(text, Defaults{Host: host, Proto: proto, IPv: ipv})
		if err != nil {
			if specs != nil {
				t.Errorf("rows %v with error %v", specs, err)
			}
			return
		}
		if len(specs) < 1 || len(specs) > 2 {
			t.Errorf("%d rows", len(specs))
		}
		for _, s := range specs {
			checkPromises(t, s)
		}
	})
}

// FuzzMap does the same for an entry given by keys.
func FuzzMap(f *testing.F) {
	f.Add("443", "localhost", "ssl", "IPv4", "")
	f.Add("/run/x y", "", "unix", "", "SOCK_DGRAM")
	f.Add("/run/ipv6", "", "unix", "", "")
	f.Add("127.0.0.1:http/ssl/IPv6", "", "", "", "")
	f.Add("/run/x.sock|unixdgram", "", "", "", "2")
	f.Add("a, b", "", "My::Unix", "*", "sock_stream")
	f.Fuzz(func(t *testing.T, port, host, proto, ipv, unixType string) {
		m := conf.Values{}
		for key, text := range map[string]string{"port": port, "host": host, "proto": proto, "ipv": ipv, keyUnixType: unixType} {
			if text != "" {
				m[key] = []conf.Value{{Text: text}}
			}
		}
		specs, err := parseEntry(Entry{Map: m}, defaults{})
		if err != nil {
			return
		}
		for _, s := range specs {
			checkPromises(t, s)
		}
	})
}

func checkPromises(t *testing.T, s Spec) {
	t.Helper()
	switch {
	case s.Port == "" || s.Host == "" || s.Proto == "":
		t.Errorf("%#v has an empty part", s)
	case s.IsUnix() && (s.IPv != "*" || len(s.Port) > maxPath):
		t.Errorf("%#v cannot be bound", s)
	case !strings.Contains("46*", s.IPv) || s.IPv == "":
		t.Errorf("%#v has ipv %q", s, s.IPv)
	}
	if s.IsUnix() {
		s.Host = "*" // unused, and not written
	}
	back, err := Parse(s.String(), Defaults{})
	if err != nil || len(back) != 1 {
		t.Fatalf("%#v is written %q and reads back as %v, %v", s, s.String(), back, err)
	}
	if !reflect.DeepEqual(back[0], s) {
		t.Errorf("%q reads back as %#v; was %#v", s.String(), back[0], s)
	}
}

// TLS on a UNIX socket has one spelling, which whoever writes another is told.
func TestUnixSSL(t *testing.T) {
	for _, text := range []string{"/run/x.sock|ssl", "/run/x.sock/ssl", "/run/x.sock|unix/ssl", "/run/x.sock|unix|tls", "/run/x.sock|ssleay"} {
		if s, err := Parse(text, Defaults{}); err == nil || !strings.Contains(err.Error(), "write /run/x.sock|unixssl for TLS on a UNIX socket") {
			t.Errorf("%s: %v, %v", text, s, err)
		}
	}
	for text, d := range map[string]Defaults{"/run/x.sock|unixssl": {}, "/run/x.sock/unixtls": {Proto: "udp"}, "/run/x.sock": {Proto: "unixssl"}, "/run/x.sock|sock_stream|unixssl": {}} {
		if s, err := Parse(text, d); err != nil || len(s) != 1 || s[0].Port != "/run/x.sock" || s[0].Kind() != UnixSSL || s[0].Network() != "unix" {
			t.Errorf("%s: %v, %v", text, s, err)
		}
	}
	if _, err := Parse("/run/x.sock|sock_dgram|unixssl", Defaults{}); err == nil || !strings.Contains(err.Error(), "TLS is for connections") {
		t.Error("datagrams:", err)
	}
}
