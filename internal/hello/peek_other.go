//go:build !unix

package hello

import (
	"errors"
	"net"
)

// await returns at once: here nothing can be seen without taking it, and the
// handshake waits itself.
func await(net.Conn, int, func()) error { return nil }

// peek tells that it cannot be seen.
func peek(net.Conn, int) State { return State{Err: errors.ErrUnsupported} }

// Failed returns nil: it cannot be asked without reading.
func Failed(net.Conn) error { return nil }

// Copy fails, for the same reason.
func Copy(net.Conn, []byte) (int, error) { return 0, errors.ErrUnsupported }

// First fails as well.
func First(net.Conn) (byte, error) { return 0, errors.ErrUnsupported }

// CanCopy tells that Copy works here.
const CanCopy = false
