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

// A Protocol makes the Transport of one port. It checks the port's parameters,
// so a wrong certificate path stops the start, not the first client.
type Protocol func(p port.Spec) (Transport, error)
