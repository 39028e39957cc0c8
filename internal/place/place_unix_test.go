//go:build unix

package place

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const other = 12345 // a user who is somebody else

// root returns a directory of root's own, below a sticky one as a rule.
func root(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("for root")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mkdir makes a directory that may have another owner.
func mkdir(t *testing.T, path string, mode fs.FileMode, uid int) string {
	t.Helper()
	must(t, os.MkdirAll(path, 0o755))
	must(t, os.Chown(path, uid, uid))
	must(t, os.Chmod(path, mode))
	return path
}

func write(t *testing.T, path string, uid int) string {
	t.Helper()
	must(t, os.WriteFile(path, []byte("old\n"), 0o644))
	must(t, os.Chown(path, uid, uid))
	return path
}

// lookAs makes a link that belongs to uid.
func linkAs(t *testing.T, uid int, to, path string) {
	t.Helper()
	must(t, os.Symlink(to, path))
	must(t, os.Lchown(path, uid, uid))
}

const appendTo = os.O_WRONLY | os.O_APPEND | os.O_CREATE

// What other users put in the way of a file of root's is not used.
func TestPlanted(t *testing.T) {
	base := root(t)
	target := write(t, filepath.Join(base, "target"), 0)
	for name, dir := range map[string]string{
		"own":    mkdir(t, filepath.Join(base, "own"), 0o755, other),
		"sticky": mkdir(t, filepath.Join(base, "sticky"), 0o777|fs.ModeSticky, 0),
		"open":   mkdir(t, filepath.Join(base, "open"), 0o777, 0),
		"group":  mkdir(t, filepath.Join(base, "group"), 0o775, 0),
		"below":  mkdir(t, filepath.Join(mkdir(t, filepath.Join(base, "above"), 0o755, other), "below"), 0o755, 0),
	} {
		at := func(file string) string { return filepath.Join(dir, file) }
		linkAs(t, other, target, at("link"))
		linkAs(t, other, filepath.Join(base, "new"), at("to-nothing"))
		linkAs(t, other, base, at("dir"))
		must(t, os.Link(target, at("hard")))
		must(t, syscall.Mkfifo(at("pipe"), 0o666))
		must(t, os.Lchown(at("pipe"), other, other))
		for file, why := range map[string]string{
			"link":       at("link") + " is a symbolic link of user 12345",
			"to-nothing": "is a symbolic link of user 12345",
			"dir/target": at("dir") + " is a symbolic link of user 12345",
			"hard":       "it has 2 names",
			"pipe":       "it belongs to user 12345",
		} {
			f, err := OpenFile(at(file), appendTo|syscall.O_NONBLOCK, 0o640, Options{})
			if err == nil {
				f.Close()
			}
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s: %s: %v; want %q", name, file, err, why)
			}
		}
		os.Remove(at("hard"))
		// A file of its own is made, and used again.
		for range 2 {
			f, err := OpenFile(at("log"), appendTo, 0o640, Options{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			f.Close()
		}
	}
	if _, err := os.Stat(filepath.Join(base, "new")); err == nil {
		t.Error("a file was made through a link")
	}
	// Another one's file, where all put files.
	write(t, filepath.Join(base, "sticky", "theirs"), other)
	if _, err := OpenFile(filepath.Join(base, "sticky", "theirs"), appendTo, 0o640, Options{}); err == nil || !strings.Contains(err.Error(), "it belongs to user 12345") {
		t.Error(err)
	}
}

// What an administrator sets up works.
func TestOrdinary(t *testing.T) {
	base := root(t)
	real := mkdir(t, filepath.Join(base, "real"), 0o755, 0)
	must(t, os.Symlink(real, filepath.Join(base, "dir")))
	must(t, os.Symlink("../real/file", filepath.Join(real, "link")))
	must(t, os.Symlink(filepath.Join(real, "file"), filepath.Join(base, "abs")))
	theirs := mkdir(t, filepath.Join(base, "theirs"), 0o755, other)
	sticky := mkdir(t, filepath.Join(base, "sticky"), 0o777|fs.ModeSticky, 0)
	must(t, os.Symlink(filepath.Join(real, "file"), filepath.Join(sticky, "mine")))
	mkdir(t, filepath.Join(sticky, "mydir"), 0o755, 0)
	must(t, os.Symlink("../../real", filepath.Join(sticky, "mydir", "up")))
	write(t, filepath.Join(theirs, "theirs"), other)
	t.Chdir(base)
	for _, path := range []string{
		filepath.Join(base, "dir/file"), filepath.Join(real, "link"), filepath.Join(base, "abs"), filepath.Join(sticky, "mine"),
		filepath.Join(sticky, "mydir/up/file"), "real/file", "./real//./file", "theirs/../real/file", filepath.Join(theirs, "theirs"), "/dev/null", "/dev/fd/2",
	} {
		f, err := OpenFile(path, appendTo, 0o640, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		if path != "/dev/null" && path != "/dev/fd/2" {
			info, err := f.Stat()
			want, werr := os.Stat(path)
			if err != nil || werr != nil || !os.SameFile(info, want) {
				t.Errorf("%s: another file: %v, %v", path, err, werr)
			}
		}
		f.Close()
	}
	// Of the user who serves, in that user's directory.
	f, err := OpenFile(filepath.Join(theirs, "new"), appendTo, 0o640, Options{Owner: other, Group: other})
	must(t, err)
	info, err := f.Stat()
	f.Close()
	if st, ok := info.Sys().(*syscall.Stat_t); err != nil || !ok || int(st.Uid) != other || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for path, want := range map[string]error{
		filepath.Join(base, "none/x"): fs.ErrNotExist, filepath.Join(real, "file/x"): syscall.ENOTDIR, real: syscall.EISDIR, "/": syscall.EISDIR, "": fs.ErrNotExist,
	} {
		if _, err := OpenFile(path, appendTo, 0o640, Options{}); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", path, err, want)
		}
	}
	if _, err := OpenFile(filepath.Join(base, "abs"), appendTo, 0o640, Options{NoLink: true}); err == nil {
		t.Error("a link was followed")
	}
}

// However fast somebody exchanges files and directories, root's files are not
// reached.
func TestRacingPlanter(t *testing.T) {
	base := root(t)
	secret := write(t, filepath.Join(mkdir(t, filepath.Join(base, "secret"), 0o755, 0), "log"), 0)
	dir := mkdir(t, filepath.Join(base, "dir"), 0o777, other)
	linkAs(t, other, filepath.Dir(secret), filepath.Join(dir, "evil"))
	linkAs(t, other, secret, filepath.Join(dir, "evil-log"))
	mkdir(t, filepath.Join(dir, "good"), 0o777, other)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			at := func(name string) string { return filepath.Join(dir, name) }
			os.Rename(at("good"), at("sub"))
			os.Symlink(secret, at("sub/next"))
			os.Rename(at("sub/next"), at("sub/log"))
			os.Link(secret, at("sub/next"))
			os.Rename(at("sub/next"), at("sub/log"))
			os.Remove(at("sub/log"))
			os.Rename(at("sub"), at("good"))
			os.Rename(at("evil"), at("sub"))
			os.Rename(at("sub"), at("evil"))
		}
	})
	opened := 0
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		if f, err := OpenFile(filepath.Join(dir, "sub/log"), appendTo, 0o640, Options{}); err == nil {
			opened++
			f.WriteString("led astray\n")
			f.Close()
		}
	}
	close(stop)
	wg.Wait()
	if b, err := os.ReadFile(secret); err != nil || string(b) != "old\n" {
		t.Errorf("after %d files the other has %q, %v", opened, b, err)
	}
}

