//go:build !unix

package netserver

import (
	"errors"
	"net"
)

// wait returns at once: here nothing can be seen without taking it, and the
// handshake waits itself.
func (h *helloWait) wait(net.Conn) error { return nil }

// lookForHello tells that it cannot be seen.
func lookForHello(*net.TCPConn) (helloState, error) { return helloState{}, errors.ErrUnsupported }

// hasFailed cannot be asked without reading.
func hasFailed(*net.TCPConn) error { return nil }
