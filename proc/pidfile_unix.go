//go:build unix

package proc

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openPidFlags: a link somebody put there is not followed, and a named pipe
// not waited for.
const openPidFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

func lockFile(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

func isLocked(err error) bool { return errors.Is(err, unix.EWOULDBLOCK) }

// processRuns reports whether there is a process of that number, whosever.
func processRuns(pid int) bool {
	err := unix.Kill(pid, 0)
	return err == nil || errors.Is(err, unix.EPERM)
}

// removeOpen does nothing: an open file can be removed.
func removeOpen(*PIDFile) {}
