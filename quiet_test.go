package netserver_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"netserver"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/port"
)

func resetIt(t *testing.T, nc net.Conn) {
	if err := nc.(*net.TCPConn).SetLinger(0); err != nil {
		t.Error(err)
	}
}

func shakeIt(t *testing.T, nc net.Conn) {
	c := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Error(err)
	}
}

func sends(text string) func(*testing.T, net.Conn) {
	return func(t *testing.T, nc net.Conn) { io.WriteString(nc, text) }
}

func all(list ...func(*testing.T, net.Conn)) func(*testing.T, net.Conn) {
	return func(t *testing.T, nc net.Conn) {
		for _, f := range list {
			f(t, nc)
		}
	}
}

// greets sends so many bytes and reads to the end.
func greets(n int) netserver.Handler {
	return netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		if _, err := c.Write(make([]byte, n)); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, c)
		return err
	})
}

func readsAll(t *testing.T, nc net.Conn) { io.Copy(io.Discard, nc) }

func gets(n int) func(*testing.T, net.Conn) {
	return func(t *testing.T, nc net.Conn) {
		if _, err := io.ReadFull(nc, make([]byte, n)); err != nil {
			t.Error(err)
		}
	}
}

// A quietCase is a client and what becomes of it.
type quietCase struct {
	name  string
	proto string
	mode  netserver.ProxyMode
	greet int
	do    func(*testing.T, net.Conn)
	want  outcome.Class
	quiet bool
}

var quietLocal = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"

var quietCases = []quietCase{
	{name: "closes", proto: "tcp", want: outcome.Probe, quiet: true},
	{name: "resets", proto: "tcp", do: resetIt, want: outcome.Probe, quiet: true},
	{name: "greeted", proto: "tcp", greet: 40, do: gets(40), want: outcome.Probe, quiet: true},
	{name: "greeted, resets", proto: "tcp", greet: 40, do: all(gets(40), resetIt), want: outcome.Probe, quiet: true},
	{name: "takes much", proto: "tcp", greet: 600, do: gets(600), want: outcome.Served},
	{name: "sends a byte", proto: "tcp", do: sends("x"), want: outcome.Served},
	{name: "TLS, closes", proto: "ssl", want: outcome.Probe, quiet: true},
	{name: "TLS, resets", proto: "ssl", do: resetIt, want: outcome.Probe, quiet: true},
	{name: "TLS, shakes hands", proto: "ssl", do: shakeIt, want: outcome.Probe, quiet: true},
	{name: "TLS, shakes hands, resets", proto: "ssl", do: all(shakeIt, resetIt), want: outcome.Probe, quiet: true},
	{name: "no TLS", proto: "ssl", do: all(sends("GET / HTTP/1.0\r\n\r\n"), readsAll), want: outcome.NotTLS},
	{name: "header, LOCAL", proto: "tcp", mode: netserver.ProxyRequire, do: sends(quietLocal), want: outcome.Probe, quiet: true},
	{name: "header, UNKNOWN", proto: "ssl", mode: netserver.ProxyRequire, do: sends("PROXY UNKNOWN\r\n"), want: outcome.Probe, quiet: true},
	{name: "header, LOCAL, TLS", proto: "ssl", mode: netserver.ProxyRequire, do: all(sends(quietLocal), shakeIt, resetIt), want: outcome.Probe, quiet: true},
	{name: "no header", proto: "ssl", mode: netserver.ProxyRequire, want: outcome.Probe, quiet: true},
	{name: "no header, resets", proto: "ssl", mode: netserver.ProxyRequire, do: resetIt, want: outcome.Probe, quiet: true},
	{name: "may have one, resets", proto: "ssl", mode: netserver.ProxyAccept, do: resetIt, want: outcome.Probe, quiet: true},
	{name: "part of a header", proto: "ssl", mode: netserver.ProxyRequire, do: sends("PROXY "), want: outcome.Header},
	{name: "header of another", proto: "tcp", mode: netserver.ProxyRequire, do: sends(proxyV1), want: outcome.Probe},
	{name: "header of another, TLS", proto: "ssl", mode: netserver.ProxyRequire, do: all(sends(proxyV1), shakeIt), want: outcome.Served},
}

