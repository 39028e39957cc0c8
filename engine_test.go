package netserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"netserver"
)

// start serves ls in the background and returns a function that ends it and
// gives what Serve returned.
func start(t *testing.T, s *netserver.Server, ls ...net.Listener) (stop func() error) {
	t.Helper()
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ls...) }()
	stop = func() error {
		cancel()
		err := <-done
		done <- err
		return err
	}
	t.Cleanup(func() { s.Close(); stop(); s.Shutdown(context.Background()) })
	return stop
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

func echoLines(ctx context.Context, c *netserver.Conn) error {
	for {
		line, err := c.ReadLine()
		if err != nil {
			return err
		}
		if string(line) == "panic" {
			panic("asked to")
		}
		if _, err := fmt.Fprintf(c, "said %s\n", line); err != nil {
			return err
		}
	}
}

func TestEchoAndDrain(t *testing.T) {
	l := listenTCP(t)
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	stop := start(t, s, l)
	c := dial(t, l)
	r := bufio.NewReader(c)
	for i := range 3 {
		fmt.Fprintf(c, "hello %d\r\n", i)
		got, err := r.ReadString('\n')
		if want := fmt.Sprintf("said hello %d\n", i); got != want || err != nil {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
	c.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
		t.Fatalf("after the end: %q, %v", rest, err)
	}
	if err := stop(); err != nil {
		t.Fatalf("Serve: %v", err)
	}
}

func TestPanicEndsOneClient(t *testing.T) {
	l := listenTCP(t)
	var log strings.Builder
	recs := make(chan netserver.Record, 1)
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines), Log: slog.New(slog.NewTextHandler(&log, nil))}
	s.Hooks.Closed = func(_ *netserver.Conn, r netserver.Record) { recs <- r }
	stop := start(t, s, l)
	c, other := dial(t, l), dial(t, l)
	fmt.Fprintf(c, "panic\n")
	if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
		t.Fatalf("got %q, %v", b, err)
	}
	var p *netserver.PanicError
	if r := <-recs; !errors.As(r.Err, &p) || r.Stage != netserver.StageHandler {
		t.Fatalf("record: %+v", r)
	}
	fmt.Fprintf(other, "still here\n")
	if got, err := bufio.NewReader(other).ReadString('\n'); got != "said still here\n" || err != nil {
		t.Fatalf("other client: %q, %v", got, err)
	}
	other.Close()
	stop()
	if !strings.Contains(log.String(), "asked to") {
		t.Fatalf("log: %s", log.String())
	}
}

func TestCutAfterGrace(t *testing.T) {
	l := listenTCP(t)
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	s.Config.Shutdown.Grace = -1
	stop := start(t, s, l)
	c := dial(t, l)
	fmt.Fprintf(c, "x\n")
	bufio.NewReader(c).ReadString('\n')
	if err := stop(); !errors.Is(err, netserver.ErrCut) {
		t.Fatalf("Serve: %v", err)
	}
}