func TestGuardedAndSteady(t *testing.T) {
	base := root(t)
	own := mkdir(t, filepath.Join(base, "own"), 0o755, 0)
	theirs := mkdir(t, filepath.Join(base, "theirs"), 0o755, other)
	inside := mkdir(t, filepath.Join(theirs, "inside"), 0o755, 0)
	open := mkdir(t, filepath.Join(base, "open"), 0o777, 0)
	sticky := mkdir(t, filepath.Join(base, "sticky"), 0o777|fs.ModeSticky, 0)
	for _, d := range []string{own, theirs, inside, open, sticky} {
		write(t, filepath.Join(d, "f"), 0)
	}
	must(t, os.Chmod(write(t, filepath.Join(own, "loose"), 0), 0o666))
	write(t, filepath.Join(own, "given"), other)
	write(t, filepath.Join(sticky, "given"), other)
	must(t, os.Symlink(filepath.Join(theirs, "f"), filepath.Join(own, "away")))
	linkAs(t, other, filepath.Join(own, "f"), filepath.Join(theirs, "back"))
	for _, c := range []struct {
		path                        string
		guarded, unwritable, steady string // "" is nil
	}{
		{own + "/f", "", "", ""},
		{own + "/none", "", "", ""},
		{own + "/loose", "", "others may write to it (mode 0666): chmod go-w " + own + "/loose", ""},
		{own + "/given", "", "it belongs to user 12345", ""},
		{own + "/away", "the directory " + theirs + " belongs to user 12345", "the directory", ""},
		{theirs + "/f", "the directory " + theirs + " belongs to user 12345", "the directory", ""},
		{theirs + "/back", "the directory " + theirs + " belongs", "the directory", ""},
		{inside + "/f", "the directory " + theirs + " belongs", "the directory", "the directory " + theirs + " belongs"},
		{open + "/f", "others may write to the directory " + open + " (mode 0777)", "others", ""},
		{sticky + "/f", "", "", ""},
		{sticky + "/none", "", "", ""},
		{sticky + "/given", "others may write to the directory " + sticky, "others", ""},
		{theirs + "/back/x", "", "", "is a symbolic link"},
	} {
		for what, got := range map[string]struct {
			err  error
			want string
		}{"guarded": {Guarded(c.path), c.guarded}, "unwritable": {Unwritable(c.path), c.unwritable}, "steady": {Steady(c.path), c.steady}} {
			if strings.HasSuffix(c.path, "back/x") && what != "steady" {
				continue
			}
			if got.want == "" && got.err != nil || got.want != "" && (got.err == nil || !strings.Contains(got.err.Error(), got.want)) {
				t.Errorf("%s %s: %v, want %q", what, c.path, got.err, got.want)
			}
		}
	}
}
