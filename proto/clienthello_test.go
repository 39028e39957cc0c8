package proto_test

import (
	"bytes"
	"crypto/tls"
	"net"
	"reflect"
	"strings"
	"testing"

	"netserver/internal/hello"
	"netserver/proto"
)

// helloOf returns what a client of crypto/tls sends first.
func helloOf(t testing.TB, cfg *tls.Config) []byte {
	t.Helper()
	a, b := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		tls.Client(a, cfg).Handshake()
	}()
	defer func() { b.Close(); <-done }()
	var got []byte
	for buf := make([]byte, 4096); ; {
		n, err := b.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			t.Fatal(err)
		}
		if m, need := hello.Message(got); m != nil && need == 0 {
			return got
		}
	}
}

func TestParseClientHello(t *testing.T) {
	records := helloOf(t, &tls.Config{ServerName: "A.Example", NextProtos: []string{"h2", "x"}})
	want := &proto.ClientHello{ServerName: "a.example", ALPN: []string{"h2", "x"}, Versions: []uint16{tls.VersionTLS13, tls.VersionTLS12}}
	got, err := proto.ParseClientHello(records)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := proto.ParseClientHello(append(records[:len(records):len(records)], 1, 2, 3)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("with more behind it: %+v, %v", got, err)
	}
	for n := range records {
		if h, err := proto.ParseClientHello(records[:n]); err == nil {
			t.Fatalf("%d of %d bytes: %+v", n, len(records), h)
		}
	}
	old := helloOf(t, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	if got, err := proto.ParseClientHello(old); err != nil || got.ServerName != "" || got.ALPN != nil || got.Versions[0] != tls.VersionTLS12 {
		t.Errorf("%+v, %v", got, err)
	}
}

// extensions makes a hello of extensions.
func withExtensions(ext ...[]byte) []byte {
	all := bytes.Join(ext, nil)
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(body, 0, 0, 2, 0x13, 1, 1, 0)
	body = append(body, byte(len(all)>>8), byte(len(all)))
	body = append(body, all...)
	message := append([]byte{1, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
	return append([]byte{22, 3, 1, byte(len(message) >> 8), byte(len(message))}, message...)
}

func ext(id uint16, data ...byte) []byte {
	return append([]byte{byte(id >> 8), byte(id), byte(len(data) >> 8), byte(len(data))}, data...)
}

func sni(name string) []byte {
	n := len(name)
	return ext(0, append([]byte{byte((n + 3) >> 8), byte(n + 3), 0, byte(n >> 8), byte(n)}, name...)...)
}

// many is n unknown extensions, and others after them.
func many(n int, others ...[]byte) (list [][]byte) {
	for i := range n {
		list = append(list, ext(0x3000+uint16(i)))
	}
	return append(list, others...)
}

func TestClientHelloExtensions(t *testing.T) {
	for _, c := range []struct {
		name string
		ext  [][]byte
		want string // "" is an error
	}{
		{"GREASE and an unknown one", [][]byte{ext(0x0a0a), ext(0x1234, 1, 2), sni("a.b"), ext(0x0a0a + 0x1010)}, "a.b"},
		{"trailing dot", [][]byte{sni("a.b.")}, "a.b"},
		{"no extension", nil, "-"},
		{"encrypted", [][]byte{sni("outer.example"), ext(0xfe0d, 0, 1)}, "outer.example encrypted"},
		{"GREASE version", [][]byte{ext(43, 4, 0x3a, 0x3a, 3, 4), sni("v")}, "v"},
		{"twice", [][]byte{sni("a"), sni("b")}, ""},
		{"many", many(100, sni("a")), "a"},
		{"twice, the first of many", many(100, sni("a"), ext(0x3000)), ""},
		{"twice, the last of many", many(100, sni("a"), ext(0x3063)), ""},
		{"empty name", [][]byte{sni("")}, ""},
		{"long name", [][]byte{sni(strings.Repeat("a", 256))}, ""},
		{"control character", [][]byte{sni("a\nb")}, ""},
		{"blank", [][]byte{sni("a b")}, ""},
		{"not ASCII", [][]byte{sni("ä")}, ""},
		{"two names", [][]byte{ext(0, 0, 8, 0, 0, 1, 'a', 0, 0, 1, 'b')}, ""},
		{"other kind of name", [][]byte{ext(0, 0, 4, 1, 0, 1, 'a')}, ""},
		{"short list", [][]byte{ext(0, 0, 9, 0, 0, 1, 'a')}, ""},
		{"empty ALPN", [][]byte{ext(16, 0, 0)}, ""},
		{"empty protocol", [][]byte{ext(16, 0, 1, 0)}, ""},
		{"odd versions", [][]byte{ext(43, 1, 3)}, ""},
		{"no versions", [][]byte{ext(43, 0)}, ""},
	} {
		h, err := proto.ParseClientHello(withExtensions(c.ext...))
		got := ""
		if err == nil {
			got = h.ServerName
			if got == "" {
				got = "-"
			}
			if h.Encrypted {
				got += " encrypted"
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
		if err == nil && c.name == "GREASE version" && !reflect.DeepEqual(h.Versions, []uint16{tls.VersionTLS13}) {
			t.Errorf("%s: %x", c.name, h.Versions)
		}
	}
}

// What we read must be what crypto/tls reads of the same bytes.
func FuzzParseClientHello(f *testing.F) {
	f.Add(helloOf(f, &tls.Config{ServerName: "a.example", NextProtos: []string{"h2"}}))
	f.Add(withExtensions(sni("a.b"), ext(0xfe0d, 1)))
	f.Add([]byte{22, 3, 1, 0, 1, 1, 22, 3, 1, 0, 3, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := proto.ParseClientHello(b)
		if err != nil {
			return
		}
		if m, need := hello.Message(b); m == nil || need != 0 || len(m) > hello.Longest {
			t.Fatalf("read a hello of %d bytes with %d missing", len(m), need)
		}
		if strings.ContainsFunc(h.ServerName, func(r rune) bool { return r <= ' ' || r >= 0x7f || 'A' <= r && r <= 'Z' }) {
			t.Fatalf("name %q", h.ServerName)
		}
		theirs := seenByCryptoTLS(b)
		if theirs != nil && theirs.ServerName != "" && !strings.EqualFold(theirs.ServerName, h.ServerName) {
			t.Fatalf("we read %q, crypto/tls %q", h.ServerName, theirs.ServerName)
		}
	})
}

// onlyReads is a connection that has some bytes to read.
type onlyReads struct {
	net.Conn
	r *bytes.Reader
}

func (o onlyReads) Read(b []byte) (int, error)  { return o.r.Read(b) }
func (o onlyReads) Write(b []byte) (int, error) { return len(b), nil }
func (o onlyReads) RemoteAddr() net.Addr        { return nil }

func seenByCryptoTLS(b []byte) (seen *tls.ClientHelloInfo) {
	cfg := &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		seen = h
		return nil, net.ErrClosed
	}}
	tls.Server(onlyReads{r: bytes.NewReader(b)}, cfg).Handshake()
	return seen
}
