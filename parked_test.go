package netserver_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
	"netserver/outcome"
)

// A parker is an echo that parks its clients.
type parker struct {
	serial bool
	stays  bool // and is not told of the drain
	ends   atomic.Int32
	busy   atomic.Int32 // in Serve now
	most   atomic.Int32
}

func (p *parker) Serial() any {
	if p.serial {
		return p
	}
	return nil
}

func (p *parker) Serve(_ context.Context, c *netserver.Conn) error {
	for n := p.busy.Add(1); n > p.most.Load(); {
		p.most.Store(n)
	}
	defer p.busy.Add(-1)
	if !p.stays {
		c.EndReadsOnDrain()
	}
	var b [4096]byte
	for {
		n, err := c.TryRead(b[:])
		if err != nil {
			p.ends.Add(1)
			if errors.Is(err, netserver.ErrDraining) {
				io.WriteString(c, "bye")
			}
			return err
		}
		if n == 0 {
			return c.Park(p)
		}
		if _, err := c.Write(b[:n]); err != nil {
			return err
		}
	}
}

var parkedKinds = []string{"tcp", "ssl", "unix"}

// dialPark connects to a port of the kind.
func dialPark(t testing.TB, r *netservertest.Running, kind string) net.Conn {
	t.Helper()
	if kind == "ssl" {
		return r.DialTLS(t, r.ClientTLS())
	}
	return r.DialRaw(t, kind)
}

// echoesTo sends a word and reads it back.
func echoesTo(t testing.TB, c net.Conn, word string) {
	t.Helper()
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, word); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(word))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != word {
		t.Fatalf("%q, %v", b, err)
	}
}

// advancing returns how many goroutines have a client.
func advancing() int {
	buf := make([]byte, 4<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "netserver.(*Conn).advance(")
}

// Parked clients have no goroutine, on Linux, and are served as others.
func TestPark(t *testing.T) {
	for _, kind := range parkedKinds {
		t.Run(kind, func(t *testing.T) {
			p := new(parker)
			s := &netserver.Server{Handler: p}
			r := netservertest.Start(t, s, kind)
			var list []net.Conn
			for range 50 {
				c := dialPark(t, r, kind)
				echoesTo(t, c, "hello")
				list = append(list, c)
			}
			if runtime.GOOS == "linux" {
				netservertest.Eventually(t, "no goroutine for a client", func() bool { return advancing() == 0 })
			}
			for i, c := range list {
				echoesTo(t, c, strings.Repeat("x", 1+i*500))
			}
			for _, c := range list {
				c.Close()
			}
			for _, rec := range r.Records(t, len(list)) {
				if rec.Outcome != outcome.Served || rec.In != rec.Out || rec.In < 6 {
					t.Errorf("%v: %d bytes in, %d out: %v", rec.Outcome, rec.In, rec.Out, rec.Err)
				}
			}
		})
	}
}

// What ends a client that reads ends one that is parked.
func TestParkedEnds(t *testing.T) {
	for _, kind := range parkedKinds {
		for _, tc := range []struct {
			name string
			set  func(*netserver.Config)
			do   func(*netserver.Server, net.Conn)
			want outcome.Class
		}{
			{"idle", func(c *netserver.Config) { c.Timeouts.Idle = 50 * time.Millisecond }, nil, outcome.Idle},
			{"life", func(c *netserver.Config) { c.Timeouts.Life = 3 * time.Second }, nil, outcome.MaxLife}, // it counts from before the handshake
			{"too slow", func(c *netserver.Config) {
				c.Limits.MinReadRate, c.Limits.MinRateWindow = 1000, 50*time.Millisecond
			}, nil, outcome.TooSlow},
			{"killed", nil, func(s *netserver.Server, _ net.Conn) {
				s.Monitor().Kill(s.Monitor().Clients(0, 1)[0].ID)
			}, outcome.Killed},
			{"closed", nil, func(s *netserver.Server, _ net.Conn) { s.Close() }, outcome.Cut},
			{"left", nil, func(_ *netserver.Server, c net.Conn) { c.Close() }, outcome.Served},
		} {
			t.Run(kind+"/"+tc.name, func(t *testing.T) {
				t.Parallel()
				p := &parker{stays: tc.want == outcome.Cut}
				s := &netserver.Server{Handler: p}
				if tc.set != nil {
					tc.set(&s.Config)
				}
				r := netservertest.Start(t, s, kind)
				c := dialPark(t, r, kind)
				if tc.set == nil {
					echoesTo(t, c, "hello")
				}
				if tc.do != nil {
					tc.do(s, c)
				}
				rec := r.Records(t, 1)[0]
				if rec.Outcome != tc.want || p.ends.Load() != 1 {
					t.Errorf("%v, want %v; the Handler saw %d ends: %v", rec.Outcome, tc.want, p.ends.Load(), rec.Err)
				}
			})
		}
	}
}

// A drain wakes those who asked for it, who say goodbye.
func TestParkedDrain(t *testing.T) {
	for _, kind := range parkedKinds {
		t.Run(kind, func(t *testing.T) {
			s := &netserver.Server{Handler: new(parker)}
			r := netservertest.Start(t, s, kind)
			c := dialPark(t, r, kind)
			echoesTo(t, c, "hello")
			r.Stop(t)
			b, err := io.ReadAll(c)
			if string(b) != "bye" || err != nil {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

// Clients of a Serial go on one at a time, and all of many that wake at once.
func TestParkedStorm(t *testing.T) {
	for _, serial := range []bool{false, true} {
		p := &parker{serial: serial}
		r := netservertest.Start(t, &netserver.Server{Handler: p}, "tcp")
		var list []net.Conn
		for range 500 {
			c := dialPark(t, r, "tcp")
			echoesTo(t, c, "hello")
			list = append(list, c)
		}
		netservertest.Eventually(t, "all are parked", func() bool { return p.busy.Load() == 0 })
		p.most.Store(0)
		var all sync.WaitGroup
		for _, c := range list {
			all.Go(func() { c.Write(bytes.Repeat([]byte("x"), 1000)) })
		}
		all.Wait()
		for _, c := range list {
			c.SetDeadline(time.Now().Add(time.Minute)) // that of the first word may be over
			if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
		}
		switch n := p.most.Load(); {
		case serial && n != 1:
			t.Errorf("%d at the same time", n)
		case runtime.GOOS == "linux" && n > 100: // a few, and others for those that a busy machine lets wait
			t.Errorf("%d goroutines for 500 that wake", n)
		}
	}
}

// A tap passes what is written on when it is told to.
type tap struct {
	net.Conn
	held []byte
	hold bool
}

func (t *tap) Write(b []byte) (int, error) {
	if t.hold {
		t.held = append(t.held, b...)
		return len(b), nil
	}
	return t.Conn.Write(b)
}

// A client whose TLS record comes byte by byte has a goroutine only while it is
// looked at, and others are served.
func TestParkedHalfRecord(t *testing.T) {
	p := &parker{serial: true}
	r := netservertest.Start(t, &netserver.Server{Handler: p}, "ssl")
	half := &tap{Conn: r.DialRaw(t, "ssl")}
	c := tls.Client(half, r.ClientTLS())
	echoesTo(t, c, "hello")
	half.hold = true
	io.WriteString(c, "in parts")
	other := dialPark(t, r, "ssl")
	for _, b := range half.held {
		half.Conn.Write([]byte{b})
		echoesTo(t, other, "between")
	}
	b := make([]byte, 8)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "in parts" {
		t.Errorf("%q, %v", b, err)
	}
}
