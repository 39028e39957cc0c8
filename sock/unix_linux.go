package sock

import (
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxUnixPath is the length in bytes of the longest socket path.
const maxUnixPath = 107

// dupOver makes to a copy of from, closed on exec.
func dupOver(from, to int) error { return unix.Dup3(from, to, unix.O_CLOEXEC) }

// closeMode makes bind(2) create the file with no permissions: Linux takes the
// mode from the socket. setAccess sets the real mode afterwards.
func closeMode(fd int) { _ = unix.Fchmod(fd, 0) } // if it fails, the umask applies

// setAccess sets the socket file's owner and mode; -1 and 0 leave them. It
// uses a descriptor of the file itself: otherwise a directory's owner could
// replace the file by a link and have root give the target away.
func setAccess(path string, info fs.FileInfo, uid, gid int, mode fs.FileMode) error {
	if uid < 0 && gid < 0 && mode == 0 {
		return nil
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	now, err := f.Stat()
	if err != nil {
		return err
	}
	// It must be ours and have one link: not another socket of root's, linked
	// here.
	if !os.SameFile(now, info) || st.Mode&unix.S_IFMT != unix.S_IFSOCK || st.Nlink != 1 || int(st.Uid) != os.Geteuid() {
		return errNotOwn(path)
	}
	if uid >= 0 || gid >= 0 {
		if err := unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
			return wrapAccess("owner", err)
		}
	}
	if mode == 0 {
		return nil
	}
	err = unix.Fchmodat(fd, "", uint32(mode.Perm()), unix.AT_EMPTY_PATH) // Linux 6.6
	if err != nil {
		err = unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), uint32(mode.Perm()))
	}
	return wrapAccess("mode", err)
}
