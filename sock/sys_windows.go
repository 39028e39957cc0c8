package sock

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// unsupported reports the options that this system does not support.
func (o Options) unsupported() error {
	var errs []error
	for _, x := range []struct {
		given bool
		key   string
	}{
		{o.Backlog != 0, keyListen},
		{o.ReusePort, keyReusePort},
		{o.UnixMode != 0, keyUnixMode},
		{o.UnixOwner != "", keyUnixOwner},
		{o.UnixGroup != "", keyUnixGroup},
	} {
		if x.given {
			errs = append(errs, errors.New(x.key+": not possible on Windows"))
		}
	}
	return errors.Join(errs...)
}

// errInUse is bind's error for an address in use.
const errInUse = windows.WSAEADDRINUSE

func isInUse(err error) bool { return errors.Is(err, windows.WSAEADDRINUSE) }

// showPortUser returns a command that shows which process has a port.
func showPortUser(network, port string) string { return "netstat -ano" }

func setReusePort(fd uintptr) error { return errors.ErrUnsupported }

func setBroadcast(fd uintptr, on bool) error {
	v := 0
	if on {
		v = 1
	}
	err := windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, windows.SO_BROADCAST, v)
	return os.NewSyscallError("setsockopt SO_BROADCAST", err)
}

func setBacklog(fd uintptr, n int) error { return errors.ErrUnsupported }

// isListening is unused on Windows, where no listener is inherited.
func isListening(fd uintptr) (bool, error) { return false, syscall.EWINDOWS }
