//go:build unix

package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

var wantWords = map[uint32]string{WantRead: "read", WantWrite: "write to", WantExecute: "execute"}

// maxLinks is how many symbolic links may lie on the way to a file.
const maxLinks = 40

// Can returns why the user may not do what is wanted with the file at path, an
// absolute one, or nil. An error that wraps fs.ErrNotExist means that there is
// no such file.
func (r FileRights) Can(path string, want uint32) error {
	var barred error
	info, err := r.Walk(path, func(dir string, d, _ fs.FileInfo) bool {
		if !r.Allows(dir, d, WantExecute) {
			barred = fmt.Errorf("the directory %s is closed to it", dir)
		}
		return barred == nil
	})
	switch {
	case barred != nil:
		return barred
	case err != nil:
		return err
	case !r.Allows(path, info, want):
		return fmt.Errorf("it may not %s the file", wantWords[want])
	}
	return nil
}

// MayReplace reports whether the user could put another file, or a link, in
// the place of path or of a directory on the way to it.
func (r FileRights) MayReplace(path string) bool {
	if r.UID == 0 {
		return false
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return true
	}
	found := false
	_, err = r.Walk(path, func(dir string, d, entry fs.FileInfo) bool {
		switch uid, ok := ownerOf(d); {
		case !ok || uid == r.UID:
			found = true // it could also change the mode
		case !r.Allows(dir, d, WantWrite):
		case d.Mode()&os.ModeSticky == 0 || entry == nil:
			found = true
		default:
			uid, ok = ownerOf(entry)
			found = !ok || uid == r.UID
		}
		return !found
	})
	return found || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// Walk goes to path as the kernel does. It calls visit with each directory in
// which it looks something up, and with what it finds there, nil for nothing,
// until visit returns false. It returns what is at the end.
func (r FileRights) Walk(path string, visit func(dir string, d, entry fs.FileInfo) bool) (fs.FileInfo, error) {
	at, todo := "/", strings.Split(path, "/")
	for links := 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		}
		d, err := os.Stat(r.real(at))
		if err != nil {
			return nil, err
		}
		next := filepath.Join(at, name)
		entry, err := os.Lstat(r.real(next))
		if err != nil {
			entry = nil
		}
		if !visit(at, d, entry) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if entry.Mode()&os.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return nil, fmt.Errorf("too many symbolic links on the way to %s", path)
		}
		to, err := os.Readlink(r.real(next))
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(to, "/") {
			at = "/"
		}
		todo = append(strings.Split(to, "/"), todo...)
	}
	return os.Lstat(r.real(at))
}

func (r FileRights) real(path string) string { return filepath.Join("/", r.Root, path) }

// Allows reports whether the owner and mode of a file let the user do what is
// wanted. Where a list of further users may do so, it is assumed to.
func (r FileRights) Allows(path string, info fs.FileInfo, want uint32) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	mode := uint32(info.Mode().Perm())
	switch {
	case r.UID == 0:
		return want != WantExecute || info.IsDir() || mode&0o111 != 0
	case int(st.Uid) == r.UID:
		return mode>>6&want == want
	case hasACL(r.real(path)):
		return true
	case slices.Contains(r.Groups, int(st.Gid)):
		return mode>>3&want == want
	}
	return mode&want == want
}

func ownerOf(info fs.FileInfo) (int, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}
