//go:build !unix

package relay

import (
	"errors"
	"net"
	"syscall"
)

// TryRead and TryWrite are not used: RawOf returns nothing here.
func TryRead(syscall.RawConn, net.Conn, []byte) (int, error)  { return 0, errors.ErrUnsupported }
func TryWrite(syscall.RawConn, net.Conn, []byte) (int, error) { return 0, errors.ErrUnsupported }
