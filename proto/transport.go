package proto

import (
	"context"
	"net"

	"netserver/port"
)

// A Transport is what one port speaks below the handler. One value serves all
// clients of its port, so Ready must be safe to call concurrently.
type Transport interface {
	// Network names the socket to open or inherit: "tcp", "udp", "unix" or
	// "unixgram".
	Network() string
	// Ready makes an accepted connection usable, with a handshake if it has
	// one. It gives up when ctx is done. It does not close nc when it fails.
	// nc may be a Waits.
	Ready(ctx context.Context, nc net.Conn) (net.Conn, error)
}

// A Waits is a connection that the engine gives Ready where handshakes get the
// CPU in turns: one that waits for the network has none. Its Read tells of
// waiting by itself. A Transport that waits on the connection below it, which
// NetConn returns, calls Waiting before it waits and Woken when there is
// something, which may wait for the handshake's turn. After Ready it is of no
// use: the connection below is the client's.
type Waits interface {
	net.Conn
	Layer
	Waiting()
	Woken()
}

// A teller is told of waiting.
type teller interface {
	Waiting()
	Woken()
}

// under returns the connection that is below a Waits, and what to tell of
// waiting; nil if nc is none.
func under(nc net.Conn) (net.Conn, teller) {
	if w, ok := nc.(Waits); ok {
		return w.NetConn(), w
	}
	return nc, nil
}

// A Protocol makes the Transport of one port. It checks the port's parameters,
// so a wrong certificate path stops the start, not the first client.
type Protocol func(p port.Spec) (Transport, error)
