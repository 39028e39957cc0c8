package netserver_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"netserver"
	"netserver/internal/admit"
	"netserver/internal/bridge"
	"netserver/netservertest"
	"netserver/outcome"
)

// hello returns the first bytes that a TLS client sends.
func hello(t *testing.T) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go tls.Client(theirs, &tls.Config{InsecureSkipVerify: true}).Handshake()
	defer theirs.Close()
	b := make([]byte, 16<<10)
	n, err := ours.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// Every phase of a client's beginning has its own end, which bytes that drip
// in do not move.
func TestPhaseDeadlines(t *testing.T) {
	const short = 60 * time.Millisecond
	first := hello(t)
	for _, tt := range []struct {
		name   string
		set    func(c *netserver.Config)
		send   []byte
		drip   bool
		err    error
		class  outcome.Class
		finish bool // the handshake
	}{
		{"first byte", func(c *netserver.Config) { c.Timeouts.FirstByte = short }, nil, false, netserver.ErrFirstByteTimeout, outcome.FirstByte, false},
		{"hello", func(c *netserver.Config) { c.Timeouts.Hello = short }, first[:20], true, netserver.ErrHelloTimeout, outcome.Hello, false},
		{"handshake, silent", func(c *netserver.Config) { c.Timeouts.Handshake = short }, nil, false, netserver.ErrHandshakeTimeout, outcome.Handshake, false},
		{"handshake, in the hello", func(c *netserver.Config) { c.Timeouts.Handshake = short }, first[:20], true, netserver.ErrHandshakeTimeout, outcome.Handshake, false},
		{"handshake, after the hello", func(c *netserver.Config) { c.Timeouts.Handshake = short }, first, false, netserver.ErrHandshakeTimeout, outcome.Handshake, false},
		{"first request", func(c *netserver.Config) { c.Timeouts.FirstRequest = short }, nil, false, netserver.ErrFirstRequestTimeout, outcome.FirstRequest, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
			tt.set(&s.Config)
			r := netservertest.Start(t, s, "ssl")
			begin := time.Now()
			var c net.Conn
			if tt.finish {
				c = r.DialTLS(t, r.ClientTLS())
			} else {
				c = r.DialRaw(t, "ssl")
				c.Write(tt.send)
			}
			stop := make(chan struct{})
			var wg sync.WaitGroup
			if tt.drip {
				wg.Go(func() { dripBytes(c, first[20:], stop) })
			}
			io.Copy(io.Discard, c)
			close(stop)
			wg.Wait()
			if d := time.Since(begin); d < short {
				t.Errorf("cut after %v", d)
			}
			rec := r.Records(t, 1)[0]
			if !errors.Is(rec.Err, tt.err) || rec.Outcome != tt.class {
				t.Errorf("%v: %v", rec.Outcome, rec.Err)
			}
			zero(t, s, map[outcome.Class]uint64{tt.class: 1})
		})
	}
}

