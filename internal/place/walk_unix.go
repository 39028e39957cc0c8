//go:build unix

package place

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// A walker goes along a path to a file. After walk it holds the file's directory open.
type walker struct {
	path  string
	trust trusted

	noLink   bool // refuse a link at the end
	keepLink bool // accept a link at the end without following it
	follow   bool // follow links that others could have put there

	todo    []string
	links   int
	dir     int // descriptor
	names   []string
	dirStat unix.Stat_t
	name    string       // in dir
	entry   *unix.Stat_t // nil: there is none
	exposed string       // why somebody else may have replaced a directory on the way
	magic   bool         // a link of procfs, which only the kernel can follow
}

func newWalker(path string, t trusted) (*walker, error) {
	abs, err := absolute(path)
	if err != nil {
		return nil, err
	}
	w := &walker{path: path, trust: t, todo: split(abs), dir: -1}
	if len(w.todo) == 0 || strings.HasSuffix(path, "/") {
		return nil, unix.EISDIR
	}
	return w, w.toRoot()
}

func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

func (w *walker) close() {
	if w.dir >= 0 {
		unix.Close(w.dir)
		w.dir = -1
	}
}

func (w *walker) at() string { return "/" + strings.Join(w.names, "/") }

func (w *walker) toRoot() error {
	fd, err := unix.Open("/", dirFlags|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	w.close()
	w.dir, w.names, w.exposed = fd, nil, ""
	return unix.Fstat(fd, &w.dirStat)
}

// walk goes to the last directory and looks the entry up.
func (w *walker) walk() error {
	for {
		name, last := w.todo[0], len(w.todo) == 1
		w.todo = w.todo[1:]
		if name == "." && !last {
			continue
		}
		if last && (name == "." || name == "..") {
			return unix.EISDIR
		}
		var st unix.Stat_t
		err := unix.Fstatat(w.dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if last && errors.Is(err, unix.ENOENT) {
			w.name, w.entry = name, nil
			return nil
		}
		if err != nil {
			return err
		}
		link := st.Mode&unix.S_IFMT == unix.S_IFLNK
		switch {
		case link && isProc(w.dir):
			if done, err := w.throughProc(name, &st, last); done || err != nil {
				return err
			}
		case link && last && w.noLink && w.keepLink:
			w.name, w.entry = name, &st
			return nil
		case link:
			if err := w.throughLink(name, &st, last); err != nil {
				return err
			}
		case last:
			w.name, w.entry = name, &st
			return nil
		default:
			if err := w.enter(name, &st); err != nil {
				return err
			}
		}
	}
}

// enter opens a directory.
func (w *walker) enter(name string, st *unix.Stat_t) error {
	if name != ".." {
		w.note(st)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return unix.ENOTDIR
	}
	fd, err := unix.Openat(w.dir, name, dirFlags|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		return errChanged
	}
	if err != nil {
		return err
	}
	var now unix.Stat_t
	if err := unix.Fstat(fd, &now); err != nil || !same(&now, st) {
		unix.Close(fd)
		return errors.Join(err, errChanged)
	}
	unix.Close(w.dir)
	w.dir, w.dirStat = fd, now
	switch {
	case name != "..":
		w.names = append(w.names, name)
	case len(w.names) > 0:
		w.names = w.names[:len(w.names)-1]
	}
	return nil
}

// note keeps the first reason why others may control the rest of the path.
func (w *walker) note(st *unix.Stat_t) {
	if w.exposed == "" && !w.trust.protects(&w.dirStat, st) {
		w.exposed = w.describe(&w.dirStat)
	}
}

// throughLink follows a link if nobody else could have put it there.
func (w *walker) throughLink(name string, st *unix.Stat_t, last bool) error {
	if w.links++; w.links > maxLinks {
		return unix.ELOOP
	}
	exposed := w.exposed
	w.note(st)
	where := strings.TrimSuffix(w.at(), "/") + "/" + name
	switch {
	case last && w.noLink:
		return fmt.Errorf("%s is a symbolic link, which is not followed: remove it", where)
	case w.exposed != "" && !w.follow:
		return fmt.Errorf("%s is a symbolic link of %s, and %s, so that it is not followed: remove it, or choose a directory that only root may write to", where, userName(int(st.Uid)), w.exposed)
	}
	buf := make([]byte, 4096)
	n, err := unix.Readlinkat(w.dir, name, buf)
	switch {
	case errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT):
		return errChanged
	case err != nil:
		return err
	case n == 0 || n == len(buf):
		return unix.ENAMETOOLONG
	}
	to := string(buf[:n])
	if to[0] == '/' {
		kept := w.exposed
		if err := w.toRoot(); err != nil {
			return err
		}
		if w.follow {
			w.exposed = kept // only reported, so the first one counts
		} else {
			w.exposed = exposed
		}
	}
	w.todo = append(split(to), w.todo...)
	if len(w.todo) == 0 {
		return unix.EISDIR
	}
	return nil
}

// isThere looks some times whether the name leads to the open file, and is its
// only one.
func (w *walker) isThere(fd int) bool {
	for range 8 {
		var name, file unix.Stat_t
		if unix.Fstatat(w.dir, w.name, &name, unix.AT_SYMLINK_NOFOLLOW) != nil || unix.Fstat(fd, &file) != nil {
			return false
		}
		if !same(&name, &file) || name.Nlink != w.entry.Nlink || file.Nlink != w.entry.Nlink {
			return false
		}
	}
	return true
}
