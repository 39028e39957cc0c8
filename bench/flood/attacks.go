package flood

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"netserver/bench/honest"
	"netserver/bench/loopback"
)

// A Kind is a way to attack.
type Kind string

// What floods do with each connection, again and again.
const (
	Full       Kind = "full"        // a full handshake, then gone
	Late       Kind = "late"        // a handshake that fails at its last message, the Finished
	Garbage    Kind = "garbage"     // a ClientHello and garbage right after it
	HelloReset Kind = "hello-reset" // a ClientHello and a reset right after it
	Reset      Kind = "reset"       // a reset right after connecting
	Connect    Kind = "connect"     // nothing: waits to be closed
)

// What holding attacks do with each connection, until the server ends it.
const (
	Stall      Kind = "stall"       // nothing
	StallHello Kind = "stall-hello" // half a ClientHello
	Slow       Kind = "slow"        // a byte of a ClientHello every second
)

// oneLimit is how long a flood waits for the server's part of one connection.
const oneLimit = 15 * time.Second

var floods = map[Kind]func(*client, *net.TCPConn) error{
	Full:       (*client).full,
	Late:       (*client).late,
	Garbage:    (*client).garbage,
	HelloReset: (*client).helloReset,
	Reset:      func(*client, *net.TCPConn) error { return nil },
	Connect:    func(_ *client, c *net.TCPConn) error { return untilClosed(c) },
}

// Kinds returns the kinds of attack there are.
func Kinds() []Kind {
	return []Kind{Full, Late, Garbage, HelloReset, Reset, Connect, Stall, StallHello, Slow}
}

// Holds reports whether the attack is to hold connections, not to make many.
func (k Kind) Holds() bool { return k == Stall || k == StallHello || k == Slow }

func (k Kind) known() bool { return k.Holds() || floods[k] != nil }

// one makes one connection of a flood. It ends with a reset in any case, so
// that no port stays occupied; what matters has happened before.
func (c *client) one(ctx context.Context, do func(*client, *net.TCPConn) error, from netip.Addr, to netip.AddrPort) error {
	tc, err := loopback.Dial(ctx, from, to, oneLimit)
	if err != nil {
		return err
	}
	tc.SetLinger(0)
	defer tc.Close()
	stop := context.AfterFunc(ctx, func() { tc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	tc.SetDeadline(time.Now().Add(oneLimit))
	return do(c, tc)
}

func (*client) full(tc *net.TCPConn) error {
	return tls.Client(tc, honest.TLSConfig()).Handshake()
}

func (c *client) late(tc *net.TCPConn) error {
	hello := c.hello()
	if _, err := tc.Write(hello); err != nil {
		return err
	}
	msg, share, err := readServerHello(tc)
	if err != nil {
		return err
	}
	fin, err := c.badFinished(hello, msg, share)
	if err != nil {
		return err
	}
	if _, err := tc.Write(fin); err != nil {
		return err
	}
	return untilClosed(tc)
}

func (c *client) garbage(tc *net.TCPConn) error {
	if _, err := tc.Write(append(c.hello(), random(512)...)); err != nil {
		return err
	}
	if _, err := io.ReadFull(tc, make([]byte, 1)); err != nil {
		return err // it was closed without an answer: turned away
	}
	return untilClosed(tc)
}

func (c *client) helloReset(tc *net.TCPConn) error {
	_, err := tc.Write(c.hello())
	return err
}

// untilClosed reads until the server ends the connection, in whatever way.
func untilClosed(tc *net.TCPConn) error {
	_, err := io.Copy(io.Discard, struct{ io.Reader }{tc})
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return err
	}
	return nil
}
