//go:build unix

package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownerMayPlant reports whether somebody with that user and groups could put
// another file, or a link, in the place of path.
func ownerMayPlant(path string, uid int, gids []int) bool {
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return true
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	mode := info.Mode()
	return uid != 0 && (int(st.Uid) == uid ||
		mode&0o020 != 0 && slices.Contains(gids, int(st.Gid)) ||
		mode&0o002 != 0 && mode&os.ModeSticky == 0)
}

// dupFile copies a descriptor.
func dupFile(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}
