package netservertest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// ClientTLS returns a client's configuration that trusts CA and expects
// localhost. It is the caller's to change.
func (r *Running) ClientTLS() *tls.Config {
	return &tls.Config{RootCAs: r.ca.Pool(), ServerName: "localhost"}
}

// Dial connects to the first port with a protocol, as a client of that
// protocol does: on ssl ports it shakes hands. It fails the test if that does
// not work. The connection has a deadline of half a minute and is closed when
// the test ends. On udp and unixdgram ports each Write is a datagram and each
// Read an answer.
func (r *Running) Dial(t testing.TB, name string) net.Conn {
	t.Helper()
	nc := r.DialRaw(t, name)
	i, _ := r.index(name)
	if !r.ports[i].IsTLS() {
		return nc
	}
	return handshake(t, nc, r.ClientTLS())
}

// DialTLS connects to the first ssl port and shakes hands with cfg.
func (r *Running) DialTLS(t testing.TB, cfg *tls.Config) *tls.Conn {
	t.Helper()
	return handshake(t, r.DialRaw(t, "ssl"), cfg)
}

func handshake(t testing.TB, nc net.Conn, cfg *tls.Config) *tls.Conn {
	t.Helper()
	c := tls.Client(nc, cfg)
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// DialRaw connects to the first port with a protocol and speaks nothing: no
// handshake. The connection has a deadline of half a minute and is closed when
// the test ends.
func (r *Running) DialRaw(t testing.TB, name string) net.Conn {
	t.Helper()
	i, err := r.index(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.dial(t.Context(), r.ls[i].Addr())
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience(t)))
	t.Cleanup(func() { c.Close() })
	return c
}

func (r *Running) dial(ctx context.Context, to net.Addr) (net.Conn, error) {
	d := net.Dialer{}
	if to.Network() == "unixgram" {
		// A server can answer only a client that has a path itself.
		r.mu.Lock()
		r.clients++
		d.LocalAddr = &net.UnixAddr{Net: "unixgram", Name: filepath.Join(r.dir, fmt.Sprint("c", r.clients))}
		r.mu.Unlock()
	}
	return d.DialContext(ctx, to.Network(), to.String())
}
