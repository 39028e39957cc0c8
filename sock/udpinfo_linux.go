package sock

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// infoSpace holds the control messages of one datagram: on a dual-stack socket
// an IPv4 one can carry IP_PKTINFO and IPV6_PKTINFO.
const infoSpace = 32 + 40

// askInfo makes the kernel report the destination address of each datagram,
// and returns whether it will.
func askInfo(conn *net.UDPConn) (bool, error) {
	err := onSocket(conn, func(fd uintptr) error {
		domain, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err != nil {
			return err
		}
		// A dual-stack socket needs both: only IP_PKTINFO has the address to
		// answer a broadcast from.
		if err := setOption(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1, "IP_PKTINFO"); err != nil {
			return err
		}
		if domain == unix.AF_INET6 {
			return setOption(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO")
		}
		return nil
	})
	return err == nil, err
}

// readInfo returns the destination address of a datagram from sender, and the
// control message that makes the answer leave from there. Both are empty to
// let the kernel choose. The message is part of info, which it changes.
func readInfo(info []byte, sender netip.Addr) (to netip.Addr, answer []byte) {
	v4 := sender.Is4() || sender.Is4In6()
	for len(info) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(info)
		if err != nil {
			return netip.Addr{}, nil
		}
		msg := info[:len(info)-len(rest)]
		info = rest
		switch {
		case v4 && h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			return readInfo4(data), msg
		case !v4 && h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			return readInfo6(data, sender, msg)
		}
	}
	return netip.Addr{}, nil
}

// readInfo4 reads a struct in_pktinfo: interface, address to answer from,
// address sent to. The last two differ for a broadcast.
func readInfo4(data []byte) netip.Addr {
	clear(data[:4]) // see readInfo6
	return netip.AddrFrom4([4]byte(data[8:12]))
}

// readInfo6 reads a struct in6_pktinfo: address sent to, interface.
func readInfo6(data []byte, sender netip.Addr, msg []byte) (netip.Addr, []byte) {
	to := netip.AddrFrom16([16]byte(data[:16]))
	if to.IsMulticast() {
		return to, nil // not an address to send from
	}
	if to.IsLinkLocalUnicast() {
		to = to.WithZone(sender.Zone())
	} else {
		// An interface in the answer would bypass the routing table, which may
		// have another route back. Only a link-local address needs it.
		binary.NativeEndian.PutUint32(data[16:20], 0)
	}
	return to, msg
}
