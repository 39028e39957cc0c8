package port

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"netserver/conf"
)

func TestExamples(t *testing.T) {
	for _, ex := range examples {
		got := ex.kase.ask()
		if got.String() != ex.want && (got.Error == "" || !strings.HasPrefix(got.String(), ex.want)) {
			t.Errorf("%s\n got %s\nwant %s", ex.kase, got, ex.want)
		}
	}
}

// entry makes an entry with a place in a file.
func entry(text string, n int) Entry {
	return Entry{Text: text, Origin: line(n)}
}

func line(n int) conf.Origin {
	return conf.Origin{Source: conf.SourceFile, File: "server.conf", Line: n}
}

func TestPairing(t *testing.T) {
	for _, tc := range []struct {
		kase kase
		want string
	}{
		{kase{Ports: list{"1", "2", "3"}, Hosts: list{"127.0.0.1", "127.0.0.2"}}, "127.0.0.1, 1, tcp, 4 + 127.0.0.2, 2, tcp, 4 + 127.0.0.2, 3, tcp, 4"},
		{kase{Ports: list{"1", "2", "3"}, Hosts: list{"localhost/IPv4/IPv6", "127.0.0.2", "127.0.0.3"}}, "localhost, 1, tcp, 6 + localhost, 1, tcp, 4 + 127.0.0.2, 2, tcp, 4 + 127.0.0.3, 3, tcp, 4"},
		{kase{Ports: list{"1", "1", "2"}, Hosts: list{"127.0.0.1", "127.0.0.1", "127.0.0.2"}}, "127.0.0.1, 1, tcp, 4 + 127.0.0.2, 2, tcp, 4"},
		{kase{Ports: list{"20203", "20203"}, Hosts: "localhost", IPvs: list{"4", "6"}}, "localhost, 20203, tcp, 4 + localhost, 20203, tcp, 6"},
		{kase{Ports: "20203", IPvs: list{"4", "6"}}, "*, 20203, tcp, 4"},
		{kase{Ports: list{"1", "2"}, Protos: list{"udp"}, IPvs: "4"}, "*, 1, udp, 4 + *, 2, udp, 4"},
		{kase{Ports: list{hash{"port": list{"1", "2/udp", "3"}, "host": list{"127.0.0.1", "127.0.0.2"}, "listen": "7"}, "4"}, Hosts: list{"a", "b", "c", "127.0.0.4"}, IPvs: "4"},
			"127.0.0.1, 1, tcp, 4 {listen=7} + 127.0.0.2, 2, udp, 4 {listen=7} + 127.0.0.2, 3, tcp, 4 {listen=7} + 127.0.0.4, 4, tcp, 4"},
		{kase{Ports: list{hash{"port": "1", "ipv": list{"IPv4", "IPv6"}}}}, "*, 1, tcp, 6 + *, 1, tcp, 4"},
		{kase{Ports: list{"0", "0"}, IPvs: "4"}, "*, 0, tcp, 4 + *, 0, tcp, 4"},
	} {
		if got := tc.kase.ask().String(); got != tc.want {
			t.Errorf("%s\n got %s\nwant %s", tc.kase, got, tc.want)
		}
	}
}

func TestNotes(t *testing.T) {
	in := Input{
		Ports: []Entry{entry("20203", 1), entry("*:20203/TCP", 2), entry("127.0.0.1:20201", 3), entry("127.0.0.1:20201", 4), entry("localhost:http", 5)},
	}
	rows, notes, err := Resolve(t.Context(), in, fake{})
	if err != nil || len(rows) != 3 {
		t.Fatalf("got %v, %v", rows, err)
	}
	want := []Note{
		{"Resolved [*]:20203 to [::]:20203, IPv*", line(1)},
		{"Not including resolved host [0.0.0.0] IPv4 because it will be handled by [::] IPv6", line(1)},
		{"Resolved [*]:20203 to [::]:20203, IPv*", line(2)},
		{"Not including resolved host [0.0.0.0] IPv4 because it will be handled by [::] IPv6", line(2)},
		{"Duplicate configuration (TCP) on [::]:20203 with IPv*) - skipping", line(2)},
		{"Duplicate configuration (TCP) on [127.0.0.1]:20201 with IPv4) - skipping", line(4)},
		{"Resolved [localhost]:http to [127.0.0.1]:80, IPv4", line(5)},
	}
	if !reflect.DeepEqual(notes, want) {
		t.Errorf("got %v\nwant %v", notes, want)
	}
	if _, notes, _ := Resolve(t.Context(), Input{}, fake{}); len(notes) == 0 || notes[0].Text != "Port Not Defined.  Defaulting to '20203'" {
		t.Errorf("no ports: got %v", notes)
	}
	if rows, notes, _ := Resolve(t.Context(), Input{DefaultPort: "7/udp/IPv4"}, fake{}); len(notes) != 0 || rows[0].String() != "*:7/udp/IPv4" {
		t.Errorf("default port: got %v, %v", rows, notes)
	}
}

