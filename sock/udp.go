package sock

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"netserver/port"
)

// A udpSocket is a UDP socket as a packetSocket.
type udpSocket struct {
	*net.UDPConn
	local *net.UDPAddr
	// wildcard: the destination address of each datagram must be requested,
	// and answers must come from it, or clients reject them.
	wildcard bool
}

// from is a datagram's sender and what answering it needs.
type from struct {
	addr  netip.AddrPort // udp: the sender, in the socket's form
	unix  *net.UnixAddr  // unixgram: the sender, or nil if it has no address
	info  [infoSpace]byte
	infoN int // bytes of info in use
}

// A udpConn is a DatagramConn with its addresses in the same piece of memory.
type udpConn struct {
	DatagramConn
	localAddr, remoteAddr net.UDPAddr
	localIP, remoteIP     [16]byte
}

func newUDPListener(conn *net.UDPConn, p port.Spec, o Options) (*DatagramListener, error) {
	s := &udpSocket{UDPConn: conn, local: conn.LocalAddr().(*net.UDPAddr)}
	if s.local.IP.IsUnspecified() {
		var err error
		s.wildcard, err = askInfo(conn)
		if err != nil {
			return nil, err
		}
	}
	return newDatagramListener(s, nil, p, o), nil
}

func (s *udpSocket) receive(r *scratch) (n int, err error) {
	if !s.wildcard {
		r.infoN = 0
		n, r.addr, err = s.ReadFromUDPAddrPort(r.buf[:])
		return n, err
	}
	n, r.infoN, _, r.addr, err = s.ReadMsgUDPAddrPort(r.buf[:], r.info[:])
	return n, err
}

func (s *udpSocket) sender(r *scratch) net.Addr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.addr.Addr().Unmap(), r.addr.Port()))
}

func (s *udpSocket) newConn(r *scratch) *DatagramConn {
	u := new(udpConn)
	u.back.addr = r.addr
	setAddr(&u.remoteAddr, &u.remoteIP, r.addr.Addr(), int(r.addr.Port()))
	u.remote = &u.remoteAddr
	u.DatagramConn.local = s.local
	if r.infoN > 0 {
		to, answer := readInfo(r.info[:r.infoN], r.addr.Addr())
		u.back.infoN = copy(u.back.info[:], answer)
		if to.IsValid() {
			setAddr(&u.localAddr, &u.localIP, to, s.local.Port)
			u.DatagramConn.local = &u.localAddr
		}
	}
	return &u.DatagramConn
}

// setAddr fills a with ip, which it stores in mem.
func setAddr(a *net.UDPAddr, mem *[16]byte, ip netip.Addr, port int) {
	*mem = ip.As16()
	a.IP, a.Port, a.Zone = mem[:], port, ip.Zone()
	if ip.Is4() || ip.Is4In6() {
		a.IP, a.Zone = mem[12:], ""
	}
}

func (s *udpSocket) send(c *DatagramConn, p []byte) error {
	_, _, err := s.WriteMsgUDPAddrPort(p, c.back.info[:c.back.infoN], c.back.addr)
	if errors.Is(err, syscall.ECONNREFUSED) {
		// That error is about an earlier packet, perhaps another client's.
		_, _, err = s.WriteMsgUDPAddrPort(p, c.back.info[:c.back.infoN], c.back.addr)
	}
	return err
}
