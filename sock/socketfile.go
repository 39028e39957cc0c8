package sock

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// checkPath refuses paths that cannot be bound, or are not files.
func checkPath(path string) error {
	switch {
	case path == "":
		return explain(nil, "the path is empty")
	case len(path) > maxUnixPath:
		return explain(nil, "the path has %d bytes, the limit is %d", len(path), maxUnixPath)
	case path[0] == '@':
		return explain(nil, "a name that begins with @ is an abstract socket, which no permission protects: use a path (./@name for a file)")
	case strings.ContainsRune(path, 0):
		return explain(nil, "the path has a zero byte")
	}
	return nil
}

// A socketFile is the file of a UNIX socket that is open in this process. A
// nil socketFile is that of a socket without one.
type socketFile struct {
	path string      // absolute, since the working directory may change
	info fs.FileInfo // when it was bound; nil if stat failed

	mu     sync.Mutex
	unlink bool
}

// newSocketFile records the file that a socket was just bound to.
func newSocketFile(path string, unlink bool) (*socketFile, error) {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	info, err := os.Lstat(path)
	if err != nil {
		info = nil
	}
	return &socketFile{path: path, info: info, unlink: unlink}, err
}

func (f *socketFile) setUnlink(unlink bool) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unlink = unlink
}

// remove removes the file, once, if it should be removed and is still the
// same.
func (f *socketFile) remove() error {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.unlink || f.info == nil {
		return nil
	}
	f.unlink = false
	return removeSame(f.path, f.info)
}

// removeSame removes the file at path if it is the one that info describes. It
// never removes another file, not even one that takes the path at this very
// moment: it moves the file aside, checks it again, and moves it back if it is
// the wrong one.
func removeSame(path string, info fs.FileInfo) error {
	same, err := isSame(path, info)
	if !same {
		return err
	}
	aside := filepath.Join(filepath.Dir(path), ".ns-"+strconv.FormatUint(rand.Uint64(), 36))
	if err := os.Rename(path, aside); err != nil {
		return ignoreMissing(err)
	}
	same, err = isSame(aside, info)
	if !same {
		err = errors.Join(err, os.Link(aside, path)) // fails if yet another took the path
	}
	return errors.Join(err, os.Remove(aside))
}

// isSame reports whether the file at path is the one that info describes. It
// compares the time too, since inode numbers are reused.
func isSame(path string, info fs.FileInfo) (bool, error) {
	now, err := os.Lstat(path)
	if err != nil {
		return false, ignoreMissing(err)
	}
	return os.SameFile(now, info) && now.ModTime().Equal(info.ModTime()), nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// clearStale frees path for bind: it removes a socket file that no process has
// open. Anything else is kept and named in the error.
func clearStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return explain(fs.ErrExist, "%s is in the way and is not removed", kindOf(info.Mode()))
	}
	open, err := isOpen(path)
	if err != nil {
		return explain(err, "there is a socket file already, and whether a server uses it cannot be determined: %v", err)
	}
	if open {
		return errInUse
	}
	return removeSame(path, info)
}

func kindOf(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return "a regular file"
	case m.IsDir():
		return "a directory"
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	}
	return "a file that is not a socket"
}
