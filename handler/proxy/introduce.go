package proxy

import (
	"context"
	"errors"
	"net"
	"time"

	"netserver"
	"netserver/proto"
	"netserver/starttls"
)

// introduceTime bounds what a target and its client say until the first byte
// may pass between them.
const introduceTime = 30 * time.Second

// introduce brings nc, a connection to ep, to where c is: whoever has started
// TLS with c has greeted it, and MySQL starts TLS in a handshake with both. An
// error gives the place at ep back.
func (b *Backend) introduce(ctx context.Context, c *netserver.Conn, nc net.Conn, ep *endpoint) (over net.Conn, err error) {
	join := starttls.JoinOf(ctx)
	if join == nil && b.MySQL {
		join = func(nc net.Conn, tls func(net.Conn) (net.Conn, error)) (net.Conn, error) {
			return (&starttls.MySQLHandshake{StartBackend: tls}).Join(c, nc)
		}
	}
	if join == nil {
		return nc, nil
	}
	defer func() {
		if over == nil { // it failed, or a function of the Backend panics
			reset(proto.Socket(nc))
			b.release(ep)
		}
	}()
	end := time.Now().Add(introduceTime)
	nc.SetDeadline(end)
	c.SetReadDeadline(end)
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(longAgo) })
	var tls func(net.Conn) (net.Conn, error)
	if b.MySQL {
		tls = func(nc net.Conn) (net.Conn, error) { return b.TLS(ctx, nc, Target{Address: ep.name}, c) }
	}
	joined, err := join(nc, tls)
	if !stop() {
		err = context.Cause(ctx)
	}
	c.SetReadDeadline(time.Time{})
	if err == nil {
		nc.SetDeadline(time.Time{})
		return joined, nil
	}
	if theirs := (*starttls.BackendError)(nil); errors.As(err, &theirs) {
		return nil, ep.failedIn("its greeting", stepReason(theirs.Err, introduceTime))
	}
	return nil, err
}

// greeted returns nc with a greeting before all that comes from it.
func greeted(nc net.Conn, greeting []byte) net.Conn {
	if len(greeting) == 0 {
		return nc
	}
	return &greetedConn{nc, greeting}
}

type greetedConn struct {
	net.Conn
	greeting []byte // that is still to be read
}

// Read reads the greeting, and then the connection.
func (g *greetedConn) Read(b []byte) (int, error) {
	if len(g.greeting) == 0 || len(b) == 0 {
		return g.Conn.Read(b)
	}
	n := copy(b, g.greeting)
	g.greeting = g.greeting[n:]
	return n, nil
}

// WaitRead waits without a buffer, if the connection can.
func (g *greetedConn) WaitRead() error {
	if w, ok := g.Conn.(proto.Waiter); ok && len(g.greeting) == 0 {
		return w.WaitRead()
	}
	return nil
}

// OnLateWrite is that of a TLS connection.
func (g *greetedConn) OnLateWrite(f func(took bool) (goOn bool)) {
	if t, ok := g.Conn.(*proto.TLSTarget); ok {
		t.OnLateWrite(f)
	}
}

// CloseWrite is that of the connection.
func (g *greetedConn) CloseWrite() error { return closeWrite(g.Conn) }

// NetConn returns the connection.
func (g *greetedConn) NetConn() net.Conn { return g.Conn }
