package netserver_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"netserver"
	"netserver/internal/admit"
	"netserver/netservertest"
	"netserver/outcome"
)

// A pipeFrom is a pipe that says it comes from an address.
type pipeFrom struct {
	net.Conn
	from *net.TCPAddr
}

func (p pipeFrom) RemoteAddr() net.Addr { return p.from }

func (l *pipeListener) dialFrom(ip string, port int) net.Conn {
	a, b := net.Pipe()
	l.conns <- pipeFrom{b, &net.TCPAddr{IP: net.ParseIP(ip), Port: port}}
	return a
}

// refused reports whether the server closes c without a word, and served
// whether it echoes a line.
func refused(c net.Conn) bool {
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	n, err := c.Read(make([]byte, 1))
	return n == 0 && err == io.EOF
}

func echoes(c net.Conn) bool {
	b := make([]byte, 20)
	fmt.Fprint(c, "x\n")
	n, _ := c.Read(b)
	return string(b[:n]) == "said x\n"
}

// denyPort9 makes each client from port 9 a denied one.
func denyPort9(_ context.Context, c *netserver.Conn) error {
	if c.Peer().Port == 9 {
		return errors.New("port 9")
	}
	return nil
}

// A source in the penalty box is all of a /64: those that are here are cut,
// those that come are refused, and exempt ones are neither.
func TestPenaltyCloseBySource(t *testing.T) {
	for _, shadow := range []bool{false, true} {
		s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
		s.Hooks.Allow = denyPort9
		s.Config.Admission.Penalty.Points, s.Config.Admission.Penalty.Close, s.Config.Admission.Shadow = 2, true, shadow
		s.Config.Admission.Penalty.Exempt = []netip.Prefix{netip.MustParsePrefix("2001:db8::e/128")}
		served(t, s, nil, func(t *testing.T, l *pipeListener) {
			same, exempt, other := l.dialFrom("2001:db8::1", 1), l.dialFrom("2001:db8::e", 1), l.dialFrom("2001:db8:0:1::1", 1)
			for _, c := range []net.Conn{same, exempt, other} {
				if !echoes(c) {
					t.Fatal("not served before")
				}
			}
			for i := range 2 {
				refused(l.dialFrom(fmt.Sprintf("2001:db8::%d", 7+i), 9))
			}
			synctest.Wait()
			if got := refused(same); got == shadow {
				t.Errorf("shadow %v: cut %v", shadow, got)
			}
			if got := refused(l.dialFrom("2001:db8::5", 1)); !shadow && !got {
				t.Error("one that comes is let in")
			}
			for _, c := range []net.Conn{exempt, other, l.dialFrom("2001:db8::e", 2)} {
				if !echoes(c) {
					t.Errorf("shadow %v: an exempt one or a neighbour suffers", shadow)
				}
				c.Close()
			}
			box := s.Monitor().Penalties()
			if len(box) != 1 || box[0].Prefix != netip.MustParsePrefix("2001:db8::/64") || box[0].Left < 59*time.Second {
				t.Errorf("in the box: %v", box)
			}
			time.Sleep(time.Minute)
			if c := l.dialFrom("2001:db8::5", 1); !echoes(c) {
				t.Error("still in the box after a minute")
			} else {
				c.Close()
			}
		})
	}
}

// A proxy that is believed is not charged with what its clients do, nor with
// headers that it does not send; who is not believed is.
func TestProxyIsNotPenalised(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	s.Hooks.Allow = func(_ context.Context, c *netserver.Conn) error { return errors.New("no") }
	s.Config.Admission.Penalty.Points = 3
	s.Config.Proxy = proxyFrom(netserver.ProxyRequire, "10.0.0.0/8")
	served(t, s, nil, func(t *testing.T, l *pipeListener) {
		for range 10 {
			c := l.dialFrom("10.0.0.1", 1)
			io.WriteString(c, "nonsense\r\n")
			refused(c)
			refused(l.dialFrom("172.16.0.1", 1))
		}
		for range 4 {
			c := l.dialFrom("10.0.0.1", 1)
			io.WriteString(c, proxyV1)
			refused(c)
		}
		synctest.Wait()
		box := s.Monitor().Penalties()
		if len(box) != 2 || box[0].Prefix.Addr() != netip.MustParseAddr("172.16.0.1") && box[1].Prefix.Addr() != netip.MustParseAddr("172.16.0.1") {
			t.Errorf("in the box: %v", box) // and 192.0.2.1
		}
		if n := s.Monitor().Lift(netip.MustParsePrefix("10.0.0.0/8")); n != 0 {
			t.Error("the proxy is in the box")
		}
	})
}

