package proxy_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
	"netserver/netservertest"
)

// udpTarget answers each datagram with a text, until it is closed.
func udpTarget(t testing.TB, address, text string) net.PacketConn {
	t.Helper()
	l, err := net.ListenPacket("udp", address)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		buf := make([]byte, 100)
		for {
			_, from, err := l.ReadFrom(buf)
			if err != nil {
				return
			}
			l.WriteTo([]byte(text), from)
		}
	}()
	return l
}

// Targets of datagrams share the clients; one that nobody is at gets none for a
// while, and is used again after that although it does not speak TCP.
func TestDatagramTargets(t *testing.T) {
	a, b := udpTarget(t, "127.0.0.1:0", "a"), udpTarget(t, "127.0.0.1:0", "b")
	be := &proxy.Backend{Name: "x", Targets: []proxy.Target{{Address: a.LocalAddr().String()}, {Address: b.LocalAddr().String()}}}
	f := serve(t, "udp", &proxy.Handler{Backend: be, AnswerTimeout: time.Second}, netserver.Config{})
	ask := func() string {
		t.Helper()
		c, err := net.Dial("udp", f.addr.String())
		must(t, err)
		defer c.Close()
		must(t, c.SetDeadline(time.Now().Add(patience)))
		send(t, c, "?")
		buf := make([]byte, 10)
		n, err := c.Read(buf)
		if err != nil {
			return fmt.Sprint(err)
		}
		return string(buf[:n])
	}
	if got := ask() + ask(); got != "ab" && got != "ba" {
		t.Errorf("got %s", got)
	}
	a.Close()
	for range 2 { // one of them finds nobody, and has no answer
		c, err := net.Dial("udp", f.addr.String())
		must(t, err)
		send(t, c, "?")
		c.Close()
	}
	awaitState(t, be, a.LocalAddr().String(), "down")
	for range 3 {
		before := stateOf(be, a.LocalAddr().String())
		got := ask()
		if after := stateOf(be, a.LocalAddr().String()); got != "b" && before.State == "down" && after.Since.Equal(before.Since) {
			t.Errorf("got %s", got)
		}
	}
	udpTarget(t, a.LocalAddr().String(), "a")
	netservertest.Eventually(t, "it is used again", func() bool { return ask() == "a" })
}
