package protocol

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"

	"netserver/port"
	"netserver/proto"
	"netserver/tlsparams"
)

// password is what a client sends first, under TLS.
const password = "open sesame\n"

// Greeted is the Protocol of ports whose clients send a password before the
// handler sees them. Its parameters are those of TLS.
func Greeted(p port.Spec) (proto.Transport, error) {
	t, err := proto.TLS{Env: tlsparams.Env{Poll: -1}}.Protocol(p)
	if err != nil {
		return nil, err
	}
	return greeted{t.(*proto.TLSTransport)}, nil
}

// greeted has all that TLS has by embedding it.
type greeted struct{ *proto.TLSTransport }

func (g greeted) Ready(ctx context.Context, nc net.Conn) (net.Conn, error) {
	nc, err := g.TLSTransport.Ready(ctx, nc)
	if err != nil {
		return nil, err
	}
	c := &conn{TLSConn: nc.(*proto.TLSConn)}
	for len(c.rest) < len(password) {
		var b [512]byte
		n, err := c.TLSConn.Read(b[:])
		if c.rest = append(c.rest, b[:n]...); err != nil {
			return nil, fmt.Errorf("password: %w", err)
		}
	}
	rest, ok := bytes.CutPrefix(c.rest, []byte(password))
	if !ok {
		return nil, errors.New("password: wrong")
	}
	c.rest = rest
	return c, nil
}

// conn is a connection of another type than the engine's. It has the methods
// of TLSConn, and its own where bytes that came with the password matter.
type conn struct {
	*proto.TLSConn
	rest []byte // of the client, after the password
}

func (c *conn) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		return c.TLSConn.Read(b)
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *conn) WaitRead() error {
	if len(c.rest) > 0 {
		return nil
	}
	return c.TLSConn.WaitRead()
}

func (c *conn) Unread() bool { return len(c.rest) > 0 || c.TLSConn.Unread() }