// Limits by source hold before the header for those whose header would be
// refused, and a proxy's clients are counted once.
func TestLimitsOnProxiedPorts(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	s.Config.Admission.MaxPerSource, s.Config.Admission.ConnRate.All = 2, 10
	s.Config.Proxy = proxyFrom(netserver.ProxyAccept, "10.0.0.0/8")
	served(t, s, nil, func(t *testing.T, l *pipeListener) {
		a, b := l.dialFrom("172.16.0.1", 1), l.dialFrom("172.16.0.1", 2)
		if !refused(l.dialFrom("172.16.0.1", 3)) {
			t.Error("a third silent one of a source is waited for")
		}
		var cs []net.Conn
		for i := range 8 { // ten in this second
			c := l.dialFrom("10.0.0.1", i)
			fmt.Fprintf(c, "PROXY TCP4 192.0.2.%d 198.51.100.2 7 443\r\n", i/2)
			if !echoes(c) {
				t.Errorf("client %d of the proxy is not served", i)
			}
			cs = append(cs, c)
		}
		if !refused(l.dialFrom("10.0.0.1", 9)) {
			t.Error("an eleventh in the second is let in")
		}
		time.Sleep(time.Second)
		c := l.dialFrom("10.0.0.1", 9)
		io.WriteString(c, "PROXY TCP4 192.0.2.1 198.51.100.2 7 443\r\n")
		if !refused(c) {
			t.Error("a third of one client is let in")
		}
		for _, c := range append(cs, a, b) {
			c.Close()
		}
		synctest.Wait()
		st := s.Monitor().Stats()
		if p, l := st.Ports[0], limited(s); l.Conns != 0 || l.Open != 0 || p.Refused["max_per_source"] != 2 || p.Refused["connection_rate"] != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// In shadow mode neither the limits on handshakes nor that on memory end
// anything, and each is counted.
func TestShadowOfHandshakesAndMemory(t *testing.T) {
	for _, shadow := range []bool{false, true} {
		for limit, set := range map[string]func(c *netserver.Config){
			"max_handshakes":            func(c *netserver.Config) { c.Admission.Handshakes.All = 3 },
			"max_handshakes_per_source": func(c *netserver.Config) { c.Admission.Handshakes.PerSource = 3 },
			"max_handshakes_per_prefix": func(c *netserver.Config) { c.Admission.Handshakes.PerPrefix = 3 },
			"max_memory":                func(c *netserver.Config) { c.Admission.MaxMemory = 3 * 6 << 10 },
		} {
			t.Run(fmt.Sprint(limit, " shadow ", shadow), func(t *testing.T) {
				s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
				set(&s.Config)
				s.Config.Admission.Shadow = shadow
				recs := served(t, s, handshaking, func(t *testing.T, l *pipeListener) {
					var cs []net.Conn
					for i := range 5 {
						cs = append(cs, l.dialFrom("192.0.2.1", i))
						synctest.Wait()
					}
					for i, c := range cs {
						if shadow || i >= 2 {
							fmt.Fprint(c, "\n")
							if !echoes(c) {
								t.Errorf("handshake %d was ended", i)
							}
							c.Close()
						} else if !refused(c) {
							t.Errorf("handshake %d was not ended", i)
						}
					}
					synctest.Wait()
					p := s.Monitor().Stats().Ports[0]
					got, none := p.Refused, p.WouldRefuse
					if shadow {
						got, none = none, got
					}
					if got[limit] != 2 || len(none) > 0 {
						t.Errorf("refused %v, would refuse %v", p.Refused, p.WouldRefuse)
					}
					if n := p.Outcomes[outcome.Shed]; !shadow && n != 2 || shadow && n != 0 {
						t.Errorf("shed %d", n)
					}
				})
				if len(recs) != 5 {
					t.Errorf("%d records", len(recs))
				}
			})
		}
	}
}

// A byte a second moves no deadline, in whatever phase.
func TestByteASecondInEveryPhase(t *testing.T) {
	first := hello(t)
	for _, tt := range []struct {
		phase string
		set   func(c *netserver.Config)
		talk  func(t *testing.T, c net.Conn)
		err   error
		stage netserver.Stage
		after time.Duration
	}{
		{"PROXY header", func(c *netserver.Config) {
			c.Proxy = proxyFrom(netserver.ProxyRequire, "192.0.2.0/24")
		}, func(_ *testing.T, c net.Conn) { drip(c, proxyV1) }, netserver.ErrProxyHeader, netserver.StageHeader, 3 * time.Second},
		{"hello", nil, func(_ *testing.T, c net.Conn) { drip(c, string(first)) },
			netserver.ErrHandshakeTimeout, netserver.StageHandshake, 10 * time.Second},
		{"handshake", nil, func(t *testing.T, c net.Conn) {
			c.Write(first)
			go io.Copy(io.Discard, c)
			drip(c, "\x17\x03\x03\x01\x00"+string(make([]byte, 256)))
		}, netserver.ErrHandshakeTimeout, netserver.StageHandshake, 10 * time.Second},
		{"first request", func(c *netserver.Config) { c.Timeouts.FirstRequest = 7 * time.Second }, dripUnderTLS,
			netserver.ErrFirstRequestTimeout, netserver.StageHandler, 7 * time.Second},
		{"steady", func(c *netserver.Config) { c.Limits.MinReadRate, c.Limits.MinRateWindow = 20, 8*time.Second }, dripUnderTLS,
			netserver.ErrTooSlow, netserver.StageHandler, 8 * time.Second},
	} {
		t.Run(tt.phase, func(t *testing.T) {
			s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
			if tt.set != nil {
				tt.set(&s.Config)
			}
			recs := served(t, s, overTLS(t), func(t *testing.T, l *pipeListener) {
				c := l.dialFrom("192.0.2.1", 1)
				tt.talk(t, c)
				c.Close()
			})
			wantErr(t, oneRecord(t, recs), tt.stage, tt.err, tt.after)
		})
	}
}

func dripUnderTLS(t *testing.T, raw net.Conn) {
	c, drip := shakeAndHold(t, raw)
	drip(c, make([]byte, 200), 1)
}

// The first request's deadline is one of plain ports as well, ends with its
// first byte, and counts only while the Handler reads.
func TestFirstRequestTimeout(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sends bool
		busy  time.Duration
		want  error
		after time.Duration
	}{
		{"silent", false, 0, netserver.ErrFirstRequestTimeout, 5 * time.Second},
		{"begins in time", true, 0, netserver.ErrMaxLife, time.Minute},
		{"busy handler", true, 20 * time.Second, netserver.ErrMaxLife, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
				time.Sleep(tt.busy)
				return echoLines(ctx, c)
			})}
			s.Config.Timeouts.FirstRequest, s.Config.Timeouts.Life = 5*time.Second, time.Minute
			recs := served(t, s, nil, func(t *testing.T, l *pipeListener) {
				c := l.dialFrom("192.0.2.1", 1)
				if tt.sends {
					time.Sleep(4 * time.Second)
					c.Write([]byte("x"))
				}
				io.Copy(io.Discard, c)
			})
			wantErr(t, oneRecord(t, recs), netserver.StageHandler, tt.want, tt.after)
		})
	}
}

