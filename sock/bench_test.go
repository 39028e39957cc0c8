package sock

import (
	"net"
	"net/netip"
	"path/filepath"
	"testing"

	"netserver/port"
)

// BenchmarkAcceptTCP counts what a connection costs from dial to close.
func BenchmarkAcceptTCP(b *testing.B) {
	l := open(b, "tcp", spec("127.0.0.1", "0", "4"), Options{})
	b.ReportAllocs()
	for b.Loop() {
		client, err := net.Dial("tcp", l.Addr().String())
		must(b, err)
		must(b, client.(*net.TCPConn).SetLinger(0))
		c, err := l.Accept()
		must(b, err)
		client.Close()
		c.Close()
	}
}

// BenchmarkDatagramUDP counts a request and its answer, on a socket for one
// address and on the wildcard, against a bare loop on a socket of package net.
func BenchmarkDatagramUDP(b *testing.B) {
	b.Run("Bare", func(b *testing.B) {
		l, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		must(b, err)
		defer l.Close()
		buf := make([]byte, 4096)
		roundTrips(b, l.LocalAddr().(*net.UDPAddr).Port, func() {
			n, from, err := l.ReadFromUDPAddrPort(buf)
			must(b, err)
			_, err = l.WriteToUDPAddrPort(buf[:n], from)
			must(b, err)
		})
	})
	for name, host := range map[string]string{"OneAddress": "127.0.0.1", "Wildcard": "*"} {
		b.Run(name, func(b *testing.B) {
			l := open(b, "udp", port.Spec{Host: host, Port: "0", Proto: "udp", IPv: "*"}, Options{})
			buf := make([]byte, 4096)
			roundTrips(b, l.Addr().(*net.UDPAddr).Port, func() { answerOne(b, l, buf) })
		})
	}
}

func answerOne(b testing.TB, l net.Listener, buf []byte) {
	c, err := l.Accept()
	must(b, err)
	n, err := c.Read(buf)
	must(b, err)
	_, err = c.Write(buf[:n])
	must(b, err)
	c.Close()
}

// roundTrips sends, calls serve, and takes the answer, without allocating.
func roundTrips(b *testing.B, p int, serve func()) {
	once := roundTrip(b, p, serve)
	b.ReportAllocs()
	for b.Loop() {
		once()
	}
}

// roundTrip returns what sends a datagram, calls serve, and takes the answer.
func roundTrip(tb testing.TB, p int, serve func()) func() {
	client, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(tb, err)
	tb.Cleanup(func() { client.Close() })
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(p))
	msg, buf := make([]byte, 100), make([]byte, 200)
	return func() {
		_, err := client.WriteToUDPAddrPort(msg, to)
		must(tb, err)
		serve()
		_, _, err = client.ReadFromUDPAddrPort(buf)
		must(tb, err)
	}
}

// What a datagram and its answer allocate: the connection that it is, with its
// bytes.
func TestAllocsOfDatagrams(t *testing.T) {
	for host, want := range map[string]float64{"127.0.0.1": 1, "*": 1} {
		l := open(t, "udp", port.Spec{Host: host, Port: "0", Proto: "udp", IPv: "*"}, Options{})
		buf := make([]byte, 4096)
		once := roundTrip(t, l.Addr().(*net.UDPAddr).Port, func() { answerOne(t, l, buf) })
		once()
		if n := testing.AllocsPerRun(200, once); n > want {
			t.Errorf("%s: %v allocations, want %v", host, n, want)
		}
	}
}

// A connection that is accepted allocates what it does with a listener of
// package net, and no more.
func TestAllocsOfAccept(t *testing.T) {
	bare, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer bare.Close()
	count := func(l net.Listener) float64 {
		addr := l.Addr().String()
		return testing.AllocsPerRun(200, func() {
			client, err := net.Dial("tcp", addr)
			must(t, err)
			must(t, client.(*net.TCPConn).SetLinger(0))
			c, err := l.Accept()
			must(t, err)
			client.Close()
			c.Close()
		})
	}
	l := open(t, "tcp", spec("127.0.0.1", "0", "4"), Options{})
	n, want := count(l), count(bare)
	for i := 0; i < 10 && n > want; i++ { // on a busy machine either may have waited
		n, want = min(n, count(l)), min(want, count(bare))
	}
	if n > want {
		t.Errorf("%v allocations, with package net %v", n, want)
	}
}

func BenchmarkDatagramUnixgram(b *testing.B) {
	dir := b.TempDir()
	l := open(b, "unixgram", port.Spec{Port: filepath.Join(dir, "s"), Proto: "unixdgram"}, Options{})
	client, err := net.DialUnix("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "c"), Net: "unixgram"}, l.Addr().(*net.UnixAddr))
	must(b, err)
	defer client.Close()
	msg, buf := make([]byte, 100), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		_, err := client.Write(msg)
		must(b, err)
		answerOne(b, l, buf)
		_, err = client.Read(buf)
		must(b, err)
	}
}
