package route_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"netserver"
	"netserver/handler/route"
	"netserver/netservertest"
	"netserver/port"
	"netserver/proto"
)

// A busy machine lets a read begin after its deadline, when the client's bytes
// are there: that client was not silent.
func TestBytesBeforeALateRead(t *testing.T) {
	h := routes(
		on("text", must(route.Begins("HELO"))),
		on("silent", must(route.Begins("silence=1ms"))),
	)
	here := make(chan struct{})
	s := &netserver.Server{Handler: h, Protocols: map[string]proto.Protocol{"late": func(port.Spec) (proto.Transport, error) { return late{here}, nil }}}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "late", IPv: "4"}}
	r := netservertest.Start(t, s)
	c := r.DialRaw(t, "late")
	io.WriteString(c, "HELO\n")
	close(here)
	if got, err := bufio.NewReader(c).ReadString('\n'); got != "text\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// late is a TCP transport whose first read finds its deadline passed, though
// something is there.
type late struct{ here chan struct{} }

func (late) Network() string { return "tcp" }
func (l late) Ready(_ context.Context, nc net.Conn) (net.Conn, error) {
	return &lateConn{Conn: nc, here: l.here}, nil
}

type lateConn struct {
	net.Conn
	here     chan struct{}
	read     atomic.Bool
	deadline atomic.Pointer[time.Time]
}

func (c *lateConn) SetReadDeadline(t time.Time) error {
	c.deadline.Store(&t)
	return c.Conn.SetReadDeadline(t)
}

func (c *lateConn) Read(b []byte) (int, error) {
	if !c.read.Swap(true) {
		<-c.here
		<-time.After(time.Until(*c.deadline.Load()))
		return 0, os.ErrDeadlineExceeded
	}
	return c.Conn.Read(b)
}
