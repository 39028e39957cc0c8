package netserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/port"
	"netserver/proto"
)

// The ways in which a Handler reads.
var readers = map[string]netserver.HandlerFunc{
	"Read": func(_ context.Context, c *netserver.Conn) error {
		for b := make([]byte, 100); ; {
			if _, err := c.Read(b); err != nil {
				return err
			}
		}
	},
	"ReadLine": func(_ context.Context, c *netserver.Conn) error { _, err := c.ReadLine(); return err },
	"Peek":     func(_ context.Context, c *netserver.Conn) error { _, err := c.Peek(1000); return err },
	"WriteTo":  func(_ context.Context, c *netserver.Conn) error { _, err := c.WriteTo(io.Discard); return err },
	"copyEcho": copyEcho,
}

// overTLS makes l a TLS listener with a certificate made in memory.
func overTLS(t *testing.T) func(net.Listener) net.Listener {
	t.Helper()
	spec := port.Spec{Host: "127.0.0.1", Port: "1", Proto: "ssl", IPv: "4"}
	tr, err := proto.TLS{Loopback: true}.Protocol(spec)
	if err != nil {
		t.Fatal(err)
	}
	return func(l net.Listener) net.Listener { return netserver.NewListener(l, spec, quiet{tr}) }
}

// A quiet Transport follows no files, which synctest's clock would wait for.
type quiet struct{ t proto.Transport }

func (q quiet) Network() string { return q.t.Network() }
func (q quiet) Ready(ctx context.Context, nc net.Conn) (net.Conn, error) {
	return q.t.Ready(ctx, nc)
}

// A byte a second is a steady client, but not one that may stay.
func TestByteASecondIsTooSlow(t *testing.T) {
	for name, h := range readers {
		t.Run(name, func(t *testing.T) {
			s := &netserver.Server{Handler: h}
			s.Config.Limits.MinReadRate = 100
			recs := served(t, s, nil, func(t *testing.T, l *pipeListener) { dripForever(l.dial()) })
			r := oneRecord(t, recs)
			wantErr(t, r, netserver.StageHandler, netserver.ErrTooSlow, 10*time.Second)
			if r.Outcome != outcome.TooSlow {
				t.Errorf("outcome: %v", r.Outcome)
			}
		})
	}
}

// dripForever sends a byte a second until it is cut, and takes what comes.
func dripForever(c net.Conn) {
	taken := make(chan struct{})
	go func() { defer close(taken); io.Copy(io.Discard, c) }()
	for {
		if _, err := c.Write([]byte("x")); err != nil {
			break
		}
		time.Sleep(time.Second)
	}
	<-taken
	c.Close()
}

// The window is counted anew when it is over, and a fast beginning does not
// pay for the rest.
func TestTooSlowLater(t *testing.T) {
	s := &netserver.Server{Handler: readers["Read"]}
	s.Config.Limits.MinReadRate, s.Config.Limits.MinRateWindow = 100, 5*time.Second
	recs := served(t, s, nil, func(t *testing.T, l *pipeListener) {
		c := l.dial()
		for range 120 { // 200 a second
			c.Write(make([]byte, 20))
			time.Sleep(100 * time.Millisecond)
		}
		dripForever(c)
	})
	r := oneRecord(t, recs)
	if !errors.Is(r.Err, netserver.ErrTooSlow) || r.Time < 15*time.Second || r.Time > 21*time.Second {
		t.Errorf("after %v: %v", r.Time, r.Err)
	}
}

// Only time in which the server waits for the client is the client's.
func TestBusyHandlerChargesNobody(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		for range 20 {
			time.Sleep(time.Minute)
			if _, err := c.ReadLine(); err != nil {
				return err
			}
			time.Sleep(time.Minute)
			if _, err := io.WriteString(c, "answer\n"); err != nil {
				return err
			}
		}
		return nil
	})}
	s.Config.Limits.MinReadRate, s.Config.Limits.MinWriteRate, s.Config.Timeouts.Write = 100, 100, time.Hour
	recs := served(t, s, nil, func(t *testing.T, l *pipeListener) {
		c := l.dial()
		defer c.Close()
		r := bufio.NewReader(c)
		for i := range 20 {
			io.WriteString(c, "question\n")
			if got, err := r.ReadString('\n'); got != "answer\n" {
				t.Fatalf("%d: %q, %v", i, got, err)
			}
		}
	})
	if r := oneRecord(t, recs); r.Err != nil {
		t.Error(r.Err)
	}
}

