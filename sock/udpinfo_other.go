//go:build !linux

package sock

import (
	"net"
	"net/netip"
)

// infoSpace is not used outside Linux.
const infoSpace = 0

// askInfo returns false: outside Linux, the destination address is not
// requested, and the kernel chooses the source of answers.
func askInfo(conn *net.UDPConn) (bool, error) { return false, nil }

// readInfo is unused outside Linux.
func readInfo(info []byte, sender netip.Addr) (to netip.Addr, answer []byte) { return }
