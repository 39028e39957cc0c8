package proxy

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// directTo reports whether a needs no look-up of any kind, so that the system can
// be asked at once, and returns where it is if that is TCP.
func directTo(a address) (to netip.AddrPort, ok bool) {
	if a.network == "unix" {
		return to, true
	}
	ip, err := netip.ParseAddr(a.host)
	port, perr := strconv.ParseUint(a.port, 10, 16)
	if a.network != "tcp" || err != nil || perr != nil || ip.IsUnspecified() || ip.Zone() != "" || ip.Is4In6() {
		return to, false
	}
	return netip.AddrPortFrom(ip, uint16(port)), true
}

// thisMachine is known by its start, and by the namespaces of this process: two
// containers have different ones.
func thisMachine() (m machine) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	net, neterr := os.Readlink("/proc/self/ns/net")
	if err != nil || neterr != nil {
		return m
	}
	m.network = string(boot) + net
	if files, err := os.Readlink("/proc/self/ns/mnt"); err == nil {
		m.files = m.network + files
	}
	return m
}

// connect begins to connect fd. A second call tells whether that is done.
func (a *attempt) connect(fd uintptr) {
	var to syscall.Sockaddr
	if ip, port := a.to.Addr(), int(a.to.Port()); ip.Is4() {
		to = &syscall.SockaddrInet4{Addr: ip.As4(), Port: port}
	} else {
		to = &syscall.SockaddrInet6{Addr: ip.As16(), Port: port}
	}
	err := syscall.Connect(int(fd), to)
	if err == syscall.EINPROGRESS || err == syscall.EINTR {
		err = syscall.Connect(int(fd), to)
	}
	switch err {
	case nil, syscall.EISCONN:
	case syscall.EINPROGRESS, syscall.EALREADY, syscall.EINTR:
		a.waits = true
	default:
		a.failed = os.NewSyscallError("connect", err)
	}
}

// waitGone waits until the peer of nc, which has ended its direction, is gone,
// and returns true: a UNIX peer that closed its socket, a TCP peer that sent a
// reset, even if only in answer to a keep-alive probe. It returns false once
// nc has a read deadline in the past. stopped, checked once the deadline can
// be set, reports that it was set before.
func waitGone(nc net.Conn, stopped func() bool) (gone bool) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	nc.SetReadDeadline(time.Time{}) // an idle limit's, from the copying
	if stopped() {
		return false
	}
	rc.Read(func(fd uintptr) bool {
		gone = hasLeft(int(fd))
		return gone
	})
	return gone
}

// hasClosed reports whether the peer of nc is gone, as waitGone knows it, or with
// fin has ended its direction.
func hasClosed(nc net.Conn, fin bool) (closed bool) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	rc.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(p, 0)
		closed = n > 0 && err == nil && (fin || p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0)
	})
	return closed
}

func hasLeft(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(p, 0)
	return n > 0 && err == nil && p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
}

// isClosed reports whether nc is a TCP connection that is closed, by a reset
// or because both directions have ended.
func isClosed(nc net.Conn) (closed bool) {
	control(nc, func(fd int) { closed = inStateClose(fd) })
	return closed
}

func inStateClose(fd int) bool {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	return err == nil && info.State == unix.BPF_TCP_CLOSE
}

// sentNoFIN reports whether the peer of nc, a TCP connection of which all n
// bytes were read to the end, is known not to have ended its direction. Linux
// counts a FIN as a byte received. Where other bytes were read before, as with
// TLS or a PROXY header, it is not known.
func sentNoFIN(nc net.Conn, n int64) (none bool) {
	control(nc, func(fd int) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		none = err == nil && n > 0 && info.Bytes_received == uint64(n)
	})
	return none
}

// awaitSent waits until the peer of nc, if that is a TCP connection, has
// acknowledged everything written to it or never will, but no longer than
// limit.
func awaitSent(nc net.Conn, limit time.Duration) {
	end := time.Now().Add(limit)
	for delay := time.Millisecond; time.Now().Before(end); delay = min(2*delay, 50*time.Millisecond) {
		waiting := 0
		control(nc, func(fd int) {
			if !inStateClose(fd) {
				waiting, _ = unix.IoctlGetInt(fd, unix.SIOCOUTQ)
			}
		})
		if waiting == 0 {
			return
		}
		time.Sleep(delay)
	}
}

// control calls f with the descriptor of nc, if it is an open TCP connection.
func control(nc net.Conn, f func(fd int)) {
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	if rc, err := t.SyscallConn(); err == nil {
		rc.Control(func(fd uintptr) { f(int(fd)) })
	}
}
