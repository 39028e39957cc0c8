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
	Ready(ctx context.Context, nc net.Conn) (net.Conn, error)
}

// Waits is told when a handshake begins to wait for the network, and when the
// network has something for it. Woken may wait for the handshake's turn.
type Waits interface {
	Waiting()
	Woken()
}

// A Rationed transport can tell what its handshakes wait for, so that they get
// the CPU in turns.
type Rationed interface {
	// ReadyIn is Ready that tells w of its waiting. It may be nil.
	ReadyIn(ctx context.Context, nc net.Conn, w Waits) (net.Conn, error)
}

// A Protocol makes the Transport of one port. It checks the port's parameters,
// so a wrong certificate path stops the start, not the first client.
type Protocol func(p port.Spec) (Transport, error)
