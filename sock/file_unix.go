//go:build unix

package sock

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// copyFile duplicates the descriptor of a socket.
//
// Package net's File method does not suffice. The Fd method of its result, and
// so os/exec, makes the socket blocking, even for processes that accept on it
// at that time: O_NONBLOCK belongs to the socket, not to the descriptor. And
// each non-blocking os.File is in the poller, so a supervisor that only keeps
// the descriptor would be woken for every connection. So the os.File is made
// of a blocking placeholder, which is not polled, and the socket then takes
// the placeholder's number.
func copyFile(c syscall.Conn, name string) (*os.File, error) {
	fd, err := newUnixSocket(unix.SOCK_DGRAM)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), name)
	err = onSocket(c, func(from uintptr) error {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		return os.NewSyscallError("dup", dupOver(int(from), fd))
	})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
