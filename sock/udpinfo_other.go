//go:build !linux

package sock

import (
	"net"
	"net/netip"
)

// infoSpace is not used outside Linux.
const infoSpace = 0

// askInfo makes the kernel tell the address that each datagram was sent to.
// It reports whether it will: outside Linux the address is not asked for, and
// the kernel chooses the one that answers leave from.
func askInfo(conn *net.UDPConn) (bool, error) { return false, nil }

// readInfo returns the address that a datagram from sender was sent to, and
// the control message that makes the answer leave from there.
func readInfo(info []byte, sender netip.Addr) (to netip.Addr, answer []byte) { return }
