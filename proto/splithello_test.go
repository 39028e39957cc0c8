package proto

import (
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"

	"netserver/tlsparams"
)

// firsts notes what is written first.
type firsts struct {
	tap
	first []byte
}

func (f *firsts) Write(b []byte) (int, error) {
	if f.first == nil {
		f.first = append([]byte(nil), b...)
	}
	return f.tap.Write(b)
}

// A hello of any size is taken as before, and crypto/tls keeps no large buffers.
func TestLargeHello(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, protocols := range []int{0, 30, 60, 90, 130, 200, 300, 600, 900} {
			t.Run(fmt.Sprintf("%x/%d", version, protocols), func(t *testing.T) {
				cfg := &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, ServerName: "a.example"}
				for i := range protocols {
					cfg.NextProtos = append(cfg.NextProtos, fmt.Sprintf("protocol-%05d", i))
				}
				server, client := ends(t)
				out := &firsts{tap: tap{Conn: client}}
				srv, tc := greet(t, transport(t, tlsparams.Params{}), server, out, cfg)
				go io.WriteString(tc, "hello")
				b := make([]byte, 64)
				if n, err := srv.Read(b); string(b[:n]) != "hello" || err != nil {
					t.Fatalf("%q, %v", b[:n], err)
				}
				if name := srv.ConnectionState().ServerName; name != "a.example" {
					t.Errorf("server name %q; hello of %d bytes", name, len(out.first))
				}
			})
		}
	}
}

// A large hello becomes records of equal size; what follows it and what it says
// stay.
func TestSplitHello(t *testing.T) {
	for _, size := range []int{1, 634, 635, 636, 1270, 1271, 1500, 1799, 2540, 2541, 9000, 16384, 16385} {
		for _, follows := range []string{"", "\x14\x03\x03\x00\x01\x01"} {
			body := pattern(size)
			body[0] = 1
			in := append(append([]byte{22, 3, 1, byte(size >> 8), byte(size)}, body...), follows...)
			a := &ahead{}
			a.take()
			a.w = copy(*a.buf, in)
			a.splitHello()
			b := (*a.buf)[:a.w]
			var got []byte
			records := 0
			for ; len(b) > 5 && b[0] == 22; records++ {
				n := int(b[3])<<8 | int(b[4])
				if b[1] != 3 || b[2] != 1 || n == 0 || n > largestPiece && size <= 16384 {
					t.Fatalf("%d bytes: a record % x", size, b[:5])
				}
				got = append(got, b[5:5+n]...)
				b = b[5+n:]
			}
			if string(got) != string(body) || string(b) != follows {
				t.Errorf("%d bytes: other ones, or %q follows", size, b)
			}
			if want := size > largestPiece && size <= 16384; want != (records > 1) {
				t.Errorf("%d bytes: %d records", size, records)
			}
			a.release()
		}
	}
}

// What is no whole hello stays as it is.
func TestNoHelloToSplit(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for _, in := range []string{"", "\x16", "\x16\x03\x01\x05", "\x16\x03\x01\x05\xdc\x01" + long[:1000], "\x16\x03\x01\x05\xdc\x02" + long,
		"\x17\x03\x03\x05\xdc\x01" + long, "GET /" + long} {
		a := &ahead{}
		a.take()
		a.w = copy(*a.buf, in)
		a.splitHello()
		if got := string((*a.buf)[:a.w]); got != in {
			t.Errorf("%.10q has changed: %.10q", in, got)
		}
		a.release()
	}
}

// A hello that comes in parts is taken, too.
func TestHelloInParts(t *testing.T) {
	server, client := ends(t)
	slow := &parts{tap: tap{Conn: client}}
	greet(t, transport(t, tlsparams.Params{}), server, slow, &tls.Config{InsecureSkipVerify: true})
	if slow.n < 10 {
		t.Errorf("%d parts", slow.n)
	}
}

// parts sends what is written in small parts.
type parts struct {
	tap
	n int
}

func (p *parts) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		m := min(len(b), 100)
		_, err = p.tap.Write(b[:m])
		b, n = b[m:], n+m
		p.n++
	}
	return n, err
}
