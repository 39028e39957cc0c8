package netserver_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/port"
	"netserver/tlsparams"
)

// A parked client that resets its connection ends at once.
func TestParkedReset(t *testing.T) {
	for _, kind := range []string{"tcp", "ssl"} {
		p := new(parker)
		r := netservertest.Start(t, &netserver.Server{Handler: p}, kind)
		c := dialPark(t, r, kind)
		echoesTo(t, c, "hello")
		raw := c
		if tc, ok := c.(*tls.Conn); ok {
			raw = tc.NetConn()
		}
		raw.(*net.TCPConn).SetLinger(0)
		raw.Close()
		rec := r.Records(t, 1)[0]
		if rec.In != 5 || p.ends.Load() != 1 {
			t.Errorf("%s: %v, %d bytes in, %d ends: %v", kind, rec.Outcome, rec.In, p.ends.Load(), rec.Err)
		}
	}
}

// Where there is no poller clients that park are served as well, with a
// goroutine for each.
func TestParkedUnpolled(t *testing.T) {
	for _, kind := range parkedKinds {
		for _, serial := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/serial=%v", kind, serial), func(t *testing.T) {
				t.Parallel()
				var mu sync.Mutex
				var recs []netserver.Record
				s := &netserver.Server{Handler: &parker{serial: serial}, Log: slog.New(slog.DiscardHandler)}
				s.Hooks.Closed = func(_ *netserver.Conn, r netserver.Record) {
					mu.Lock()
					recs = append(recs, r)
					mu.Unlock()
				}
				s.Config.TLS.CertFile = tlsparams.ForceSelfSigned
				s.Config.Timeouts.Idle = 3 * time.Second
				spec := port.Spec{Host: "127.0.0.1", Port: "0", Proto: kind, IPv: "4"}
				if kind == "unix" {
					spec = port.Spec{Host: "*", Port: filepath.Join(t.TempDir(), "s"), Proto: "unix", IPv: "*"}
				}
				s.Config.Ports = []port.Spec{spec}
				ctx, stop := context.WithCancel(t.Context())
				ls, err := s.Listen(ctx)
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan error, 1)
				go func() { done <- s.ServeUnpolled(ctx, ls...) }()
				dial := func() net.Conn {
					c, err := net.Dial(ls[0].Addr().Network(), ls[0].Addr().String())
					if err != nil {
						t.Fatal(err)
					}
					if kind == "ssl" {
						c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
					}
					t.Cleanup(func() { c.Close() })
					return c
				}
				leaves, stays, idle := dial(), dial(), dial()
				for i := range 20 {
					for _, c := range []net.Conn{leaves, stays, idle} {
						echoesTo(t, c, strings.Repeat("x", 1+i*1000))
					}
				}
				leaves.Close()
				idle.SetDeadline(time.Now().Add(time.Minute))
				end := make(chan error, 1)
				go func() { _, err := io.ReadAll(idle); end <- err }()
				for waits := true; waits; {
					select {
					case <-end:
						waits = false
					case <-time.After(s.Config.Timeouts.Idle / 20):
						echoesTo(t, stays, "here")
					}
				}
				ended := func(n int) func() bool {
					return func() bool { mu.Lock(); defer mu.Unlock(); return len(recs) == n }
				}
				netservertest.Eventually(t, "the records of the two that are gone", ended(2))
				stop()
				stays.SetDeadline(time.Now().Add(time.Minute))
				if b, err := io.ReadAll(stays); string(b) != "bye" || err != nil {
					t.Errorf("at the drain: %q, %v", b, err)
				}
				if err := <-done; err != nil {
					t.Error(err)
				}
				var got []outcome.Class
				for _, r := range recs {
					got = append(got, r.Outcome)
				}
				if want := []outcome.Class{outcome.Served, outcome.Idle, outcome.Served}; !slices.Equal(got, want) {
					t.Errorf("ended as %v, want %v", got, want)
				}
			})
		}
	}
}

// Clients of a port with an optional PROXY header park, with a header and
// without one.
func TestParkedOptionalHeader(t *testing.T) {
	for _, kind := range []string{"tcp", "ssl"} {
		for _, header := range []string{"", proxyV1} {
			s := &netserver.Server{Handler: new(parker)}
			s.Config.Proxy = proxyFrom(netserver.ProxyAccept, "127.0.0.1", "::1")
			r := netservertest.Start(t, s, kind)
			c := r.DialRaw(t, kind)
			io.WriteString(c, header)
			if kind == "ssl" {
				c = tls.Client(c, r.ClientTLS())
			}
			for i := range 10 {
				echoesTo(t, c, strings.Repeat("x", 1+i*2000))
			}
			c.Close()
			if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.Served || rec.In != rec.Out {
				t.Errorf("%s: %v, %d bytes in, %d out: %v", kind, rec.Outcome, rec.In, rec.Out, rec.Err)
			}
		}
	}
}

// A Handler around one that parks may wrap its error. One that swallows it, or
// panics, ends the client.
func TestParkWrapped(t *testing.T) {
	for _, tc := range []struct {
		name string
		wrap func(error) error
		want outcome.Class
		goes bool
	}{
		{"wrapped", func(err error) error { return fmt.Errorf("around: %w", err) }, outcome.Served, true},
		{"swallowed", func(error) error { return nil }, outcome.Served, false},
		{"another", func(error) error { return errors.New("another") }, outcome.HandlerError, false},
		{"panic", func(error) error { panic("by request") }, outcome.Panic, false},
	} {
		for _, kind := range parkedKinds {
			t.Run(tc.name+"/"+kind, func(t *testing.T) {
				p := new(parker)
				around := netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
					defer c.Wake()
					err := p.Serve(ctx, c)
					if err == io.EOF {
						return err // it has not been parked
					}
					return tc.wrap(err)
				})
				r := netservertest.Start(t, &netserver.Server{Handler: around}, kind)
				c := dialPark(t, r, kind)
				if tc.goes {
					echoesTo(t, c, "hello")
					c.Close()
				}
				if rec := r.Records(t, 1)[0]; rec.Outcome != tc.want {
					t.Errorf("%v: %v", rec.Outcome, rec.Err)
				}
			})
		}
	}
}