// Health checks from the networks of QuietFrom are probes, whatever way they
// leave, and are neither in the log nor for any other; all else from there is.
func TestQuietFrom(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a hello cannot be looked at here")
	}
	for _, noQueue := range []bool{false, true} {
		for _, c := range quietCases {
			t.Run(fmt.Sprintf("%s/none=%t", c.name, noQueue), func(t *testing.T) {
				s := &netserver.Server{Handler: greets(c.greet)}
				s.Config.QuietFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				s.Config.Admission.NoQueue = noQueue
				if c.mode != netserver.ProxyOff {
					s.Config.Proxy = proxyFrom(c.mode, "127.0.0.1")
				}
				testQuiet(t, s, c)
			})
		}
	}
}

func testQuiet(t *testing.T, s *netserver.Server, c quietCase) {
	var log bytes.Buffer
	s.Log = slog.New(slog.NewTextHandler(&log, nil)) // from INFO on
	r := netservertest.Start(t, s, c.proto)
	nc := r.DialRaw(t, c.proto)
	r.Accepted(t, 1)
	if c.do != nil {
		c.do(t, nc)
	}
	nc.Close()
	rec := r.Records(t, 1)[0]
	left := c.want == outcome.Served && rec.Outcome == outcome.Left // who closes before it has read all resets
	if rec.Outcome != c.want && !left || rec.Quiet != c.quiet {
		t.Errorf("%v, quiet %t (%v), want %v, %t", rec.Outcome, rec.Quiet, rec.Err, c.want, c.quiet)
	}
	r.Stop(t)
	logged := strings.Contains(log.String(), "stage=")
	if want := c.want != outcome.Probe; logged != want {
		t.Errorf("in the log: %t, want %t:\n%s", logged, want, log.String())
	}
}

// Without the key, and from another network, each ends as what it is.
func TestQuietFromElsewhere(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a hello cannot be looked at here")
	}
	for _, c := range []quietCase{
		{name: "TLS, resets", proto: "ssl", do: resetIt, want: outcome.Reset},
		{name: "TLS, shakes hands", proto: "ssl", do: shakeIt, want: outcome.Served},
		{name: "no header", proto: "ssl", mode: netserver.ProxyRequire, want: outcome.Header},
		{name: "no header, resets", proto: "ssl", mode: netserver.ProxyRequire, do: resetIt, want: outcome.Header},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &netserver.Server{Handler: greets(0)}
			s.Config.QuietFrom = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
			if c.mode != netserver.ProxyOff {
				s.Config.Proxy = proxyFrom(c.mode, "127.0.0.1")
			}
			testQuiet(t, s, c)
		})
	}
}

// A client that has left before it is accepted never becomes one, and is counted
// all the same.
func TestQuietFromBeforeAccept(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("where an end may be told by accept")
	}
	for _, c := range []struct {
		from  string
		reset bool
		want  outcome.Class
		quiet bool
	}{
		{"127.0.0.1/32", false, outcome.Probe, true},
		{"127.0.0.1/32", true, outcome.Probe, true},
		{"192.0.2.0/24", false, outcome.Probe, false},
		{"192.0.2.0/24", true, outcome.Reset, false},
	} {
		pair := netservertest.CA(t).Issue(t, netservertest.Leaf{})
		var log bytes.Buffer
		recs := make(chan netserver.Record, 1)
		s := &netserver.Server{Handler: greets(0), Log: slog.New(slog.NewTextHandler(&log, nil))}
		s.Config.QuietFrom = []netip.Prefix{netip.MustParsePrefix(c.from)}
		s.Config.Admission.DeferAccept = -1
		s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "ssl", IPv: "4"}}
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair.TLS}}
		s.Hooks.Logged = func(_ *netserver.Conn, r *netserver.Record) { recs <- *r }
		ls, err := s.Listen(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		nc, err := net.Dial("tcp", ls[0].Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if c.reset {
			resetIt(t, nc)
		}
		nc.Close()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, ls...) }()
		r := <-recs
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if r.Outcome != c.want || r.Quiet != c.quiet {
			t.Errorf("%s, reset %t: %v, quiet %t", c.from, c.reset, r.Outcome, r.Quiet)
		}
		if logged := strings.Contains(log.String(), "stage="); logged != (c.want != outcome.Probe) {
			t.Errorf("%s, reset %t: in the log %t:\n%s", c.from, c.reset, logged, log.String())
		}
	}
}
