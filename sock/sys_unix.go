//go:build unix

package sock

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// unsupported reports the options that this system does not support.
func (o Options) unsupported() error { return nil }

// errInUse is bind(2)'s error for an address in use.
const errInUse = syscall.EADDRINUSE

func isInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

// showPortUser returns a command that shows which process has a port.
func showPortUser(network, port string) string {
	if runtime.GOOS != "linux" {
		return fmt.Sprintf("lsof -n -i %s:%s", network, port)
	}
	flag := "t"
	if network == "udp" {
		flag = "u"
	}
	return fmt.Sprintf("ss -ln%sp sport = :%s", flag, port)
}

func setOption(fd uintptr, level, option, value int, name string) error {
	return os.NewSyscallError("setsockopt "+name, unix.SetsockoptInt(int(fd), level, option, value))
}

func setReusePort(fd uintptr) error {
	return setOption(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1, "SO_REUSEPORT")
}

func setBroadcast(fd uintptr, on bool) error {
	v := 0
	if on {
		v = 1
	}
	return setOption(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, v, "SO_BROADCAST")
}

// setBacklog changes the backlog of a listening socket: listen(2) may be
// called again.
func setBacklog(fd uintptr, n int) error {
	return os.NewSyscallError("listen", unix.Listen(int(fd), n))
}

// isListening reports whether fd is a socket on which listen(2) was called.
func isListening(fd uintptr) (bool, error) {
	v, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return v != 0, os.NewSyscallError("getsockopt SO_ACCEPTCONN", err)
}
