//go:build unix

package identity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// what the kernel would say, for a user who is neither owner nor in the group.
func TestRights(t *testing.T) {
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	os.Chmod(filepath.Dir(dir), 0o755)
	mk := func(name string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, nil, 0o600)
		}
		if err == nil {
			err = os.Chmod(path, mode)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := func(name, to string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open, closed := mk("open", 0o755), mk("closed", 0o750)
	mk("private/x", 0o777)
	os.Chmod(filepath.Join(dir, "private"), 0o700)
	mk("shared/x", 0o600)
	os.Chmod(filepath.Join(dir, "shared"), 0o777)
	mk("sticky/x", 0o600)
	os.Chmod(filepath.Join(dir, "sticky"), 0o777|os.ModeSticky)
	mk("shared/below/x", 0o644)
	in := func(name string) string { return filepath.Join(dir, name) }
	uid, gid := os.Geteuid(), os.Getegid()
	other := FileRights{UID: uid + 1, Groups: []int{gid + 1}}
	mate := FileRights{UID: uid + 1, Groups: []int{gid + 1, gid}}
	owner := FileRights{UID: uid, Groups: []int{gid + 1}}
	root := FileRights{UID: 0}
	for _, tc := range []struct {
		r       FileRights
		path    string
		want    uint32
		why     string // "" is that it can
		replace bool
	}{
		{other, open, WantRead, "", false},
		{other, open, WantExecute, "", false},
		{other, open, WantWrite, "may not write", false},
		{other, closed, WantRead, "may not read", false},
		{mate, closed, WantRead, "", false},
		{mate, closed, WantExecute, "", false},
		{mate, closed, WantWrite, "may not write", false},
		{owner, closed, WantWrite, "", uid != 0},
		{root, in("private/x"), WantRead, "", false},
		{root, in("shared/x"), WantExecute, "may not execute", false},
		{other, in("private/x"), WantRead, "the directory " + in("private") + " is closed", false},
		{other, link("to-open", "open"), WantRead, "", false},
		{other, link("to-private", in("private/x")), WantRead, "the directory " + in("private") + " is closed", false},
		{other, link("around", "private/../open"), WantRead, "the directory " + in("private") + " is closed", false},
		{other, link("loop", "loop"), WantRead, "too many symbolic links", true},
		{other, in("shared/x"), WantRead, "may not read", true},
		{other, in("shared/none"), WantRead, "no such file", true},
		{other, in("shared/below/x"), WantRead, "", true},
		{other, link("into-shared", "shared/below/x"), WantRead, "", true},
		{other, in("sticky/x"), WantRead, "may not read", false},
		{other, in("sticky/none"), WantRead, "no such file", true},
		{other, in("none"), WantRead, "no such file", false},
	} {
		err := tc.r.Can(tc.path, tc.want)
		if tc.why == "" && err != nil || tc.why != "" && (err == nil || !strings.Contains(err.Error(), tc.why)) {
			t.Errorf("%+v, %s, %d: %v, want %q", tc.r, tc.path, tc.want, err, tc.why)
		}
		if got := tc.r.MayReplace(tc.path); got != tc.replace {
			t.Errorf("%+v, %s: may replace it: %v", tc.r, tc.path, got)
		}
	}
	below := FileRights{UID: uid + 1, Root: dir}
	if err := below.Can("/open", WantRead); err != nil {
		t.Error(err)
	}
	if err := below.Can("/../../open", WantRead); err != nil {
		t.Error(err)
	}
	if err := below.Can(open, WantRead); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
