package place

import "golang.org/x/sys/unix"

const dirFlags = unix.O_PATH

// isProc reports whether a directory is on procfs, whose links may lead to
// objects without a path.
func isProc(dir int) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(dir, &st) == nil && st.Type == unix.PROC_SUPER_MAGIC
}

// throughProc lets the kernel follow a link of procfs.
func (w *way) throughProc(name string, st *unix.Stat_t, last bool) (done bool, err error) {
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