// Clients that were in the backlog when the drain began are counted like
// others.
func TestBacklogOfADrainIsCounted(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	s.Config.Limits.MaxConns = 1
	r := netservertest.Start(t, s, "tcp")
	c := r.Dial(t, "tcp")
	if !echoes(c) {
		t.Fatal("not served")
	}
	waiting := r.Dial(t, "tcp")
	r.Drain()
	c.Close()
	echoes(waiting)
	waiting.Close()
	netservertest.Eventually(t, "nobody is counted, and never fewer", func() bool {
		st := s.Monitor().Stats()
		if l := limited(s); l.Conns < 0 || l.Memory < 0 || st.Memory < 0 {
			t.Fatalf("%+v", l)
		}
		return st.Clients == 0
	})
}

// Handshakes that are ended for the limit of their network.
func TestMaxHandshakesPerPrefix(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
	s.Config.Admission.Handshakes.PerPrefix = 2
	r := netservertest.Start(t, s, "ssl")
	oldest := r.DialRaw(t, "ssl")
	r.Accepted(t, 1)
	r.DialRaw(t, "ssl")
	c := tls.Client(r.DialRaw(t, "ssl"), r.ClientTLS())
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if n, err := oldest.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("the oldest is still there")
	}
	rec := r.Records(t, 1)[0]
	if rec.Outcome != outcome.Shed || admit.ShedFor(rec.Err) != admit.OverPrefixHandshakes {
		t.Errorf("%v: %v", rec.Outcome, rec.Err)
	}
}
