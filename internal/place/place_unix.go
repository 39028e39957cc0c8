//go:build unix

package place

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	maxLinks = 40 // on the way to a file
	attempts = 20 // if somebody keeps changing the path
)

// errChanged says that the opened file is not the one that was checked.
var errChanged = errors.New("somebody keeps putting other files in its place")

// OpenFile is os.OpenFile with the checks of this package. It neither
// truncates a file nor waits for the other end of a named pipe. The error is
// an *fs.PathError.
func OpenFile(path string, flag int, perm fs.FileMode, o Options) (*os.File, error) {
	if flag&(os.O_TRUNC|os.O_EXCL) != 0 {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.ErrUnsupported}
	}
	for range attempts {
		f, err := openOnce(path, flag, perm, o)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, errChanged) {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: errChanged}
}

func openOnce(path string, flag int, perm fs.FileMode, o Options) (*os.File, error) {
	w, err := newWalker(path, trustedUsers(os.Geteuid() == 0))
	if err != nil {
		return nil, err
	}
	defer w.close()
	w.noLink = o.NoLink
	if err := w.walk(); err != nil {
		return nil, err
	}
	var fd int
	switch {
	case w.magic:
		fd, err = w.open(flag, perm)
	case w.entry == nil:
		fd, err = w.create(flag, perm, o)
	default:
		fd, err = w.use(flag, o)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// use opens the existing file.
func (w *walker) use(flag int, o Options) (int, error) {
	if err := w.judge(o); err != nil {
		return -1, err
	}
	fd, err := w.open(flag&^os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ELOOP) {
		return -1, errChanged
	}
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && (!same(&st, w.entry) || st.Nlink != w.entry.Nlink) {
		err = errChanged
	}
	// Somebody may link another file there and remove it again and again: the
	// number of names was 1 in the moment after a removal.
	if err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && !w.stillThere(fd) {
		err = errChanged
	}
	if err == nil && flag&unix.O_NONBLOCK == 0 && st.Mode&unix.S_IFMT == unix.S_IFREG {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// create creates the file.
func (w *walker) create(flag int, perm fs.FileMode, o Options) (int, error) {
	if flag&os.O_CREATE == 0 {
		return -1, unix.ENOENT
	}
	fd, err := w.open(flag|unix.O_EXCL|unix.O_NOFOLLOW, perm)
	switch {
	case errors.Is(err, unix.EEXIST):
		return -1, errChanged
	case err != nil:
		return -1, err
	}
	if o.Owner != 0 && os.Geteuid() == 0 && int(w.dirStat.Uid) == o.Owner {
		if err := unix.Fchown(fd, o.Owner, o.Group); err != nil {
			unix.Close(fd)
			return -1, err
		}
	}
	return fd, nil
}

func (w *walker) open(flag int, perm fs.FileMode) (int, error) {
	for {
		fd, err := unix.Openat(w.dir, w.name, flag|unix.O_CLOEXEC, uint32(perm.Perm()))
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// judge refuses a file that others could have put there.
func (w *walker) judge(o Options) error {
	e := w.entry
	why := w.exposed
	if why == "" && !w.trust.protects(&w.dirStat, e) {
		why = w.describe(&w.dirStat)
	}
	if why == "" {
		return nil
	}
	uid := int(e.Uid)
	kind := e.Mode & unix.S_IFMT
	switch {
	case kind != unix.S_IFREG && kind != unix.S_IFIFO:
		return fmt.Errorf("it is neither a file nor a named pipe, and %s", why)
	case e.Nlink != 1:
		return fmt.Errorf("it has %d names, so that it may be another file that somebody linked there, and %s: remove it", e.Nlink, why)
	case w.trust.of(uid), o.Owner != 0 && uid == o.Owner:
		return nil
	case kind == unix.S_IFREG && uid == int(w.dirStat.Uid) && w.dirStat.Mode&unix.S_ISVTX == 0:
		return nil // the directory's owner could have it anyway
	}
	return fmt.Errorf("it belongs to %s, and %s: remove it, or choose a directory that only root may write to", userName(uid), why)
}

// Steady returns an error if somebody else could replace the directory of
// path, or one above it: then the path cannot be relied on. nil means that the
// directory stays, whatever happens to the file itself.
func Steady(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	w, err := newWalker(path, trustedUsers(true))
	if err != nil {
		return err
	}
	defer w.close()
	w.noLink, w.keepLink = true, true
	err = w.walk()
	switch {
	case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR):
		return nil // its user will report that
	case err != nil:
		return err
	case w.exposed != "":
		return fmt.Errorf("%s, so it could be redirected: choose a directory inside one that root owns, such as /run", w.exposed)
	}
	return nil
}

// Guarded returns an error if somebody other than root and this process's user
// could replace path, or a directory or link on the way to it. The file need
// not exist. In a directory such as /tmp others can add files, but not replace
// ours.
func Guarded(path string) error {
	_, err := guarded(path)
	return err
}

// Unwritable is Guarded for an existing file, which nobody else may write to
// either. also are further users who may own it and directories on the way to
// it.
func Unwritable(path string, also ...int) error {
	e, err := guarded(path, also...)
	switch trust := trustedUsers(true, also...); {
	case err != nil:
		return err
	case e == nil:
		return nil
	case !trust.of(int(e.Uid)):
		return fmt.Errorf("it belongs to %s", userName(int(e.Uid)))
	case e.Mode&0o022 != 0 && e.Mode&unix.S_IFMT != unix.S_IFCHR:
		return fmt.Errorf("others may write to it (mode %04o): chmod go-w %s", e.Mode&0o777, path)
	}
	return nil
}

// guarded returns the entry at path, nil if there is none.
func guarded(path string, also ...int) (*unix.Stat_t, error) {
	w, err := newWalker(path, trustedUsers(true, also...))
	if err != nil {
		return nil, err
	}
	defer w.close()
	w.follow = true
	if err := w.walk(); err != nil {
		return nil, err
	}
	why := w.exposed
	if why == "" && !w.magic && !w.trust.protectsPlace(&w.dirStat, w.entry) {
		why = w.describe(&w.dirStat)
	}
	if why != "" {
		return nil, errors.New(why)
	}
	return w.entry, nil
}

// OthersRead reports whether every user of the system can read the file.
func OthersRead(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o004 != 0
}

// trusted are the users who can do anything to this process anyway.
type trusted struct {
	own    int
	root   int // owner of the root directory: in a container that may be a uid without a name
	also   []int
	strict bool
}

func trustedUsers(strict bool, also ...int) trusted {
	t := trusted{own: os.Geteuid(), strict: strict, also: also}
	var st unix.Stat_t
	if unix.Stat("/", &st) == nil {
		t.root = int(st.Uid)
	}
	return t
}

func (t trusted) of(uid int) bool {
	return uid == 0 || uid == t.own || uid == t.root || slices.Contains(t.also, uid)
}

// protects reports whether nobody else could have put the entry into the
// directory.
func (t trusted) protects(dir, entry *unix.Stat_t) bool {
	own := t.of(int(entry.Uid))
	once := entry.Mode&unix.S_IFMT == unix.S_IFDIR || entry.Nlink == 1
	sticky := dir.Mode&unix.S_ISVTX != 0
	if !t.strict {
		return !sticky || dir.Mode&unix.S_IWOTH == 0 || once && (own || entry.Uid == dir.Uid)
	}
	return t.of(int(dir.Uid)) && (dir.Mode&0o022 == 0 || sticky && own && once)
}

// protectsPlace is protects, also for an entry that does not exist yet.
func (t trusted) protectsPlace(dir, entry *unix.Stat_t) bool {
	if entry == nil {
		return t.of(int(dir.Uid)) && (dir.Mode&0o022 == 0 || dir.Mode&unix.S_ISVTX != 0)
	}
	return t.protects(dir, entry)
}

// describe says why others can change a directory.
func (w *walker) describe(dir *unix.Stat_t) string {
	if !w.trust.of(int(dir.Uid)) {
		return fmt.Sprintf("the directory %s belongs to %s", w.at(), userName(int(dir.Uid)))
	}
	return fmt.Sprintf("others may write to the directory %s (mode %04o)", w.at(), dir.Mode&0o7777)
}

func same(a, b *unix.Stat_t) bool { return a.Dev == b.Dev && a.Ino == b.Ino }

func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return "user " + u.Username + " (" + id + ")"
	}
	return "user " + id
}

// absolute does not clean the path: x/../y is not y if x is a link.
func absolute(path string) (string, error) {
	if path == "" {
		return "", unix.ENOENT
	}
	if path[0] == '/' {
		return path, nil
	}
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(wd, "/") + "/" + path, nil
}
