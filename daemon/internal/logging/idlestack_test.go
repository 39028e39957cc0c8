package logging_test

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"runtime"
	"testing"

	"netserver"
	"netserver/daemon/internal/logging"
	"netserver/handler/echo"
	"netserver/netservertest"
)

// An idle TLS client of the command has a stack no larger than that of a loop
// that reads and writes a tls.Conn and does nothing else. Stacks double, so a
// few bytes too many in one frame on the way to crypto/tls are 4 KiB a client.
func TestIdleStack(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	s := &netserver.Server{Handler: logging.Connects(&echo.Handler{Raw: true}, func() *slog.Logger { return quiet }), Log: quiet}
	r := netservertest.Start(t, s, "ssl")
	ours := stackOf(t, func() net.Conn { return r.Dial(t, "ssl") })

	cert := netservertest.CA(t).Issue(t, netservertest.Leaf{}).TLS
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	go acceptByHand(l)
	t.Cleanup(func() { l.Close() })
	byHand := stackOf(t, func() net.Conn {
		c, err := tls.Dial("tcp", l.Addr().String(), r.ClientTLS())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	})
	t.Logf("bytes of stack a client: %d, by hand %d", ours, byHand)
	if ours > byHand+byHand/2 {
		t.Errorf("an idle client has %d bytes of stack, a loop written by hand %d", ours, byHand)
	}
}

// stackOf returns how many bytes of stack a further client takes that has sent
// and got back a byte.
func stackOf(t *testing.T, dial func() net.Conn) uint64 {
	t.Helper()
	const first, more = 20, 300 // what the first ones need serves the others too
	var m runtime.MemStats
	var before uint64
	for i := range first + more {
		if i == first {
			runtime.GC()
			runtime.ReadMemStats(&m)
			before = m.StackInuse
		}
		c := dial()
		b := []byte{'x'}
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&m)
	return (m.StackInuse - before) / more
}

// acceptByHand serves without the engine. As there, a client's handshake is not
// on the stack that it keeps.
func acceptByHand(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		if c.(*tls.Conn).Handshake() != nil {
			c.Close()
			continue
		}
		go echoByHand(c)
	}
}

func echoByHand(c net.Conn) {
	defer c.Close()
	b := make([]byte, 4<<10)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}
