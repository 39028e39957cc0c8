//go:build unix

package descriptors

import (
	"os"

	"golang.org/x/sys/unix"
)

// Null opens the null device, for reading and writing. Where there is none, as
// in most directories that a process is locked in, it is the standard input
// that childproc.Start gave this process. The caller closes it.
func Null() (*os.File, error) {
	f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err == nil {
		return f, nil
	}
	if !stdinIsNull() {
		return nil, err
	}
	fd, derr := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, First)
	if derr != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), os.DevNull), nil
}
