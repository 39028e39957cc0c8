package port

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestAddrPorts(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"20203", "[[::]:20203]"},
		{"20203/IPv4", "[0.0.0.0:20203]"},
		{"20203/IPv6", "[[::]:20203]"},
		{"dual.test:20203/IPv4", "[192.0.2.1:20203]"},
		{"dual.test:20203/IPv6", "[[2001:db8::1]:20203]"},
		{"dual.test:20203", "[[2001:db8::1]:20203 192.0.2.1:20203]"},
		{"two.test:http/IPv4", "[192.0.2.1:80 192.0.2.2:80]"},
		{"1.2.3:00080/IPv4", "[1.2.0.3:80]"},
		{"[fe80::1%eth0]:domain/udp", "[[fe80::1%eth0]:53]"},
		{"localhost:https/SSLEAY/IPv4", "[127.0.0.1:443]"},
		{"localhost:https/UDP/IPv4", "[127.0.0.1:443]"},
		{"localhost:smtp/My::Proto/IPv4", "[127.0.0.1:25]"},
		{"localhost:http/udp/IPv4", `ERROR Could not determine port number from host [localhost]:http: no service "http" for udp`},
		{"localhost:20203/IPv6", "ERROR Could not find valid addresses for [localhost]:20203 with ipv set to '6'"},
		{"127.0.0.1:20203/IPv6", "ERROR Could not find valid addresses for [127.0.0.1]:20203 with ipv set to '6'"},
		{"[::ffff:127.0.0.1]:20203", "[127.0.0.1:20203]"},
		{"[::ffff:127.0.0.1]:20203/IPv6", "ERROR Could not find valid addresses for [::ffff:127.0.0.1]:20203 with ipv set to '6'"},
		{"nosuch.test:20203", "ERROR Unresolveable [nosuch.test]:20203: lookup nosuch.test: no such host"},
		{"/run/x.sock|unix", "ERROR Could not determine port number from /run/x.sock: it is a socket path"},
	} {
		specs, err := Parse(tc.text, Defaults{})
		if err != nil {
			t.Errorf("%s: %v", tc.text, err)
			continue
		}
		got := ""
		if addrs, err := specs[0].AddrPorts(t.Context(), fake{}); err != nil {
			got = "ERROR " + err.Error()
		} else {
			got = fmt.Sprint(addrs)
		}
		if got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.text, got, tc.want)
		}
	}
	if _, err := (Spec{Host: "*", Port: "65536", Proto: "tcp"}).PortNumber(t.Context(), fake{}); err == nil {
		t.Error("port 65536 has a number")
	}
}

// failing is a resolver whose lookups all fail in the same way.
type failing struct{ err error }

func (f failing) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, f.err
}
func (f failing) LookupPort(context.Context, string, string) (int, error) { return 0, f.err }
func (f failing) DualStack() bool                                         { return true }

func TestResolverErrorsAreWrapped(t *testing.T) {
	want := errors.New("the server is away")
	for _, text := range []string{"host.test:20203", "localhost:http", "localhost:http/IPv4"} {
		in := Input{Ports: []Entry{{Text: text}}}
		if _, _, err := Resolve(t.Context(), in, failing{want}); !errors.Is(err, want) {
			t.Errorf("%s: got %v", text, err)
		}
	}
	in := Input{Ports: []Entry{{Text: "host.test:20203"}}}
	if _, _, err := Resolve(t.Context(), in, failing{}); err == nil || !strings.HasPrefix(err.Error(), "Could not find valid addresses for [host.test]:20203 with ipv set to '*'") {
		t.Errorf("no addresses: got %v", err)
	}
}

// TestSystem asks the machine for what is the same on every one.
func TestSystem(t *testing.T) {
	var _ Resolver = net.DefaultResolver
	rows, _, err := Resolve(t.Context(), Input{Ports: []Entry{{Text: "127.0.0.1:https/ssl"}, {Text: "localhost:20203"}, {Text: "20204"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := rows[0].String(); got != "127.0.0.1:443/ssl/IPv4" {
		t.Errorf("got %s", got)
	}
	for _, row := range rows {
		addrs, err := row.AddrPorts(t.Context(), nil)
		if err != nil {
			t.Errorf("%s: %v", row, err)
			continue
		}
		ln, err := net.Listen(row.Network(), netip.AddrPortFrom(addrs[0].Addr(), 0).String())
		if err != nil {
			t.Errorf("%s: %v", row, err)
			continue
		}
		ln.Close()
	}
	if _, _, err := Resolve(t.Context(), Input{Ports: []Entry{{Text: "localhost:HTTPS"}}}, nil); err == nil {
		t.Error("service HTTPS was found")
	}
}
