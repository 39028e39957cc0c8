package proxy

import (
	"net/netip"
	"os"
	"strconv"
	"syscall"
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
