package netserver_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
	"netserver/port"
	"netserver/proto"
)

func copyEcho(_ context.Context, c *netserver.Conn) error {
	_, err := io.Copy(c, c)
	return err
}

// The engine's own handlers pass the cases that every handler has to pass,
// over every protocol.
func TestEchoOverEveryProtocol(t *testing.T) {
	netservertest.TestHandler(t, netservertest.HandlerTest{
		New: func(*testing.T) netserver.Handler { return netserver.HandlerFunc(copyEcho) },
		Talk: func(_ string, c net.Conn) error {
			if _, err := c.Write([]byte("hello")); err != nil {
				return err
			}
			b := make([]byte, 100)
			n, err := io.ReadAtLeast(c, b, 5)
			if err != nil || string(b[:n]) != "hello" {
				return errors.Join(errors.New("got "+string(b[:n])), err)
			}
			return nil
		},
	})
}

func TestTLSTransport(t *testing.T) {
	// The transport's own cases run where the transport is made; here the
	// engine's half: state, records, a half-close each way.
	var state *tls.ConnectionState
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		state = c.TLS()
		b, err := io.ReadAll(c)
		if err != nil {
			return err
		}
		if _, err := c.Write(bytes.ToUpper(b)); err != nil {
			return err
		}
		return c.CloseWrite()
	})}
	r := netservertest.Start(t, s, "ssl")
	c := r.DialTLS(t, r.ClientTLS())
	c.Write([]byte("half-closed"))
	c.CloseWrite()
	if b, err := io.ReadAll(c); string(b) != "HALF-CLOSED" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	rec := r.Records(t, 1)[0]
	if rec.Err != nil || rec.In != 11 || rec.Out != 11 || rec.TLS == nil || rec.TLS.Version != tls.VersionTLS13 {
		t.Errorf("record: %+v", rec)
	}
	if state == nil || !state.HandshakeComplete {
		t.Errorf("state: %+v", state)
	}
}

func TestNotTLS(t *testing.T) {
	for _, tt := range []struct{ send, want string }{
		{"GET / HTTP/1.0\r\n\r\n", "plain HTTP"},
		{"SSH-2.0-OpenSSH_9\r\n", "SSH"},
		{"\x00\x01\x02\x03\x04\x05\x06", "does not speak TLS"},
		{"", "left"},
	} {
		s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
		r := netservertest.Start(t, s, "ssl")
		c := r.DialRaw(t, "ssl")
		c.Write([]byte(tt.send))
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
		rec := r.Records(t, 1)[0]
		if rec.Err == nil || rec.Stage != netserver.StageHandshake || !strings.Contains(rec.Err.Error(), tt.want) {
			t.Errorf("%q: %v: %v", tt.send, rec.Stage, rec.Err)
		}
	}
}

// A client that is done sending must get all that the server still has for
// it, although unread input would make the socket's close a reset.
func TestAnswerSurvivesUnreadInput(t *testing.T) {
	answer := bytes.Repeat([]byte("answer"), 20000)
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		c.Read(make([]byte, 1))
		_, err := c.Write(answer)
		return err
	})}
	netservertest.EachProto(t, func(t *testing.T, proto string) {
		s := &netserver.Server{Handler: s.Handler}
		r := netservertest.Start(t, s, proto)
		c := r.Dial(t, proto)
		if _, err := c.Write(make([]byte, 50000)); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(c); !bytes.Equal(b, answer) || err != nil {
			t.Errorf("got %d bytes of %d, %v", len(b), len(answer), err)
		}
	}, "tcp", "ssl")
}

func TestHooksInOrder(t *testing.T) {
	netservertest.EachProto(t, func(t *testing.T, proto string) {
		var mu sync.Mutex
		var order []string
		note := func(s string) { mu.Lock(); order = append(order, s); mu.Unlock() }
		type key struct{}
		s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
			note("handler " + ctx.Value(key{}).(string))
			io.Copy(c, c)
			return errors.New("handler's error")
		})}
		s.Hooks.Accepted = func(ctx context.Context, c *netserver.Conn) context.Context {
			note("accepted")
			return context.WithValue(ctx, key{}, "value")
		}
		s.Hooks.Allow = func(context.Context, *netserver.Conn) error { note("allow"); return nil }
		s.Hooks.Handled = func(_ context.Context, _ *netserver.Conn, err error) { note("handled " + err.Error()) }
		s.Hooks.Closed = func(_ *netserver.Conn, r netserver.Record) { note("closed") }
		s.Hooks.Denied = func(context.Context, *netserver.Conn, *netserver.Error) { note("denied") }
		r := netservertest.Start(t, s, proto)
		c := r.Dial(t, proto)
		c.Write([]byte("x"))
		c.Read(make([]byte, 1))
		c.Close()
		r.Records(t, 1)
		mu.Lock()
		defer mu.Unlock()
		want := []string{"accepted", "allow", "handler value", "handled handler's error", "closed"}
		if !slices.Equal(order, want) {
			t.Errorf("got %q, want %q", order, want)
		}
	})
}

