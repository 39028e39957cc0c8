package foreign

import (
	"errors"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Bind binds a socket by the rights of this process. It takes CAP_NET_RAW or
// CAP_NET_ADMIN.
func Bind(from netip.Addr, rc syscall.RawConn) error {
	if err := check(from); err != nil {
		return err
	}
	var failed error
	err := rc.Control(func(fd uintptr) { failed = bind(int(fd), from) })
	return errors.Join(err, failed)
}

func bind(fd int, from netip.Addr) error {
	level, option, name := unix.SOL_IP, unix.IP_TRANSPARENT, "setsockopt IP_TRANSPARENT"
	var at unix.Sockaddr = &unix.SockaddrInet4{Addr: [4]byte{}}
	if from.Is4() {
		at = &unix.SockaddrInet4{Addr: from.As4()}
	} else {
		level, option, name = unix.SOL_IPV6, unix.IPV6_TRANSPARENT, "setsockopt IPV6_TRANSPARENT"
		at = &unix.SockaddrInet6{Addr: from.As16()}
	}
	if err := unix.SetsockoptInt(fd, level, option, 1); err != nil {
		return os.NewSyscallError(name, err)
	}
	// The port is chosen when the target is known: else there would be no more
	// than one connection for each port of an address.
	if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return os.NewSyscallError("setsockopt IP_BIND_ADDRESS_NO_PORT", err)
	}
	return os.NewSyscallError("bind", unix.Bind(fd, at))
}

// open makes a socket that is bound to the address.
func open(from netip.Addr) (*os.File, error) {
	if err := check(from); err != nil {
		return nil, err
	}
	family := unix.AF_INET
	if from.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := bind(fd, from); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "foreign"), nil
}

// replace puts the socket f in the place of that of rc.
func replace(rc syscall.RawConn, f *os.File) error {
	var failed error
	err := rc.Control(func(fd uintptr) {
		if failed = unix.Dup3(int(f.Fd()), int(fd), unix.O_CLOEXEC); failed == nil {
			failed = unix.SetNonblock(int(fd), true) // Fd has made it wait
		}
	})
	return errors.Join(err, failed)
}

// Why says why this process cannot do it, nil if it can.
func Why() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	if unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1) != nil {
		return errors.New("the system lets only a process with CAP_NET_RAW or CAP_NET_ADMIN connect from addresses of others: start it as root or with one of these capabilities")
	}
	return nil
}
