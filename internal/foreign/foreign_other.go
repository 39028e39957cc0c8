//go:build !linux

package foreign

import (
	"errors"
	"net/netip"
	"os"
	"syscall"
)

var errSystem = errors.New("connecting from addresses of others is only possible on Linux")

// Bind fails.
func Bind(netip.Addr, syscall.RawConn) error { return errSystem }

func open(from netip.Addr) (*os.File, error) { return nil, errors.Join(check(from), errSystem) }

func replace(syscall.RawConn, *os.File) error { return errSystem }

// Why says that it is not possible here.
func Why() error { return errSystem }
