package route_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"netserver"
	"netserver/handler/route"
	"netserver/netservertest"
	"netserver/outcome"
)

// helloOf returns the record that a TLS client of a name begins with, of some
// bytes more than it needs.
func helloOf(t *testing.T, name string, more int) []byte {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	var protocols []string
	for n := 0; n < more; n += 201 {
		protocols = append(protocols, string(bytes.Repeat([]byte{'x'}, 200)))
	}
	go tls.Client(a, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: protocols}).Handshake()
	head := make([]byte, 5)
	if _, err := io.ReadFull(b, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(b, body); err != nil {
		t.Fatal(err)
	}
	return append(head, body...)
}

// split makes a record of each byte of a hello, with between after the first.
func split(hello, between []byte) (out []byte) {
	for i, b := range hello[5:] {
		out = append(out, hello[0], hello[1], hello[2], 0, 1, b)
		if i == 0 {
			out = append(out, between...)
		}
	}
	return out
}

// A hello that cannot be read, or is not whole in time, is a failure of its own:
// its client takes neither the route for who sends no hello nor the default.
func TestHellosThatCannotBeRead(t *testing.T) {
	t.Parallel()
	h := routes(on("sni", must(route.SNI("a.example"))), on("tls", must(route.Begins("tls"))))
	h.Default, h.Wait = say("default"), 2*time.Second
	passing := routes(route.Route{Name: "pass", When: []route.Condition{must(route.SNI("a.example"))}, PassThrough: true, Handler: say("pass")}, on("rest"))
	passing.Default = say("default")

	short, long := helloOf(t, "a.example", 0), helloOf(t, "a.example", 5000)
	warning := []byte{21, 3, 1, 0, 2, 1, 90} // an alert that TLS reads over
	named := bytes.Replace(short, []byte("a.example"), []byte("a example"), 1)
	for _, c := range []struct {
		name  string
		sends []byte
		end   bool
		plain outcome.Class
		tls   outcome.Class
	}{
		{"in one-byte records", split(long, nil), false, outcome.BadHello, outcome.BadHello},
		{"an alert in it", split(short, warning), false, outcome.BadHello, outcome.BadHello},
		{"an empty record in it", split(short, []byte{22, 3, 1, 0, 0}), false, outcome.BadHello, outcome.BadHello},
		{"no name", named, false, outcome.BadHello, outcome.BadHello},
		{"too late", short[:len(short)-1], false, outcome.Hello, 0},
		{"a byte", short[:1], false, outcome.Hello, 0},
		{"ended", short[:len(short)-1], true, outcome.BadHello, outcome.Reset},
	} {
		for _, port := range []string{"tcp", "ssl"} {
			want, handler := c.plain, h
			if port == "ssl" {
				want, handler = c.tls, passing
			}
			if want == 0 {
				continue // which the port's own time limit ends
			}
			t.Run(port+" "+c.name, func(t *testing.T) {
				t.Parallel()
				r := netservertest.Start(t, &netserver.Server{Handler: handler}, port)
				nc := r.DialRaw(t, port)
				go func() {
					nc.Write(c.sends)
					if c.end {
						nc.(*net.TCPConn).CloseWrite()
					}
				}()
				got, _ := io.ReadAll(nc)
				if rec := r.Records(t, 1)[0]; rec.Outcome != want || bytes.ContainsAny(got, "dlsp\n") {
					t.Errorf("%v (%v) and %q, want %v", rec.Outcome, rec.Err, got, want)
				}
			})
		}
	}
}