// Who takes an answer is not asked for the next request meanwhile.
func TestTakingCountsWhileARead(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		done := make(chan error, 1)
		go func() { done <- readers["Read"](nil, c) }()
		for range 60 {
			c.Write(make([]byte, 200))
			time.Sleep(time.Second)
		}
		return <-done
	})}
	s.Config.Limits.MinReadRate = 100
	recs := served(t, s, nil, func(t *testing.T, l *pipeListener) { io.Copy(io.Discard, l.dial()) })
	r := oneRecord(t, recs)
	if !errors.Is(r.Err, netserver.ErrTooSlow) || r.Time < 65*time.Second || r.Time > 82*time.Second {
		t.Errorf("after %v: %v", r.Time, r.Err) // cut for the silence after it
	}
}

func TestMinWriteRate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		read  int
		every time.Duration
		cut   bool
	}{
		{"a byte a second", 1, time.Second, true},
		{"half of the rate", 20_000, 4 * time.Second, true},
		{"one and a half of it", 60_000, 4 * time.Second, false},
		{"nothing", 0, time.Minute, true},
	} {
		for way, h := range map[string]netserver.HandlerFunc{
			"Write": func(_ context.Context, c *netserver.Conn) error {
				_, err := c.Write(make([]byte, 1_000_000))
				return err
			},
			"ReadFrom": func(_ context.Context, c *netserver.Conn) error {
				_, err := c.ReadFrom(io.LimitReader(zeros{}, 1_000_000))
				return err
			},
		} {
			t.Run(tt.name+"/"+way, func(t *testing.T) {
				s := &netserver.Server{Handler: h}
				s.Config.Limits.MinWriteRate, s.Config.Timeouts.Write = 10_000, -1
				recs := served(t, s, nil, func(t *testing.T, l *pipeListener) {
					c := l.dial()
					b := make([]byte, tt.read)
					for tt.read > 0 {
						if _, err := io.ReadFull(c, b); err != nil {
							break
						}
						time.Sleep(tt.every)
					}
					if tt.read == 0 {
						time.Sleep(tt.every)
					}
					c.Close()
				})
				r := oneRecord(t, recs)
				if tt.cut && (!errors.Is(r.Err, netserver.ErrTooSlow) || r.Time < 10*time.Second) || !tt.cut && errors.Is(r.Err, netserver.ErrTooSlow) {
					t.Errorf("after %v, %d bytes: %v", r.Time, r.Out, r.Err)
				}
			})
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestRateInShadow(t *testing.T) {
	var log strings.Builder
	s := &netserver.Server{Handler: readers["Read"], Log: nil}
	s.Config.Limits.MinReadRate, s.Config.Admission.Shadow = 100, true
	recs := served(t, s, nil, func(t *testing.T, l *pipeListener) {
		c := l.dial()
		for range 60 {
			c.Write([]byte("x"))
			time.Sleep(time.Second)
		}
		if n := s.Monitor().Stats().Ports[0].WouldCut; n != 1 {
			t.Errorf("would have cut %d", n)
		}
		c.Close()
	})
	if r := oneRecord(t, recs); r.Err != nil || r.In != 60 {
		t.Errorf("%d bytes, %v; log: %s", r.In, r.Err, log.String())
	}
}

// A record that drips in is bytes too, and no reason to wait for its end.
func TestRateUnderTLS(t *testing.T) {
	for _, perSecond := range []int{1, 200} {
		t.Run(fmt.Sprint(perSecond), func(t *testing.T) {
			s := &netserver.Server{Handler: readers["ReadLine"]}
			s.Config.Limits.MinReadRate = 100
			recs := served(t, s, overTLS(t), func(t *testing.T, l *pipeListener) {
				c, drip := shakeAndHold(t, l.dial())
				defer c.Close()
				drip(c, append(make([]byte, 6000), '\n'), perSecond)
			})
			r := oneRecord(t, recs)
			if perSecond == 1 {
				wantErr(t, r, netserver.StageHandler, netserver.ErrTooSlow, 10*time.Second)
			} else if r.Err != nil || r.Time < 25*time.Second {
				t.Errorf("after %v: %v", r.Time, r.Err)
			}
		})
	}
}

// On sockets the same rates hold, and who is fast enough meets none of them.
func TestRatesOnSockets(t *testing.T) {
	netservertest.EachProto(t, func(t *testing.T, name string) {
		t.Run("read", func(t *testing.T) {
			s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
			s.Config.Limits.MinReadRate, s.Config.Limits.MinRateWindow = 100_000, 200*time.Millisecond
			r := netservertest.Start(t, s, name)
			begin := time.Now() // no later than the server's
			c := r.Dial(t, name)
			stop := make(chan struct{})
			go dripBytes(c, make([]byte, 100_000), stop)
			io.Copy(io.Discard, c)
			close(stop)
			if d := time.Since(begin); d < s.Config.Limits.MinRateWindow {
				t.Errorf("cut after %v", d)
			}
			if rec := r.Records(t, 1)[0]; !errors.Is(rec.Err, netserver.ErrTooSlow) || rec.Outcome != outcome.TooSlow {
				t.Errorf("%v: %v", rec.Outcome, rec.Err)
			}
			zero(t, s, map[outcome.Class]uint64{outcome.TooSlow: 1})
		})
		t.Run("write", func(t *testing.T) {
			s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
				_, err := io.Copy(c, zeros{})
				return err
			})}
			s.Config.Limits.MinWriteRate, s.Config.Limits.MinRateWindow = 50<<20, 200*time.Millisecond
			r := netservertest.Start(t, s, name)
			c := r.Dial(t, name)
			c.Read(make([]byte, 1)) // takes some, then none
			if rec := r.Records(t, 1)[0]; !errors.Is(rec.Err, netserver.ErrTooSlow) || rec.Time < s.Config.Limits.MinRateWindow {
				t.Errorf("after %v: %v", rec.Time, rec.Err)
			}
		})
		t.Run("fast enough", func(t *testing.T) {
			s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
			s.Config.Limits.MinReadRate, s.Config.Limits.MinWriteRate, s.Config.Limits.MinRateWindow = 1000, 1000, 400*time.Millisecond
			r := netservertest.Start(t, s, name)
			last := time.Now()
			c := r.Dial(t, name)
			block := make([]byte, 100<<10)
			for begin := last; time.Since(begin) < 1500*time.Millisecond; last = time.Now() {
				go c.Write(block)
				_, err := io.ReadFull(c, make([]byte, len(block)))
				if time.Since(last) > s.Config.Limits.MinRateWindow/2 {
					t.Skip("this machine is too busy to tell")
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			c.Close()
			if time.Since(last) > s.Config.Limits.MinRateWindow/2 {
				t.Skip("this machine is too busy to tell")
			}
			if rec := r.Records(t, 1)[0]; errors.Is(rec.Err, netserver.ErrTooSlow) {
				t.Error(rec.Err)
			}
		})
	}, netservertest.Streams()...)
}

// Taking slowly but fast enough is seen although the kernel wakes writers only
// when much of the buffer is free.
func TestSteadyTakerIsFastEnough(t *testing.T) {
	for _, name := range []string{"tcp", "ssl"} {
		t.Run(name, func(t *testing.T) {
			s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
				_, err := io.Copy(c, zeros{})
				return err
			})}
			s.Config.Limits.MinWriteRate, s.Config.Limits.MinRateWindow = 50_000, 500*time.Millisecond
			r := netservertest.Start(t, s, name)
			raw := r.DialRaw(t, name).(*net.TCPConn)
			raw.SetReadBuffer(64 << 10)
			var c net.Conn = raw
			if name == "ssl" {
				c = tlsClient(t, r, raw)
			}
			b := make([]byte, 20_000)
			last := time.Now()
			for begin := last; time.Since(begin) < 4*time.Second; time.Sleep(50 * time.Millisecond) { // 400,000 a second
				if time.Since(last) > 300*time.Millisecond {
					t.Skip("this machine is too busy to tell")
				}
				last = time.Now()
				if _, err := io.ReadFull(c, b); err != nil {
					if time.Since(last) > 300*time.Millisecond {
						t.Skip("this machine is too busy to tell")
					}
					t.Fatalf("%v; record: %v", err, r.Records(t, 1)[0].Err)
				}
			}
			raw.Close()
			if time.Since(last) > 300*time.Millisecond {
				t.Skip("this machine is too busy to tell")
			}
			if rec := r.Records(t, 1)[0]; errors.Is(rec.Err, netserver.ErrTooSlow) {
				t.Error(rec.Err)
			}
		})
	}
}
