//go:build unix && !linux

package sock

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// maxUnixPath is the length in bytes of the longest socket path.
const maxUnixPath = 103

// dupOver makes to a copy of from, closed on exec.
func dupOver(from, to int) error {
	if err := unix.Dup2(from, to); err != nil {
		return err
	}
	unix.CloseOnExec(to)
	return nil
}

// closeMode does nothing: on these systems only the umask, which belongs to
// the whole process, sets the mode at bind(2). So a datagram socket has the
// umask's permissions until setAccess, some microseconds later.
func closeMode(fd int) {}

// setAccess sets the socket file's owner and mode; -1 and 0 leave them.
func setAccess(path string, info fs.FileInfo, uid, gid int, mode fs.FileMode) error {
	if uid < 0 && gid < 0 && mode == 0 {
		return nil
	}
	if same, err := isSame(path, info); err != nil {
		return err
	} else if !same {
		return errNotOwn(path)
	}
	if uid >= 0 || gid >= 0 {
		if err := os.Lchown(path, uid, gid); err != nil {
			return wrapAccess("owner", err)
		}
	}
	if mode == 0 {
		return nil
	}
	return wrapAccess("mode", unix.Fchmodat(unix.AT_FDCWD, path, uint32(mode.Perm()), unix.AT_SYMLINK_NOFOLLOW))
}
