//go:build !unix

package proto

import (
	"errors"
	"net"
)

// canPeek reports whether peekSocket can look into nc.
func canPeek(net.Conn) bool { return false }

func peekSocket(net.Conn, []byte, int) (int, error) { return 0, errors.ErrUnsupported }
