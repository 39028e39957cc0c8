package netserver_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"netserver"
	"netserver/access"
	"netserver/conf"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/port"
)

// mixedTime is when no more clients are begun on a slow machine.
const mixedTime = 3 * time.Minute

// After 100,000 clients of every kind, cut in every phase and by every side,
// nothing is counted as open, and each is under one outcome.
func TestMixedConnectionsLeaveNothingCounted(t *testing.T) {
	n := 100_000
	switch {
	case testing.Short(), runtime.GOOS != "linux": // others have one loopback address
		n = 2000
	case raceOn:
		n = 10_000
	}
	s := mixedServer()
	r := netservertest.Start(t, s)
	m := &mixed{r: r, to: r.Addrs(), hello: hello(t), udp: make(chan struct{}, 1)}
	const workers = 64
	begin := time.Now()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for range n / workers {
				if time.Since(begin) > mixedTime {
					return
				}
				m.one(t, rng)
			}
		})
	}
	wg.Wait()
	want := uint64(m.begun.Load())
	var outcomes [outcome.Count]uint64
	sum := func() (total uint64) {
		clear(outcomes[:])
		for _, p := range s.Monitor().Stats().Ports {
			for o, n := range p.Outcomes {
				outcomes[o] += n
				total += n
			}
		}
		return total
	}
	// The last to leave may still be in the backlog.
	netservertest.Eventually(t, "an outcome for each client", func() bool { return sum() >= want })
	zero(t, s, nil)
	if l := limited(s); l.Open != 0 || sum() != want {
		t.Errorf("%d outcomes of %d clients; %+v", sum(), want, l)
	}
	for _, o := range []outcome.Class{outcome.Served, outcome.Denied, outcome.OverLimit, outcome.Shed,
		outcome.Penalised, outcome.Probe, outcome.Header, outcome.NotTLS, outcome.Alert, outcome.Reset} {
		if outcomes[o] == 0 && runtime.GOOS == "linux" {
			t.Errorf("none ended as %v", o)
		}
	}
	t.Logf("%d clients in %v", want, time.Since(begin))
	for o, n := range outcomes {
		if n > 0 {
			t.Logf("%8d %v", n, outcome.Class(o))
		}
	}
}

// mixedServer has ports of every kind, every limit, and the penalty box.
func mixedServer() *netserver.Server {
	s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
	c := &s.Config
	c.Admission.Handshakes.All, c.Admission.Handshakes.PerSource, c.Admission.Handshakes.PerPrefix = 24, 20, 22
	c.Admission.MaxPerSource, c.Admission.MaxPerPrefix, c.Admission.MaxMemory = 6, 40, 1<<20
	c.Admission.DatagramRate.PerSource = 50
	c.Admission.Penalty.Points, c.Admission.Penalty.Time, c.Admission.Penalty.MaxTime = 3, 50*time.Millisecond, 100*time.Millisecond
	c.Timeouts.Handshake, c.Timeouts.FirstRequest = 300*time.Millisecond, time.Second
	c.Limits.MinReadRate, c.Limits.MinWriteRate = 1, 1
	c.Access.Rules = access.Rules{CIDRAllow: access.Texts("127.0.0.0/8", "192.0.2.0/24"), CIDRDeny: access.Texts("127.66.0.0/16")}
	tcp := port.Spec{Host: "127.0.0.1", Port: "0", Proto: "tcp", IPv: "4"}
	ssl, udp := tcp, tcp
	ssl.Proto, udp.Proto = "ssl", "udp"
	c.Ports = []port.Spec{tcp, ssl, behindProxy(tcp), behindProxy(ssl), udp}
	return s
}

// behindProxy makes p a port whose clients in 127.77.0.0/16 are proxies.
func behindProxy(p port.Spec) port.Spec {
	p.Params = make(conf.Values)
	p.Params.Set("proxy_protocol", "require")
	p.Params.Set("proxy_protocol_from", "127.77.0.0/16")
	return p
}

// The ports of mixedServer.
const (
	mixTCP = iota
	mixSSL
	mixProxiedTCP
	mixProxiedSSL
	mixUDP
)

// A mixed is a crowd of clients.
type mixed struct {
	r     *netservertest.Running
	to    []net.Addr
	hello []byte
	begun atomic.Int64
	udp   chan struct{} // held while a datagram is under way
}

