//go:build unix

package sock

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// copyFile copies the descriptor of a socket.
//
// The File method of package net is not good enough. The Fd method of what it
// returns, and with it os/exec, makes the socket blocking, also for the
// processes that accept on it at that time: blocking is a flag of the socket
// and not of the descriptor. And each non-blocking os.File is in the poller,
// so that a supervisor that only keeps the descriptor would be woken for
// every connection. So the os.File is made of a blocking place holder, which
// is not polled, and the socket then takes the place holder's number.
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
