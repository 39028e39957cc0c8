//go:build unix

package daemon

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
	other := rights{uid: uid + 1, gids: []int{gid + 1}}
	mate := rights{uid: uid + 1, gids: []int{gid + 1, gid}}
	owner := rights{uid: uid, gids: []int{gid + 1}}
	root := rights{uid: 0}
	for _, tc := range []struct {
		r       rights
		path    string
		want    uint32
		why     string // "" is that it can
		replace bool
	}{
		{other, open, toRead, "", false},
		{other, open, toExecute, "", false},
		{other, open, toWrite, "may not write", false},
		{other, closed, toRead, "may not read", false},
		{mate, closed, toRead, "", false},
		{mate, closed, toExecute, "", false},
		{mate, closed, toWrite, "may not write", false},
		{owner, closed, toWrite, "", uid != 0},
		{root, in("private/x"), toRead, "", false},
		{root, in("shared/x"), toExecute, "may not execute", false},
		{other, in("private/x"), toRead, "the directory " + in("private") + " is closed", false},
		{other, link("to-open", "open"), toRead, "", false},
		{other, link("to-private", in("private/x")), toRead, "the directory " + in("private") + " is closed", false},
		{other, link("around", "private/../open"), toRead, "the directory " + in("private") + " is closed", false},
		{other, link("loop", "loop"), toRead, "too many symbolic links", true},
		{other, in("shared/x"), toRead, "may not read", true},
		{other, in("shared/none"), toRead, "no such file", true},
		{other, in("shared/below/x"), toRead, "", true},
		{other, link("into-shared", "shared/below/x"), toRead, "", true},
		{other, in("sticky/x"), toRead, "may not read", false},
		{other, in("sticky/none"), toRead, "no such file", true},
		{other, in("none"), toRead, "no such file", false},
	} {
		err := tc.r.can(tc.path, tc.want)
		if tc.why == "" && err != nil || tc.why != "" && (err == nil || !strings.Contains(err.Error(), tc.why)) {
			t.Errorf("%+v, %s, %d: %v, want %q", tc.r, tc.path, tc.want, err, tc.why)
		}
		if got := tc.r.mayReplace(tc.path); got != tc.replace {
			t.Errorf("%+v, %s: may replace it: %v", tc.r, tc.path, got)
		}
	}
	below := rights{uid: uid + 1, root: dir}
	if err := below.can("/open", toRead); err != nil {
		t.Error(err)
	}
	if err := below.can("/../../open", toRead); err != nil {
		t.Error(err)
	}
	if err := below.can(open, toRead); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