// one is one client, or a few.
func (m *mixed) one(t *testing.T, rng *rand.Rand) {
	source := netip.AddrFrom4([4]byte{127, byte(1 + rng.IntN(50)), byte(rng.IntN(256)), byte(1 + rng.IntN(250))})
	switch k := rng.IntN(1000); {
	case k < 80:
		m.talk(t, source, mixSSL, "", m.r.ClientTLS())
	case k < 110: // refuses our certificate
		m.talk(t, source, mixSSL, "", &tls.Config{ServerName: "other.example"})
	case k < 230: // leaves at once
		m.open(t, source, mixSSL).Close()
	case k < 330:
		reset(m.open(t, source, rng.IntN(4)))
	case k < 430:
		c := m.open(t, source, mixSSL)
		c.Write(m.hello)
		reset(c)
	case k < 530:
		m.say(t, source, mixSSL, []byte("GET / HTTP/1.0\r\n\r\n"))
	case k < 600: // garbage after the hello
		m.say(t, source, mixSSL, append(m.hello[:len(m.hello):len(m.hello)], make([]byte, 300)...))
	case k < 603: // stalls until it is cut
		m.say(t, source, mixSSL, m.hello[:1+rng.IntN(len(m.hello)-1)])
	case k < 760:
		m.talk(t, source, mixTCP, "", nil)
	case k < 810:
		m.talk(t, proxyOf(source), mixProxiedTCP, proxyV1, nil)
	case k < 830:
		m.talk(t, proxyOf(source), mixProxiedSSL, proxyV1, m.r.ClientTLS())
	case k < 850:
		m.say(t, proxyOf(source), mixProxiedTCP+rng.IntN(2), []byte("PROXY nonsense\r\n"))
	case k < 870: // not trusted
		m.talk(t, source, mixProxiedTCP, proxyV1, nil)
	case k < 920:
		m.say(t, inNetwork(source, 66), rng.IntN(2), nil)
	case k < 925:
		m.crowd(t)
	case k < 928:
		m.flood(t)
	case k < 935: // one bad source
		m.say(t, netip.MustParseAddr("127.98.0.1"), mixSSL, []byte("bad"))
	default:
		m.datagram(t, source)
	}
}

func inNetwork(a netip.Addr, n byte) netip.Addr {
	b := a.As4()
	b[1] = n
	return netip.AddrFrom4(b)
}

func proxyOf(a netip.Addr) netip.Addr { return inNetwork(a, 77) }

func (m *mixed) open(t *testing.T, from netip.Addr, i int) net.Conn {
	var d net.Dialer
	if runtime.GOOS == "linux" {
		d.LocalAddr = &net.TCPAddr{IP: from.AsSlice()}
	}
	c, err := d.DialContext(t.Context(), "tcp", m.to[i].String())
	if err != nil {
		t.Error(err)
		a, _ := net.Pipe()
		a.Close()
		return a
	}
	m.begun.Add(1)
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func reset(c net.Conn) {
	if tc, ok := c.(*net.TCPConn); ok {
		tc.SetLinger(0)
	}
	c.Close()
}

// say sends b and waits for the end.
func (m *mixed) say(t *testing.T, from netip.Addr, i int, b []byte) {
	c := m.open(t, from, i)
	defer c.Close()
	c.Write(b)
	io.Copy(io.Discard, c)
}

// talk has a byte echoed, over TLS if cfg is set, after a PROXY header.
func (m *mixed) talk(t *testing.T, from netip.Addr, i int, header string, cfg *tls.Config) {
	c := m.open(t, from, i)
	defer c.Close()
	c.Write([]byte(header))
	if cfg != nil {
		c = tls.Client(c, cfg)
	}
	c.Write([]byte("x"))
	c.Read(make([]byte, 1))
}

// crowd is more clients of one source than may be.
func (m *mixed) crowd(t *testing.T) {
	for range 10 {
		c := m.open(t, netip.MustParseAddr("127.99.0.1"), mixTCP)
		defer c.Close()
		c.Write([]byte("x"))
		c.Read(make([]byte, 1))
	}
}

// flood is more unfinished handshakes than may be, each of another source.
func (m *mixed) flood(t *testing.T) {
	for i := range 30 {
		defer m.open(t, netip.AddrFrom4([4]byte{127, 97, byte(i % 2), byte(i + 1)}), mixSSL).Close()
	}
}

// datagram has a datagram echoed. One before it may be over the limit; it has
// arrived when the second has.
func (m *mixed) datagram(t *testing.T, from netip.Addr) {
	m.udp <- struct{}{}
	defer func() { <-m.udp }()
	for _, a := range []netip.Addr{netip.MustParseAddr("127.96.0.1"), from} {
		var local *net.UDPAddr
		if runtime.GOOS == "linux" {
			local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0))
		}
		c, err := net.DialUDP("udp", local, m.to[mixUDP].(*net.UDPAddr))
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		m.begun.Add(1)
		fmt.Fprint(c, "x")
		if a == from && runtime.GOOS == "linux" {
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
		}
	}
}
