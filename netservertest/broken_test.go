package netservertest_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"netserver/netservertest"
	"netserver/port"
	"netserver/proto"
)

// brokenEnv names the transport that TestBrokenTransport is to run with.
const brokenEnv = "NETSERVERTEST_BROKEN"

// A broken transport does what its name says, in Ready.
type broken struct {
	plain bool
	ready func(ctx context.Context, nc net.Conn) (net.Conn, error)
}

func (broken) Network() string { return "tcp" }
func (b broken) Plain() bool   { return b.plain }
func (b broken) Ready(ctx context.Context, nc net.Conn) (net.Conn, error) {
	return b.ready(ctx, nc)
}

// readHello is a handshake: the client says hi. It is right but for what its
// callers leave out.
func readHello(ctx context.Context, nc net.Conn) error {
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	b := make([]byte, 2)
	if _, err := io.ReadFull(nc, b); err != nil {
		return err
	}
	if string(b) != "hi" {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// transports, each with the case that must find it out, and "" for the right one.
var brokenTransports = map[string]struct {
	t     broken
	catch string
}{
	"right": {broken{false, func(ctx context.Context, nc net.Conn) (net.Conn, error) {
		return nc, readHello(ctx, nc)
	}}, ""},
	"closes": {broken{false, func(ctx context.Context, nc net.Conn) (net.Conn, error) {
		err := readHello(ctx, nc)
		if err != nil {
			nc.Close()
		}
		return nc, err
	}}, "SilentClient"},
	"ignoresContext": {broken{false, func(_ context.Context, nc net.Conn) (net.Conn, error) {
		return nc, readHello(context.Background(), nc)
	}}, "StalledHandshake"},
	"holdsContext": {broken{false, func(ctx context.Context, nc net.Conn) (net.Conn, error) {
		err := readHello(ctx, nc)
		context.AfterFunc(ctx, func() { nc.Close() })
		return nc, err
	}}, "BytesBothWays"},
	"losesBytes": {broken{false, func(ctx context.Context, nc net.Conn) (net.Conn, error) {
		err := readHello(ctx, nc)
		if err == nil {
			nc.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			nc.Read(make([]byte, 3))
			nc.SetReadDeadline(time.Time{})
		}
		return nc, err
	}}, "EarlyBytesArrive"},
	"saysPlain": {broken{true, func(ctx context.Context, nc net.Conn) (net.Conn, error) {
		return nc, readHello(ctx, nc)
	}}, "SilentClient"},
	"leaks": {broken{false, func(ctx context.Context, nc net.Conn) (net.Conn, error) {
		go func() { select {} }()
		return nc, readHello(ctx, nc)
	}}, "BytesBothWays"},
	"deaf": {broken{false, func(ctx context.Context, nc net.Conn) (net.Conn, error) {
		return struct{ noDeadline }{noDeadline{nc}}, readHello(ctx, nc)
	}}, "DeadlinePassesAndIsLifted"},
}

type noDeadline struct{ net.Conn }

func (noDeadline) SetReadDeadline(time.Time) error { return nil }

// sayHello writes as crypto/tls does: the handshake in one go.
func sayHello(ctx context.Context, nc net.Conn) (net.Conn, error) {
	_, err := io.WriteString(nc, "hi")
	return nc, err
}

func TestBrokenTransport(t *testing.T) {
	b, ok := brokenTransports[os.Getenv(brokenEnv)]
	if !ok {
		return // it runs in a process of its own, for TestCasesCatchBrokenTransports
	}
	netservertest.TestTransport(t, netservertest.TransportTest{
		Protocol: func(port.Spec) (proto.Transport, error) { return b.t, nil },
		Client:   sayHello,
	})
}

// The cases are worth something only if they fail when they should.
func TestCasesCatchBrokenTransports(t *testing.T) {
	t.Parallel()
	for name, b := range brokenTransports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run, limit := "^TestBrokenTransport$", "2m"
			if b.catch != "" {
				run, limit = run+"/^"+b.catch+"$", "16s" // the shorter, the sooner it fails
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", run, "-test.timeout", limit)
			cmd.Env = append(os.Environ(), brokenEnv+"="+name)
			out, err := cmd.CombinedOutput()
			caught := err != nil && bytes.Contains(out, []byte("--- FAIL: TestBrokenTransport/"+b.catch))
			if caught != (b.catch != "") || b.catch == "" && err != nil {
				t.Errorf("%v\n%s", err, strings.TrimSpace(string(out)))
			}
		})
	}
}