// TestErrors checks that every bad entry is named, with the place of the part
// that is bad, and that each error says what to write.
func TestErrors(t *testing.T) {
	listen := conf.Values{
		"port": {{Text: "443", Origin: line(10)}},
		"host": {{Text: "bad host!", Origin: line(11)}},
	}
	hosts := conf.Values{"port": {{Text: "443"}}, "host": {{Text: "::1", Origin: line(14)}, {Text: "127.0.0.1", Origin: line(15)}}}
	families := conf.Values{"port": {{Text: "1"}, {Text: "2"}}, "ipv": {{Text: "4"}, {Text: "6"}}}
	in := Input{
		Ports: []Entry{
			entry("localhost/20203", 1), entry("127.0.0.1/20203/tcp", 2), entry("20203-20205", 3), entry("20203/tcp/udp", 4),
			entry("127.0.0.1:65536", 5), entry("443", 6), entry("443/ssl", 7), entry("443/IPv5", 8), entry("ok.test:443/IPv4", 9),
			{Map: listen, Origin: line(10)}, {Map: conf.Values{"proto": {{Text: "ssl"}}}, Origin: line(12)},
			entry("/run/"+strings.Repeat("x", maxPath)+"|unix", 13), {Map: hosts, Origin: line(13)}, entry("nosuch.test:1", 16),
			{Map: families, Origin: line(17)},
		},
		Hosts:  []conf.Value{{}, {}, {}, {}, {}, {Text: "a b", Origin: line(20)}, {}},
		Protos: []conf.Value{{}, {}, {}, {}, {}, {}, {}, {}, {Text: "tcp udp", Origin: line(22)}, {}},
		IPvs:   []conf.Value{{}, {}, {}, {}, {}, {}, {Text: "7", Origin: line(21)}, {}},
	}
	rows, _, err := Resolve(t.Context(), in, fake{})
	if rows != nil || err == nil {
		t.Fatalf("got %v, %v", rows, err)
	}
	want := []string{
		`Found multiple values on the configuration item "host" which expects only one value for each port: 2 for 1; give further ones an entry each (server.conf:14)`,
		`Found multiple values on the configuration item "ipv" which expects only one value for several ports: write "IPv4 IPv6" for both, or give each port an entry (server.conf:17)`,
		"Could not determine port number from host [*]:localhost/20203: a slash does not separate host and port; write localhost:20203 (server.conf:1)",
		"Could not determine port number from host [*]:127.0.0.1/20203: a slash does not separate host and port; write 127.0.0.1:20203 (server.conf:2)",
		"Could not determine port number from host [*]:20203-20205: list each port of a range separately (server.conf:3)",
		"Could not determine port number from host [*]:20203/tcp: write one protocol only (server.conf:4)",
		"Could not determine port number from host [127.0.0.1]:65536: the highest port is 65535 (server.conf:5)",
		`Could not determine host from "a b": write a name, an address, an IPv6 address in brackets, or * (server.conf:20)`,
		`Invalid ipv parameter - must contain 4, 6, or *: "7"; write IPv4, IPv6, IPv* or both IPv4 and IPv6 (server.conf:21)`,
		`Invalid ipv parameter - must contain 4, 6, or *: "5"; write IPv4, IPv6, IPv* or both IPv4 and IPv6 (server.conf:8)`,
		`Could not determine proto from "tcp udp": write tcp, udp, ssl, unix, unixssl, unixdgram or the name of a registered protocol (server.conf:22)`,
		`Could not determine host from "bad host!": write a name, an address, an IPv6 address in brackets, or * (server.conf:11)`,
		"Missing port in hashref passed in port argument: give the entry a port, a number or a service name (server.conf:12)",
		fmt.Sprintf("Insecure filename: socket path %q has %d bytes; the system takes %d (server.conf:13)", "/run/"+strings.Repeat("x", maxPath), maxPath+5, maxPath),
		"Unresolveable [nosuch.test]:1: lookup nosuch.test: no such host (server.conf:16)",
	}
	if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var first *Error
	if !errors.As(err, &first) || first.Origin != line(14) {
		t.Errorf("no *Error in %v", err)
	}
}

func TestMapsKeepTheirKeys(t *testing.T) {
	cert := conf.Value{Text: "a.crt", Origin: line(3)}
	m := conf.Values{"port": {{Text: "443"}}, "proto": {{Text: "ssl"}}, "host": {{Text: "dual.test"}}, "SSL_cert_file": {cert}, "listen": {{Text: "7"}}}
	rows, _, err := Resolve(t.Context(), Input{Ports: []Entry{{Map: m, Origin: line(1)}}}, fake{})
	if err != nil || len(rows) != 2 {
		t.Fatalf("got %v, %v", rows, err)
	}
	for _, row := range rows {
		if len(row.Params) != 2 || row.Params["SSL_cert_file"][0] != cert || row.Params.Get("listen") != "7" || row.Origin != line(1) {
			t.Errorf("%s has %v, %v", row, row.Params, row.Origin)
		}
	}
	rows[0].Params.Set("listen", "8")
	if rows[1].Params.Get("listen") != "7" || m.Get("listen") != "7" {
		t.Error("rows share a map")
	}
}

func TestGlobalUnixType(t *testing.T) {
	in := Input{
		Ports:    []Entry{{Text: "/a|unix"}, {Text: "/b|sock_stream|unix"}, {Text: "/c|unixdgram"}, {Text: "80/IPv4"}},
		UnixType: conf.Value{Text: "SOCK_DGRAM", Origin: line(1)},
	}
	rows, _, err := Resolve(t.Context(), in, fake{})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, row := range rows {
		kinds = append(kinds, row.Kind())
	}
	if want := []string{UnixDgram, Unix, UnixDgram, TCP}; !slices.Equal(kinds, want) {
		t.Errorf("got %v, want %v", kinds, want)
	}
	in.UnixType.Text = "SOCK_RAW"
	if _, _, err := Resolve(t.Context(), in, fake{}); err == nil || err.Error() != "Invalid type for UNIX socket (SOCK_RAW)... must be SOCK_STREAM or SOCK_DGRAM (server.conf:1)" {
		t.Errorf("got %v", err)
	}
}
