package proto

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"netserver/tlsparams"
)

// A firstListener says itself whether it does TLS.
type firstListener struct {
	net.Listener
	first bool
}

func (l firstListener) TLSFirst() bool { return l.first }

func TestDoesTLS(t *testing.T) {
	for _, tc := range []struct {
		name string
		l    net.Listener
		want bool
	}{
		{"of crypto/tls", tls.NewListener(nil, nil), true},
		{"of TCP", new(net.TCPListener), false},
		{"one that says so", firstListener{first: true}, true},
		{"one that denies it", firstListener{Listener: tls.NewListener(nil, nil)}, false},
	} {
		if got := DoesTLS(tc.l); got != tc.want {
			t.Errorf("a listener %s: %v", tc.name, got)
		}
	}
	if !(Accepted{}).TLSFirst() {
		t.Error("Accepted is not TLSFirst")
	}
}

// A turnConn notes what it is told of waiting.
type turnConn struct {
	net.Conn
	told []string
}

func (c *turnConn) NetConn() net.Conn { return c.Conn }
func (c *turnConn) Waiting()          { c.told = append(c.told, "waiting") }
func (c *turnConn) Woken()            { c.told = append(c.told, "woken") }

// A handConn is a connection of a listener that does TLS by other means.
type handConn struct {
	net.Conn
	hand func(context.Context) error
}

func (c handConn) HandshakeContext(ctx context.Context) error { return c.hand(ctx) }

// Ready gives back what Accept returned, and goes without a turn meanwhile.
func TestAccepted(t *testing.T) {
	source := transport(t, tlsparams.Params{}).Source()
	server, client := ends(t)
	c := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error, 1)
	go func() { done <- c.Handshake() }()
	own := tls.Server(server, source.Config())
	tc := &turnConn{Conn: own}
	got, err := Accepted{}.Ready(t.Context(), tc)
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	if got != net.Conn(own) || !own.ConnectionState().HandshakeComplete {
		t.Errorf("%T is returned, handshake %v", got, own.ConnectionState().HandshakeComplete)
	}
	if len(tc.told) != 2 || tc.told[0] != "waiting" || tc.told[1] != "woken" {
		t.Error("told of waiting:", tc.told)
	}
}

// The end of the context ends the handshake, whose error is then its cause; a
// client that speaks something else has an error of its own.
func TestAcceptedFails(t *testing.T) {
	cause := errors.New("the server stops")
	for _, tc := range []struct {
		name string
		conn func(nc net.Conn) net.Conn
	}{
		{"crypto/tls", func(nc net.Conn) net.Conn { return tls.Server(nc, &tls.Config{}) }},
		{"another", func(nc net.Conn) net.Conn {
			return handConn{nc, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		}},
	} {
		server, _ := ends(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		guard := time.AfterFunc(20*time.Second, func() { server.Close() })
		time.AfterFunc(time.Millisecond, func() { cancel(cause) })
		if nc, err := (Accepted{}).Ready(ctx, tc.conn(server)); err != cause || nc != nil {
			t.Errorf("%s, stopped: %v, %v", tc.name, nc, err)
		}
		guard.Stop()
	}
	server, client := ends(t)
	client.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
	if nc, err := (Accepted{}).Ready(t.Context(), tls.Server(server, &tls.Config{})); !errors.Is(err, ErrNotTLS) || nc != nil {
		t.Errorf("plain text: %v, %v", nc, err)
	}
	refused := errors.New("refused")
	if nc, err := (Accepted{}).Ready(t.Context(), handConn{server, func(context.Context) error { return refused }}); err != refused || nc != nil {
		t.Errorf("refused: %v, %v", nc, err)
	}
}

// A connection that does no TLS needs nothing.
func TestAcceptedPlain(t *testing.T) {
	server, _ := ends(t)
	if nc, err := (Accepted{}).Ready(t.Context(), server); nc != server || err != nil {
		t.Errorf("%v, %v", nc, err)
	}
}
