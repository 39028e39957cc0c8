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

// closeMode makes bind(2) create the file with no permission for anyone:
// Linux takes the mode from the socket. setAccess opens it afterwards.
func closeMode(fd int) { _ = unix.Fchmod(fd, 0) } // if it fails, the umask decides as without it

// setAccess gives the socket file its owner and mode; -1 and 0 leave them. It
// goes through a descriptor of the file itself: a directory's owner could put
// a link in the file's place, and have root give that one away.
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
	// One link and our own: not some other socket of root's, linked here.
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
