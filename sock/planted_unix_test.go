//go:build unix

package sock

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Root binds no socket where others could lead it, clears nothing that is not a
// left-over socket, and works in a directory that is another's.
func TestUnixPlanted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("for root")
	}
	base := t.TempDir()
	theirs, elsewhere := filepath.Join(base, "theirs"), filepath.Join(base, "elsewhere")
	must(t, errors.Join(os.MkdirAll(theirs+"/sub", 0o755), os.Mkdir(elsewhere, 0o755), os.WriteFile(elsewhere+"/file", nil, 0o600)))
	must(t, errors.Join(os.Symlink(elsewhere, theirs+"/away"), os.Symlink(elsewhere+"/new", theirs+"/link"), os.Symlink(elsewhere+"/file", theirs+"/to-file"),
		os.Link(elsewhere+"/file", theirs+"/hard")))
	for _, p := range []string{theirs, theirs + "/sub", theirs + "/away", theirs + "/link", theirs + "/to-file"} {
		must(t, os.Lchown(p, 12345, 12345))
	}
	for _, network := range []string{"unix", "unixgram"} {
		for name, want := range map[string]string{
			"away/s":  "away is a symbolic link of user 12345, and the directory " + theirs + " belongs to user 12345",
			"sub/s":   "the directory " + theirs + " belongs to user 12345, so it could be redirected",
			"link":    "a symbolic link is in the way",
			"to-file": "a symbolic link is in the way",
			"hard":    "a regular file is in the way",
		} {
			l, err := Listen(t.Context(), network, unixSpec(theirs+"/"+name), Options{UnixMode: 0o666})
			if err == nil {
				l.Close()
			}
			wantError(t, err, want)
		}
		for range 2 { // the second time over what the first one left
			l, err := Listen(t.Context(), network, unixSpec(theirs+"/s"), Options{UnixMode: 0o666, UnixOwner: "12345"})
			must(t, err)
			l.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false)
			must(t, l.Close())
		}
		must(t, os.Remove(theirs+"/s"))
	}
	if left, err := os.ReadDir(elsewhere); err != nil || len(left) != 1 {
		t.Errorf("in the other directory: %v, %v", left, err)
	}
}