func TestDenied(t *testing.T) {
	netservertest.EachProto(t, func(t *testing.T, proto string) {
		why := errors.New("not today")
		s := &netserver.Server{Handler: netserver.HandlerFunc(func(context.Context, *netserver.Conn) error {
			t.Error("a denied client was served")
			return nil
		})}
		s.Hooks.Allow = func(context.Context, *netserver.Conn) error { return why }
		s.Hooks.Denied = func(_ context.Context, c *netserver.Conn, e *netserver.Error) {
			if e.Stage == netserver.StageAccess {
				c.Write([]byte("go away"))
			}
		}
		r := netservertest.Start(t, s, proto)
		c := r.Dial(t, proto)
		c.Write([]byte("x"))
		b := make([]byte, 7)
		if _, err := io.ReadFull(c, b); string(b) != "go away" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
		rec := r.Records(t, 1)[0]
		if !errors.Is(rec.Err, netserver.ErrDenied) || !errors.Is(rec.Err, why) || rec.Stage != netserver.StageAccess {
			t.Errorf("record: %v: %v", rec.Stage, rec.Err)
		}
	})
}

// A panic in any hook ends one client and no more, and frees its place.
func TestPanicInHooks(t *testing.T) {
	for name, set := range map[string]func(*netserver.Hooks){
		"Accepted": func(h *netserver.Hooks) {
			h.Accepted = func(context.Context, *netserver.Conn) context.Context { panic("hook") }
		},
		"Allow": func(h *netserver.Hooks) {
			h.Allow = func(context.Context, *netserver.Conn) error { panic("hook") }
		},
		"Handled": func(h *netserver.Hooks) {
			h.Handled = func(context.Context, *netserver.Conn, error) { panic("hook") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
			s.Config.Limits.MaxServing, s.Config.Limits.MaxConns = 1, 1
			set(&s.Hooks)
			r := netservertest.Start(t, s, "tcp")
			for i := range 3 {
				c := r.Dial(t, "tcp")
				c.(*net.TCPConn).CloseWrite()
				io.ReadAll(c)
				r.Records(t, i+1)
			}
		})
	}
}

// A library's own protocol, and one in place of a built-in one.
func TestProtocolsOfTheServer(t *testing.T) {
	rot13 := func(port.Spec) (proto.Transport, error) { return shift{}, nil }
	s := &netserver.Server{
		Handler:   netserver.HandlerFunc(copyEcho),
		Protocols: map[string]proto.Protocol{"shift": rot13},
	}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "shift", IPv: "4"}}
	r := netservertest.Start(t, s)
	c := r.DialRaw(t, "shift")
	c.Write([]byte("a"))
	b := make([]byte, 1)
	if _, err := io.ReadFull(c, b); b[0] != 'b' || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	_, err := (&netserver.Server{Config: netserver.Config{Ports: []port.Spec{{Host: "*", Port: "1", Proto: "nosuch", IPv: "4"}}}}).Listen(t.Context())
	if err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("unknown protocol: %v", err)
	}
}

// shift adds one to each byte that is read.
type shift struct{}

func (shift) Network() string { return "tcp" }
func (shift) Ready(_ context.Context, nc net.Conn) (net.Conn, error) {
	return shifted{nc}, nil
}

type shifted struct{ net.Conn }

func (s shifted) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	for i := range b[:n] {
		b[i]++
	}
	return n, err
}

func TestListenIsAllOrNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, used, _ := net.SplitHostPort(taken.Addr().String())
	path := t.TempDir() + "/s"
	s := &netserver.Server{Handler: netserver.HandlerFunc(copyEcho)}
	s.Config.Ports = []port.Spec{
		{Port: path, Proto: "unix", Host: "*", IPv: "*"},
		{Host: "127.0.0.1", Port: used, Proto: "tcp", IPv: "4"},
	}
	if _, err := s.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), used) {
		t.Errorf("error: %v", err)
	}
	if _, err := net.DialTimeout("unix", path, time.Second); err == nil {
		t.Error("the other port stayed open")
	}
}
