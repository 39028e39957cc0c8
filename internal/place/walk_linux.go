package place

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const dirFlags = unix.O_PATH

// isProc reports whether a directory is on procfs, whose links may lead to
// objects without a path.
func isProc(dir int) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(dir, &st) == nil && st.Type == unix.PROC_SUPER_MAGIC
}

// throughProc lets the kernel follow a link of procfs.
func (w *walker) throughProc(name string, st *unix.Stat_t, last bool) (done bool, err error) {
	if last && w.noLink {
		return false, unix.ELOOP
	}
	w.note(st)
	if last {
		w.name, w.entry, w.magic = name, nil, true
		var to unix.Stat_t
		if unix.Fstatat(w.dir, name, &to, 0) == nil {
			w.entry = &to
		}
		return true, nil
	}
	fd, err := unix.Openat(w.dir, name, dirFlags|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	unix.Close(w.dir)
	w.dir, w.names = fd, append(w.names, name)
	return false, unix.Fstat(fd, &w.dirStat)
}

// stillThere reports whether the name by which fd was opened is still one of
// the file's, and is in the directory. The kernel knows by which name it was
// opened and forgets it for good when that is removed, even if the file gets the
// same name again. So if it is still there, it was among those that were counted
// before.
func (w *walker) stillThere(fd int) bool {
	// A removal lowers the count first and drops the name then, with the
	// directory locked. Reading the directory waits for that to be over.
	if d, err := unix.Openat(w.dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err == nil {
		var b [512]byte
		unix.ReadDirent(d, b[:])
		unix.Close(d)
	}
	link := func(fd int) (string, error) { return os.Readlink("/proc/self/fd/" + strconv.Itoa(fd)) }
	dir, err := link(w.dir)
	if err != nil {
		return w.isThere(fd) // without /proc
	}
	file, err := link(fd)
	return err == nil && file == strings.TrimSuffix(dir, "/")+"/"+w.name
}
