//go:build unix

package childproc

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// NewPair makes a socket pair for a stream of bytes, and no files: the two
// ends, of which one is for a child. Reading and writing them blocks a thread, which costs
// less CPU than to wait for them, and Close does not end a Read; see ConnOf.
// The caller closes both.
func NewPair() (mine, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	mine, theirs = os.NewFile(uintptr(fds[0]), "pair"), os.NewFile(uintptr(fds[1]), "pair")
	refuseRights(mine)
	refuseRights(theirs)
	return mine, theirs, nil
}

// ConnOf makes a connection of a file that NewPair made, here or in the
// parent: no thread waits for it. The caller closes f.
func ConnOf(f *os.File) (net.Conn, error) {
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("childproc: socket from the parent: %w", err)
	}
	return c, nil
}

// EndPair ends a connection from this end of a pair, whoever else has an end
// by now: reads in any process find its end, and nothing can be written. The
// caller closes f.
func EndPair(f syscall.Conn) error {
	rc, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var down error
	if err := rc.Control(func(fd uintptr) { down = unix.Shutdown(int(fd), unix.SHUT_RDWR) }); err != nil {
		return err
	}
	return os.NewSyscallError("shutdown", down)
}
