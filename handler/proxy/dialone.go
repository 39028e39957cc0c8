package proxy

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"netserver"
	"netserver/proto"
)

// Dial connects to a target as Handler.Serve does, for somebody else than a
// Handler: a reverse proxy for HTTP, say. c is the client that it is for, nil if
// it is not for one alone: a Header tells of nobody then, and Balance Source takes
// any target. The target's place is given back when the connection is closed.
// An error wraps proto.ErrNoTarget where no target could be connected to.
func (b *Backend) Dial(ctx context.Context, c *netserver.Conn) (net.Conn, error) {
	if err := b.init(); err != nil {
		return nil, err
	}
	if b.MySQL {
		return nil, b.failed("MySQL", errors.New("its handshake needs the client's part"))
	}
	if b.Bind != nil && c == nil {
		return nil, b.failed(stepBind, errors.New("a connection that is not for one client alone has nobody's address to come from"))
	}
	begin := time.Now()
	ep := b.lone.Load()
	var nc net.Conn
	var err error
	if ep != nil {
		ep.active.Add(1)
		nc, err = b.dialIn(ctx, c, ep)
	} else {
		nc, ep, _, err = b.try(ctx, c, begin)
	}
	if err != nil {
		return nil, err
	}
	ep.connected(time.Since(begin))
	keepAlive(proto.Socket(nc))
	return &placed{Conn: nc, b: b, ep: ep}, nil
}

// A placed connection gives back its place at its target.
type placed struct {
	net.Conn
	b  *Backend
	ep *endpoint

	got, reset, closed atomic.Bool
}

// Read reads from the target, and notes whether that has said anything.
func (p *placed) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if n > 0 && !p.got.Load() {
		p.got.Store(true)
	} else if err != nil && errors.Is(err, syscall.ECONNRESET) {
		p.reset.Store(true)
	}
	return n, err
}

// CloseWrite tells the target that nothing more will come.
func (p *placed) CloseWrite() error { return closeWrite(p.Conn) }

// Close closes the connection.
func (p *placed) Close() error {
	if p.closed.Swap(true) {
		return net.ErrClosed
	}
	err := p.Conn.Close()
	p.b.done(p.ep, p.got.Load(), p.reset.Load())
	return err
}
