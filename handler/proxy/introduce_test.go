package proxy_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"netserver"
	"netserver/handler/proxy"
	"netserver/netservertest"
	"netserver/starttls"
)

// startsTLS makes a Backend that starts TLS in the way of a protocol.
func startsTLS(t *testing.T, l net.Listener, p starttls.Protocol) *proxy.Backend {
	be := backendOf(l)
	be.StartTLS = func(ctx context.Context, nc net.Conn, t proxy.Target) ([]byte, error) {
		return p.Start(nc, "own", "domain")
	}
	cfg := &tls.Config{RootCAs: netservertest.CA(t).Pool(), ServerName: "localhost"}
	be.TLS = func(ctx context.Context, nc net.Conn, t proxy.Target, _ *netserver.Conn) (net.Conn, error) {
		c := tls.Client(nc, cfg)
		return c, c.HandshakeContext(ctx)
	}
	return be
}

func backendOf(l net.Listener) *proxy.Backend {
	return &proxy.Backend{Name: "b", Targets: []proxy.Target{{Address: targetOf(l)}}}
}

// serveTLS is a target that says plain, hears its answer, and starts TLS.
func serveTLS(t *testing.T, c net.Conn, plain ...string) *tls.Conn {
	t.Helper()
	for i := 0; i < len(plain); i += 2 {
		send(t, c, plain[i])
		want(t, c, plain[i+1])
	}
	send(t, c, "220 go\r\n")
	pair := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	return tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair.TLS}})
}

// A client of a target that has started TLS reads a greeting, though the target
// has greeted in plain text, and none of what came there.
func TestStartTLSToTarget(t *testing.T) {
	l := listen(t, "tcp")
	f := frontOf(t, startsTLS(t, l, starttls.SMTP))
	c := f.dial(t)
	b := serveTLS(t, accept(t, l), "220 PLAIN\r\n", "EHLO own\r\n", "250-x\r\n250 STARTTLS\r\n", "STARTTLS\r\n")
	send(t, c, "EHLO me\r\n")
	want(t, b, "EHLO me\r\n")
	want(t, c, "220 own ESMTP\r\n")
	send(t, b, "250 ok\r\n")
	want(t, c, "250 ok\r\n")
	must(t, c.CloseWrite())
	wantEOF(t, b)
	b.Close()
	wantEOF(t, c)
}

// What a target, or somebody before it, sends behind its agreement does not
// reach the client.
func TestStartTLSToTargetThatInjects(t *testing.T) {
	l := listen(t, "tcp")
	f := frontOf(t, startsTLS(t, l, starttls.POP3))
	c := f.dial(t)
	b := accept(t, l)
	send(t, b, "+OK hi\r\n")
	want(t, b, "STLS\r\n")
	send(t, b, "+OK go\r\n+OK evil\r\n")
	if got, _ := io.ReadAll(c); len(got) > 0 {
		t.Errorf("the client reads %q", got)
	}
	if rec := f.record(t); rec.Err == nil || !strings.Contains(rec.Err.Error(), "STARTTLS: "+starttls.ErrInjected.Error()) {
		t.Errorf("got %v", rec.Err)
	}
}

// joins is a Handler that tells the next one how to join.
func joins(h netserver.Handler, j starttls.Join) netserver.Handler {
	return netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error { return h.Serve(starttls.WithJoin(ctx, j), c) })
}

// A Join comes before the first byte, and can take the connection's place.
func TestJoin(t *testing.T) {
	l := listen(t, "tcp")
	h := joins(&proxy.Handler{Backend: backendOf(l)}, func(nc net.Conn, _ func(net.Conn) (net.Conn, error)) (net.Conn, error) {
		var b [2]byte
		_, err := io.ReadFull(nc, b[:])
		return nc, err
	})
	f := frontWith(t, h)
	c := f.dial(t)
	b := accept(t, l)
	send(t, b, "hi")
	send(t, b, "ho")
	want(t, c, "ho")
	send(t, c, "x")
	want(t, b, "x")
}

// An error of a Join names whose it is, and gives the place at the target back.
func TestJoinFails(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&starttls.BackendError{Err: io.ErrUnexpectedEOF}, "backend b: 127.0.0.1"},
		{errors.New("the client's"), "the client's"},
	} {
		l := listen(t, "tcp")
		be := backendOf(l)
		be.Targets[0].Max = 1
		f := frontWith(t, joins(&proxy.Handler{Backend: be}, func(net.Conn, func(net.Conn) (net.Conn, error)) (net.Conn, error) {
			return nil, tt.err
		}))
		for range 2 {
			wantEnd(t, f.dial(t))
			if rec := f.record(t); rec.Err == nil || !strings.Contains(rec.Err.Error(), "handler: "+tt.want) || errors.Is(rec.Err, io.ErrUnexpectedEOF) {
				t.Errorf("got %v", rec.Err)
			}
		}
	}
}

// wantEnd reads nothing, and the end.
func wantEnd(t *testing.T, c net.Conn) {
	t.Helper()
	if b, _ := io.ReadAll(c); len(b) > 0 {
		t.Errorf("read %q", b)
	}
}

// frontWith serves h, which leads to a proxy.
func frontWith(t *testing.T, h netserver.Handler) *front {
	t.Helper()
	return serve(t, "tcp", h, netserver.Config{})
}

// MySQL's TLS wants its client.
func TestMySQLTarget(t *testing.T) {
	be := startsTLS(t, listen(t, "tcp"), starttls.IMAP)
	be.MySQL = true
	if err := (&proxy.Handler{Backend: be}).Check(); err == nil || !strings.Contains(err.Error(), "MySQL wants TLS") {
		t.Errorf("got %v", err)
	}
	l := listen(t, "tcp")
	be = startsTLS(t, l, starttls.MySQL)
	be.StartTLS, be.MySQL = nil, true
	f := frontOf(t, be)
	c := f.dial(t)
	b := accept(t, l)
	hello := "\x20\x00\x00\x00\x0a10\x00\x01\x00\x00\x00challeng\x00\x00\x8a............."
	answer := "\x00\x82\x00\x00" + strings.Repeat("\x00", 28)
	secured := "\x00\x8a" + answer[2:]
	send(t, b, hello)
	want(t, c, strings.Replace(hello, "\x8a", "\x82", 1))
	send(t, c, "\x22\x00\x00\x01"+answer+"u\x00")
	want(t, b, "\x20\x00\x00\x01"+secured)
	pair := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	tb := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{pair.TLS}})
	want(t, tb, "\x22\x00\x00\x02"+secured+"u\x00")
	send(t, tb, "\x01\x00\x00\x03\x00")
	want(t, c, "\x01\x00\x00\x02\x00")
}
