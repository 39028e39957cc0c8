package sock

import (
	"context"
	"net"
	"strconv"
	"syscall"

	"netserver/port"
)

// Listen opens the socket of one port. network is "tcp", "udp", "unix" or
// "unixgram". ctx bounds only the look-up of host and service names.
//
// A wildcard host with IPv "*" opens one socket for IPv4 and IPv6, or for IPv4
// alone on a kernel without IPv6; IPv "6" opens one that refuses IPv4. Port 0
// lets the system choose; the listener's Spec has the number.
//
// The listener is a *StreamListener or a *DatagramListener; the caller closes
// it. The error is a *ListenError.
func Listen(ctx context.Context, network string, p port.Spec, o Options) (net.Listener, error) {
	l, err := listen(ctx, network, p, o)
	if err != nil {
		return nil, &ListenError{Network: network, Spec: p, Err: err}
	}
	return l, nil
}

func listen(ctx context.Context, network string, p port.Spec, o Options) (net.Listener, error) {
	if err := o.check(); err != nil {
		return nil, explain(err, "%v", err)
	}
	switch network {
	case "tcp":
		return listenTCP(ctx, p, o)
	case "udp":
		return listenUDP(ctx, p, o)
	case "unix":
		return listenUnix(p, o)
	case "unixgram":
		return listenUnixgram(p, o)
	}
	return nil, explain(nil, "unknown network %q", network)
}

func listenTCP(ctx context.Context, p port.Spec, o Options) (net.Listener, error) {
	pl, err := resolve(ctx, "tcp", p)
	if err != nil {
		return nil, explain(err, "%v", err)
	}
	lc := net.ListenConfig{Control: o.controlTCP}
	acceptedKeepAlive(&lc, o)
	// Sockets accepted from a Multipath TCP listener inherit only part of the
	// options, depending on the kernel.
	lc.SetMultipathTCP(false)
	l, err := openAt(pl, func(family, address string) (net.Listener, error) {
		return lc.Listen(ctx, "tcp"+family, address)
	})
	if err != nil {
		return nil, err
	}
	s := &StreamListener{sock: l.(*net.TCPListener), named: newNamed(p, l.Addr()), sendTimeout: sendTimeout(o)}
	if o.Backlog != 0 {
		// Package net always sets the highest backlog that the system allows.
		if err := onSocket(s.sock, func(fd uintptr) error { return setBacklog(fd, o.Backlog) }); err != nil {
			l.Close()
			return nil, err
		}
	}
	return s, nil
}

func (o Options) controlTCP(_, _ string, c syscall.RawConn) error {
	return onRaw(c, func(fd uintptr) error {
		if err := o.beforeBind(fd); err != nil {
			return err
		}
		return inheritTCP(fd, o) // package net has set SO_REUSEADDR and IPV6_V6ONLY
	})
}

// beforeBind sets what decides which addresses the socket may be bound to.
func (o Options) beforeBind(fd uintptr) error {
	if o.ReusePort {
		if err := setReusePort(fd); err != nil {
			return err
		}
	}
	if o.Freebind {
		return setFreebind(fd)
	}
	return nil
}

func listenUDP(ctx context.Context, p port.Spec, o Options) (net.Listener, error) {
	pl, err := resolve(ctx, "udp", p)
	if err != nil {
		return nil, explain(err, "%v", err)
	}
	lc := net.ListenConfig{Control: o.controlUDP}
	pc, err := openAt(pl, func(family, address string) (net.PacketConn, error) {
		return lc.ListenPacket(ctx, "udp"+family, address)
	})
	if err != nil {
		return nil, err
	}
	conn := pc.(*net.UDPConn)
	l, err := newUDPListener(conn, p, o)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return l, nil
}

func (o Options) controlUDP(_, _ string, c syscall.RawConn) error {
	return onRaw(c, func(fd uintptr) error {
		if err := o.beforeBind(fd); err != nil {
			return err
		}
		return setBroadcast(fd, o.UDPBroadcast) // package net enables it
	})
}

// onSocket calls f with the descriptor of s.
func onSocket(s syscall.Conn, f func(fd uintptr) error) error {
	c, err := s.SyscallConn()
	if err != nil {
		return err
	}
	return onRaw(c, f)
}

func onRaw(c syscall.RawConn, f func(fd uintptr) error) error {
	var err error
	if cerr := c.Control(func(fd uintptr) { err = f(fd) }); cerr != nil {
		return cerr
	}
	return err
}

// named is the port of a listener, as requested and as bound.
type named struct {
	asked, real port.Spec
}

// newNamed puts the bound port number into p.
func newNamed(p port.Spec, bound net.Addr) named {
	n := named{asked: p, real: p}
	switch a := bound.(type) {
	case *net.TCPAddr:
		n.real.Port = strconv.Itoa(a.Port)
	case *net.UDPAddr:
		n.real.Port = strconv.Itoa(a.Port)
	}
	return n
}

// Spec returns the listener's port, with the bound number instead of 0 or a
// service name.
func (n *named) Spec() port.Spec { return n.real }

// Asked returns the port as requested.
func (n *named) Asked() port.Spec { return n.asked }

func opError(op string, a net.Addr, err error) error {
	return &net.OpError{Op: op, Net: a.Network(), Addr: a, Err: err}
}
