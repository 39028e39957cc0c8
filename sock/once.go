package sock

import (
	"io"
	"net"
	"sync"
	"time"

	"netserver/port"
)

// Once returns a listener whose Accept returns nc once and then io.EOF: the
// one client of a server started by inetd. Accept hands nc over to its caller;
// Close closes it if nobody accepted it.
func Once(nc net.Conn) net.Listener {
	spec := port.Spec{IPv: "*"}
	if a := nc.LocalAddr(); a != nil {
		spec = specOf(a)
	}
	return &onceListener{conn: nc, addr: nc.LocalAddr(), named: named{asked: spec, real: spec}}
}

type onceListener struct {
	addr net.Addr
	named

	mu     sync.Mutex
	conn   net.Conn // nil once accepted or closed
	closed bool
}

func (l *onceListener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, net.ErrClosed
	}
	if l.conn == nil {
		return nil, io.EOF
	}
	nc := l.conn
	l.conn = nil
	return nc, nil
}

func (l *onceListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	nc := l.conn
	l.conn = nil
	if nc == nil {
		return nil
	}
	return nc.Close()
}

func (l *onceListener) Addr() net.Addr { return l.addr }

// SetDeadline does nothing, since Accept never waits.
func (l *onceListener) SetDeadline(time.Time) error { return nil }

// specOf describes a local address as a port.
func specOf(a net.Addr) port.Spec {
	switch a.Network() {
	case "unix":
		return port.Spec{Host: "*", Port: a.String(), Proto: "unix", IPv: "*"}
	case "unixgram":
		return port.Spec{Host: "*", Port: a.String(), Proto: "unixdgram", IPv: "*"}
	}
	p := port.Spec{Proto: a.Network(), IPv: "4"}
	host, number, err := net.SplitHostPort(a.String())
	if err != nil {
		return port.Spec{Host: a.String(), Proto: a.Network(), IPv: "*"}
	}
	p.Host, p.Port = host, number
	if ip := net.ParseIP(host); ip == nil || ip.To4() == nil {
		p.IPv = "6"
	}
	return p
}
