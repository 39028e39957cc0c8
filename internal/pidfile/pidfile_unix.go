//go:build unix

package pidfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"netserver/internal/proc"
)

// openPidFlags: a named pipe is not waited for.
const openPidFlags = syscall.O_NONBLOCK

// lockFile takes a lock that only those can take who may write to the file.
func lockFile(f *os.File) error {
	l := unix.Flock_t{Type: unix.F_WRLCK}
	return unix.FcntlFlock(f.Fd(), setLock, &l)
}

func isLocked(err error) bool { return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) }

// lockHolder tells whose the lock is that is in the way. One for reading proves
// nothing, nor does any on a file to which others may write, or which they own.
func lockHolder(f *os.File, info fs.FileInfo) int {
	l := unix.Flock_t{Type: unix.F_WRLCK}
	switch err := unix.FcntlFlock(f.Fd(), getLock, &l); {
	case err == nil && l.Type == unix.F_UNLCK:
		return heldByNone
	case err == nil && l.Type == unix.F_RDLCK || info.Mode()&0o022 != 0 || !ourOwn(info):
		return heldByReader
	}
	return heldByServer
}

func ourOwn(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (st.Uid == 0 || int(st.Uid) == os.Geteuid())
}

// processRuns reports whether there is a process of that number, whosever. One
// that has ended and that its parent has not reaped yet runs no more.
func processRuns(pid int) bool {
	err := unix.Kill(pid, 0)
	return (err == nil || errors.Is(err, unix.EPERM)) && !proc.Ended(pid)
}

// removeOpen does nothing: an open file can be removed.
func removeOpen(*File) {}
