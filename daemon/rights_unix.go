//go:build unix

package daemon

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

// rights are what files let a user do, worked out from their owners and modes:
// a supervisor of root finds out what its workers will be able to reach.
type rights struct {
	uid  int
	gids []int
	root string // directory that paths begin at; "" is the system's root
}

// What a user may want to do with a file.
const (
	toRead    = 4
	toWrite   = 2
	toExecute = 1 // or to search a directory
)

var wantWords = map[uint32]string{toRead: "read", toWrite: "write to", toExecute: "execute"}

// maxLinks is how many symbolic links may lie on the way to a file.
const maxLinks = 40

// can returns why the user may not do what is wanted with the file at path, an
// absolute one, or nil. An error that wraps fs.ErrNotExist means that there is
// no such file.
func (r rights) can(path string, want uint32) error {
	var barred error
	info, err := r.walk(path, func(dir string, d, _ fs.FileInfo) bool {
		if !r.allows(dir, d, toExecute) {
			barred = fmt.Errorf("the directory %s is closed to it", dir)
		}
		return barred == nil
	})
	switch {
	case barred != nil:
		return barred
	case err != nil:
		return err
	case !r.allows(path, info, want):
		return fmt.Errorf("it may not %s the file", wantWords[want])
	}
	return nil
}

// mayReplace reports whether the user could put another file, or a link, in
// the place of path or of a directory on the way to it.
func (r rights) mayReplace(path string) bool {
	if r.uid == 0 {
		return false
	}
	found := false
	_, err := r.walk(path, func(dir string, d, entry fs.FileInfo) bool {
		switch uid, ok := ownerOf(d); {
		case !ok || uid == r.uid:
			found = true // it could also change the mode
		case !r.allows(dir, d, toWrite):
		case d.Mode()&os.ModeSticky == 0 || entry == nil:
			found = true
		default:
			uid, ok = ownerOf(entry)
			found = !ok || uid == r.uid
		}
		return !found
	})
	return found || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// walk goes to path as the kernel does. It calls visit with each directory in
// which it looks something up, and with what it finds there, nil for nothing,
// until visit returns false. It returns what is at the end.
func (r rights) walk(path string, visit func(dir string, d, entry fs.FileInfo) bool) (fs.FileInfo, error) {
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

func (r rights) real(path string) string { return filepath.Join("/", r.root, path) }

// allows reports whether the owner and mode of a file let the user do what is
// wanted. Where a list of further users may do so, it is assumed to.
func (r rights) allows(path string, info fs.FileInfo, want uint32) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	mode := uint32(info.Mode().Perm())
	switch {
	case r.uid == 0:
		return want != toExecute || info.IsDir() || mode&0o111 != 0
	case int(st.Uid) == r.uid:
		return mode>>6&want == want
	case hasACL(r.real(path)):
		return true
	case slices.Contains(r.gids, int(st.Gid)):
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

// ownerMayPlant reports whether somebody with that user and groups could put
// another file, or a link, in the place of path.
func ownerMayPlant(path string, uid int, gids []int) bool {
	abs, err := filepath.Abs(path)
	return err != nil || rights{uid: uid, gids: gids}.mayReplace(abs)
}
