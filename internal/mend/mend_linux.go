package mend

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"netserver/sock"
)

// mend is Socket for a descriptor.
func mend(fd int, r sock.Request) (found []string, err error) {
	note := func(what string, bad error) {
		found = append(found, what)
		if bad != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w: %w", what, ErrSpoiled, bad))
		}
	}
	if strings.HasPrefix(r.Network, "udp") || r.Network == "unixgram" {
		mendPacket(fd, note)
	} else {
		mendStream(fd, r, note)
	}
	// Any filter may drop everything.
	if n, ferr := filterLength(fd); n > 0 || errors.Is(ferr, unix.EACCES) {
		note("a filter was attached", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0))
	}
	if !r.Spec.IsUnix() {
		mendNetwork(fd, note)
	}
	return found, err
}

func mendStream(fd int, r sock.Request, note func(string, error)) {
	on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	switch {
	case err != nil:
		note("whether it listens cannot be determined", err)
		return
	case on == 0:
		note("it was shut down", listenAgain(fd, r))
		return
	case isShut(fd):
		// On a UNIX socket nothing undoes that.
		note("it was shut down", unix.ENOTCONN)
		return
	}
	// The backlog cannot be queried, but setting it costs nothing.
	if err := listenOn(fd, r); err != nil {
		note("it cannot listen", err)
	}
}

// listenAgain makes a TCP socket that was shut down listen again at its
// address.
func listenAgain(fd int, r sock.Request) error {
	was, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	// A socket whose port the system chose has lost it; others are still
	// bound.
	if err := unix.Bind(fd, was); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	if err := listenOn(fd, r); err != nil {
		return err
	}
	now, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	if portOfAddr(was) != portOfAddr(now) || r.Spec.Port != fmt.Sprint(portOfAddr(now)) {
		unix.Shutdown(fd, unix.SHUT_RDWR) // nobody knows the new port
		return errors.New("its port has changed")
	}
	return nil
}

func portOfAddr(a unix.Sockaddr) int {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return a.Port
	case *unix.SockaddrInet6:
		return a.Port
	}
	return 0
}

func mendPacket(fd int, note func(string, error)) {
	if isShut(fd) {
		note("it was shut down", unix.ENOTCONN)
		return
	}
	if _, err := unix.Getpeername(fd); err == nil {
		// It receives no datagrams from others. Disconnecting it may change
		// its address too.
		note("it was connected to one peer", unix.EISCONN)
	}
}

// isShut reports whether shutdown(2) was called.
func isShut(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0 && p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP) != 0
}

// filterLength returns how many instructions the socket's filter has. The
// error is EACCES for one that is not a classic BPF program.
func filterLength(fd int) (int, error) {
	var n uint32 // no room for instructions: only the length is returned
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_GET_FILTER, 0, uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// mendNetwork undoes changes that keep datagrams and connections of the
// network from a socket.
func mendNetwork(fd int, note func(string, error)) {
	if dev, err := unix.GetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE); err == nil && dev != "" {
		note("it was bound to a device", unix.BindToDevice(fd, ""))
	}
	for _, o := range []struct {
		level, option int
		name          string
	}{
		{unix.IPPROTO_IP, unix.IP_MINTTL, "IP_MINTTL"},
		{unix.IPPROTO_IPV6, unix.IPV6_MINHOPCOUNT, "IPV6_MINHOPCOUNT"},
	} {
		if n, err := unix.GetsockoptInt(fd, o.level, o.option); err == nil && n != 0 {
			note(o.name+" was set", unix.SetsockoptInt(fd, o.level, o.option, 0))
		}
	}
}

// listenOn sets the socket's backlog: listen(2) may be called again.
func listenOn(fd int, r sock.Request) error {
	return os.NewSyscallError("listen", unix.Listen(fd, r.Options.EffectiveBacklog()))
}
