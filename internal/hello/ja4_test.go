package hello_test

import (
	"crypto/tls"
	"encoding/hex"
	"net"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"netserver/internal/hello"
)

// A said is a ClientHello to be made: extensions in order, those that count in a
// way of their own among them.
type said struct {
	version    uint16
	suites     []uint16
	extensions []uint16
	versions   []uint16
	signatures []uint16
	alpn       []string
}

// records makes the bytes, in one record.
func (h said) records() []byte {
	var b cryptobyte.Builder
	u16s := func(b *cryptobyte.Builder, list []uint16) {
		for _, n := range list {
			b.AddUint16(n)
		}
	}
	b.AddBytes([]byte{22, 3, 1})
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint8(1)
		b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
			b.AddUint16(h.version)
			b.AddBytes(make([]byte, 32))
			b.AddUint8(0)
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { u16s(b, h.suites) })
			b.AddBytes([]byte{1, 0})
			if h.extensions == nil {
				return
			}
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
				for _, id := range h.extensions {
					b.AddUint16(id)
					b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
						switch id {
						case 13:
							b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { u16s(b, h.signatures) })
						case 16:
							b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
								for _, p := range h.alpn {
									b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(p)) })
								}
							})
						case 43:
							b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { u16s(b, h.versions) })
						}
					})
				}
			})
		})
	})
	return b.BytesOrPanic()
}

// chrome is the client of the published description's example.
func chrome() said {
	return said{
		version:    0x0303,
		suites:     []uint16{0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035},
		extensions: []uint16{0x2a2a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015},
		versions:   []uint16{0x3a3a, 0x0304, 0x0303},
		signatures: []uint16{0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601},
		alpn:       []string{"h2", "http/1.1"},
	}
}

func TestFingerprint(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(h *said)
	}{
		{"the published example", "t13d1516h2_8daaf6152771_e5627efa2ab1", func(h *said) {}},
		{"with ECH in place of padding", "t13d1516h2_8daaf6152771_02713d6af862", func(h *said) { h.extensions[len(h.extensions)-1] = 0xfe0d }},
		{"in another order", "t13d1516h2_8daaf6152771_e5627efa2ab1", func(h *said) {
			for i, j := 0, len(h.extensions)-1; i < j; i, j = i+1, j-1 {
				h.extensions[i], h.extensions[j] = h.extensions[j], h.extensions[i]
			}
		}},
		{"without a name", "t13i1515h2_8daaf6152771_e5627efa2ab1", func(h *said) { h.extensions = append(h.extensions[:2:2], h.extensions[3:]...) }},
		{"a protocol that is no text", "t13d1516ab_8daaf6152771_e5627efa2ab1", func(h *said) { h.alpn = []string{"\xa0x\x0b"} }},
		{"one letter", "t13d1516zz_8daaf6152771_e5627efa2ab1", func(h *said) { h.alpn = []string{"z"} }},
		{"the version of the hello itself", "t12d0103h2_", func(h *said) {
			h.suites, h.extensions = h.suites[:2], []uint16{0, 16, 13}
		}},
		{"SSL 3", "ts3i010000_", func(h *said) { h.version, h.suites, h.extensions = 0x0300, h.suites[5:6], nil }},
		{"no suites, no extensions", "t12i000000_000000000000_000000000000", func(h *said) { h.suites, h.extensions = nil, nil }},
	} {
		h := chrome()
		c.change(&h)
		got := hello.Fingerprint(h.records()).String()
		if len(got) != 36 || got[:min(len(c.want), len(got))] != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// A hello that is not whole, or is none, has no fingerprint.
func TestNoFingerprint(t *testing.T) {
	whole := chrome().records()
	for n := range whole {
		if got := hello.Fingerprint(whole[:n]); got != (hello.JA4{}) || got.String() != "" {
			t.Fatalf("of %d bytes: %s", n, got)
		}
	}
	if got := hello.Fingerprint([]byte("GET / HTTP/1.0\r\n\r\n")); got != (hello.JA4{}) {
		t.Error(got)
	}
}

// What crypto/tls sends has one, in one record or in two.
func TestFingerprintOfGo(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	near.SetDeadline(time.Now().Add(time.Minute))
	go tls.Client(far, &tls.Config{ServerName: "x.example", NextProtos: []string{"h2"}}).Handshake()
	b := make([]byte, 20<<10)
	n, err := near.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	got := hello.Fingerprint(b[:n]).String()
	if len(got) != 36 || got[:4] != "t13d" || got[8:10] != "h2" {
		t.Errorf("%q of %s", got, hex.EncodeToString(b[:n]))
	}
	body := b[5:n]
	two := append([]byte{22, 3, 1, 0, 9}, body[:9]...)
	two = append(append(two, 22, 3, 1, byte(len(body[9:])>>8), byte(len(body[9:]))), body[9:]...)
	if again := hello.Fingerprint(two).String(); again != got {
		t.Errorf("in two records %q, in one %q", again, got)
	}
}

func FuzzFingerprint(f *testing.F) {
	f.Add(chrome().records())
	f.Fuzz(func(t *testing.T, b []byte) {
		s := hello.Fingerprint(b).String()
		for _, c := range []byte(s) {
			if c <= ' ' || c > '~' {
				t.Fatalf("%q", s)
			}
		}
		if len(s) != 0 && len(s) != 36 {
			t.Fatalf("%q", s)
		}
	})
}

func BenchmarkFingerprint(b *testing.B) {
	records := chrome().records()
	b.ReportAllocs()
	for b.Loop() {
		hello.Fingerprint(records)
	}
}
