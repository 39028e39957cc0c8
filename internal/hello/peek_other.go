//go:build !unix

package hello

import (
	"errors"
	"net"
)

// await returns at once: here nothing can be seen without taking it, and the
// handshake waits itself.
func await(net.Conn, func()) error { return nil }

// peek tells that it cannot be seen.
func peek(*net.TCPConn) State { return State{Err: errors.ErrUnsupported} }

// Failed returns nil: it cannot be asked without reading.
func Failed(*net.TCPConn) error { return nil }
