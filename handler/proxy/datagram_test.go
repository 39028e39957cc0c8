package proxy_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
)

// A udpBackend answers each datagram with the given prefixes before it.
func udpBackend(t testing.TB, answers ...string) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 64<<10)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			for _, a := range answers {
				pc.WriteTo(append([]byte(a), b[:n]...), from)
			}
		}
	}()
	t.Cleanup(func() { pc.Close(); <-done })
	return pc.LocalAddr().String()
}

func dialUDP(t testing.TB, f *front) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", f.addr.String())
	must(t, err)
	must(t, c.SetDeadline(time.Now().Add(patience)))
	t.Cleanup(func() { c.Close() })
	return c
}

func wantPacket(t testing.TB, c net.Conn, text string) {
	t.Helper()
	b := make([]byte, 64<<10)
	n, err := c.Read(b)
	if err != nil || string(b[:n]) != text {
		t.Fatalf("got %d bytes, %.40q, %v; want %.40q", n, b[:n], err, text)
	}
}

func TestDatagram(t *testing.T) {
	f := serve(t, "udp", &proxy.Handler{Target: udpBackend(t, "re: "), Answers: 1}, netserver.Config{})
	c := dialUDP(t, f)
	for _, text := range []string{"question", "", strings.Repeat("x", 4000)} {
		send := []byte(text)
		_, err := c.Write(send)
		must(t, err)
		wantPacket(t, c, "re: "+text)
		if r := f.record(t); r.Err != nil {
			t.Errorf("record: %v", r.Err)
		}
	}
}

func TestSeveralAnswers(t *testing.T) {
	h := &proxy.Handler{Target: udpBackend(t, "1", "2", "3"), Answers: 3}
	f := serve(t, "udp", h, netserver.Config{})
	c := dialUDP(t, f)
	send(t, c, "x")
	wantPacket(t, c, "1x")
	wantPacket(t, c, "2x")
	wantPacket(t, c, "3x")
	if r := f.record(t); r.Err != nil || r.Out != 6 {
		t.Errorf("record: out %d, %v", r.Out, r.Err)
	}
}

func TestFewerAnswers(t *testing.T) {
	h := &proxy.Handler{Target: udpBackend(t, "1"), Answers: 3, AnswerTimeout: time.Second}
	f := serve(t, "udp", h, netserver.Config{})
	c := dialUDP(t, f)
	send(t, c, "x")
	wantPacket(t, c, "1x")
	if r := f.record(t); r.Err != nil {
		t.Errorf("record: %v", r.Err)
	}
}

func TestNoAnswer(t *testing.T) {
	target := udpBackend(t)
	h := &proxy.Handler{Target: target, Answers: 1, AnswerTimeout: 50 * time.Millisecond}
	f := serve(t, "udp", h, netserver.Config{})
	send(t, dialUDP(t, f), "x")
	r := wantRecord(t, f, "proxy_to "+target+": no answer within 50ms")
	if !errors.Is(r.Err, os.ErrDeadlineExceeded) {
		t.Errorf("the error wraps no deadline")
	}
}

func TestNoAnswerExpected(t *testing.T) {
	h := &proxy.Handler{Target: udpBackend(t, "unasked "), Answers: -1, AnswerTimeout: time.Hour}
	f := serve(t, "udp", h, netserver.Config{})
	send(t, dialUDP(t, f), "x")
	if r := f.record(t); r.Err != nil || r.Out != 0 {
		t.Errorf("record: out %d, %v", r.Out, r.Err)
	}
}

func TestDatagramBackendDown(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	pc.Close()
	target := pc.LocalAddr().String()
	f := serve(t, "udp", &proxy.Handler{Target: target}, netserver.Config{})
	send(t, dialUDP(t, f), "x")
	if r := wantRecord(t, f, "proxy_to "+target+": connection refused"); !errors.Is(r.Err, syscall.ECONNREFUSED) {
		t.Error("the error does not wrap ECONNREFUSED")
	}
}

func TestDatagramToSocketPath(t *testing.T) {
	f := serve(t, "udp", &proxy.Handler{Target: "/run/x"}, netserver.Config{})
	send(t, dialUDP(t, f), "x")
	wantRecord(t, f, "proxy_to /run/x: datagrams cannot go to a socket path; set host:port")
}

func TestCutWhileWaitingForAnswer(t *testing.T) {
	asked := make(chan struct{})
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	defer pc.Close()
	go func() {
		pc.ReadFrom(make([]byte, 10))
		close(asked)
	}()
	h := &proxy.Handler{Target: pc.LocalAddr().String(), AnswerTimeout: time.Hour}
	f := serve(t, "udp", h, netserver.Config{Shutdown: netserver.Shutdown{Grace: -1}})
	send(t, dialUDP(t, f), "x")
	<-asked
	if err := f.stop(); !errors.Is(err, netserver.ErrCut) {
		t.Errorf("Serve: %v", err)
	}
	if r := f.record(t); !errors.Is(r.Err, netserver.ErrCut) {
		t.Errorf("record: %v", r.Err)
	}
}

// Without sessions each datagram is a client, with one answer.
func TestWithoutSessions(t *testing.T) {
	f := serve(t, "udp", &proxy.Handler{Target: udpBackend(t, "1", "2"), MaxSessions: -1}, netserver.Config{})
	c := dialUDP(t, f)
	for _, text := range []string{"a", "", strings.Repeat("x", 4000)} {
		send(t, c, text)
		wantPacket(t, c, "1"+text)
		if r := f.record(t); r.Err != nil || r.In != uint64(len(text)) {
			t.Errorf("record: in %d, %v", r.In, r.Err)
		}
	}
	f = serve(t, "udp", &proxy.Handler{Target: udpBackend(t), MaxSessions: -1, Answers: -1}, netserver.Config{})
	send(t, dialUDP(t, f), "x")
	if r := f.record(t); r.Err != nil || r.Out != 0 {
		t.Errorf("without answers: out %d, %v", r.Out, r.Err)
	}
}

// A backend over TLS is no target for datagrams, which is said before any comes.
func TestDatagramsOverTLSAreRefused(t *testing.T) {
	b := &proxy.Backend{Name: "x", Targets: []proxy.Target{{Address: "127.0.0.1:1"}},
		TLS: func(_ context.Context, nc net.Conn, _ proxy.Target, _ *netserver.Conn) (net.Conn, error) {
			return nc, nil
		}}
	h := &proxy.Handler{Backend: b}
	if err := h.Check(&net.TCPAddr{Port: 2}); err != nil {
		t.Error(err)
	}
	if err := h.Check(&net.UDPAddr{Port: 2}); err == nil || !strings.Contains(err.Error(), "backend x: datagrams of :2 cannot go over TLS") {
		t.Errorf("Check: %v", err)
	}
}