// dripBytes sends b a byte at a time, never all of it.
func dripBytes(c net.Conn, b []byte, stop <-chan struct{}) {
	for i := range len(b) - 1 {
		if _, err := c.Write(b[i : i+1]); err != nil {
			return
		}
		select {
		case <-stop:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	<-stop
}

// limited returns the counters behind the limits by source.
func limited(s *netserver.Server) admit.LimiterStats { return bridge.Of(s.Monitor()).LimiterStats() }

// zero waits until nothing is counted as open, and compares the outcomes.
func zero(t *testing.T, s *netserver.Server, want map[outcome.Class]uint64) {
	t.Helper()
	var st netserver.Stats
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		st = s.Monitor().Stats()
		if h := st.Handshakes; st.Clients+h.Unfinished+h.Waiting+h.Running+limited(s).Conns+int(st.Memory) == 0 {
			break
		}
	}
	if h := st.Handshakes; st.Clients+h.Unfinished+h.Waiting+h.Running+limited(s).Conns+int(st.Memory) != 0 {
		t.Fatalf("with nobody there: %+v", st)
	}
	if want == nil {
		return
	}
	for o := range outcome.Count {
		n := uint64(0)
		for _, p := range st.Ports {
			n += p.Outcomes[o]
		}
		if n != want[o] {
			t.Errorf("%v: %d, want %d", o, n, want[o])
		}
	}
}

// Limits hold together with TLS, and are not stuck afterwards.
func TestLimitsWithTLS(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
	s.Config.Admission.MaxPerSource = 3
	r := netservertest.Start(t, s, "ssl")
	for range 3 {
		var cs []net.Conn
		for range 3 {
			cs = append(cs, r.DialTLS(t, r.ClientTLS()))
		}
		over := r.DialRaw(t, "ssl")
		if n, err := over.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Fatal("the fourth was not refused")
		}
		for _, c := range cs {
			c.Close()
		}
		zero(t, s, nil)
	}
	zero(t, s, map[outcome.Class]uint64{outcome.OverLimit: 3, outcome.Served: 9})
	if n := s.Monitor().Stats().Ports[0].Refused["max_per_source"]; n != 3 {
		t.Errorf("max_per_source refused %d", n)
	}
}

func TestLimitsShadow(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
	s.Config.Admission.MaxPerSource, s.Config.Admission.Shadow = 1, true
	r := netservertest.Start(t, s, "tcp")
	for range 3 {
		c := r.Dial(t, "tcp")
		c.Write([]byte("x"))
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if n := s.Monitor().Stats().Ports[0].WouldRefuse["max_per_source"]; n != 2 {
		t.Errorf("would refuse %d", n)
	}
}

// Over max_handshakes the oldest goes and the newcomer is served.
func TestOldestHandshakeIsShed(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
	s.Config.Admission.Handshakes.All = 5
	r := netservertest.Start(t, s, "ssl")
	var stalled []net.Conn
	for range 5 {
		stalled = append(stalled, r.DialRaw(t, "ssl"))
	}
	c := r.DialTLS(t, r.ClientTLS())
	c.Write([]byte("x"))
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if n, err := stalled[0].Read(make([]byte, 1)); n != 0 || err == nil {
		t.Fatal("the oldest is still there")
	}
	rec := r.Records(t, 1)[0]
	if rec.Outcome != outcome.Shed || !errors.Is(rec.Err, admit.ErrShed) {
		t.Errorf("%v: %v", rec.Outcome, rec.Err)
	}
	c.Close()
	for _, c := range stalled {
		c.Close()
	}
	zero(t, s, nil)
}

func TestPenaltyBox(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
	s.Config.Admission.Penalty.Points = 5
	s.Config.Admission.Penalty.Close = true
	r := netservertest.Start(t, s, "ssl")
	good := r.DialTLS(t, r.ClientTLS())
	good.Write([]byte("x"))
	io.ReadFull(good, make([]byte, 1))
	for range 6 {
		c := r.DialRaw(t, "ssl")
		c.Write([]byte("this is not TLS at all\r\n"))
		io.Copy(io.Discard, c)
		c.Close()
	}
	if _, err := good.Read(make([]byte, 1)); err == nil {
		t.Error("the source's other client was not cut")
	}
	if l := s.Monitor().Penalties(); len(l) != 1 {
		t.Fatalf("in the box: %v", l)
	}
	if n := s.Monitor().Lift(netip.MustParsePrefix("127.0.0.0/8")); n != 1 {
		t.Errorf("lifted %d", n)
	}
	netservertest.Eventually(t, "the source is let in again", func() bool {
		// The points of the last bad client may come after the lift.
		s.Monitor().Lift(netip.MustParsePrefix("127.0.0.0/8"))
		c, err := tls.Dial("tcp", r.Addr(t, "ssl").String(), r.ClientTLS())
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
	zero(t, s, nil)
}
