//go:build unix

package dirstore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"netserver/cluster"
)

// plantUnix puts links, a pipe and another user's file into the store, and
// returns the keys.
func plantUnix(t *testing.T, s *store, at func(string) string) []string {
	t.Helper()
	keys := []string{"link", "hanging", "pipe", "folder"}
	for _, err := range []error{
		os.Symlink(filepath.Base(at("good")), at("link")),
		os.Symlink("/etc/passwd", at("hanging")),
		unix.Mkfifo(at("pipe"), 0o600),
		os.Mkdir(at("folder"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		data, err := os.ReadFile(at("good"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at("others"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(at("others"), 65534, 65534); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, "others")
	}
	return keys
}

func TestDirectoryOfOthers(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"others may write": func(dir string) error { return os.Chmod(dir, 0o777) },
		"belongs to":       func(dir string) error { return os.Chown(dir, 65534, 65534) },
	} {
		if name == "belongs to" && os.Geteuid() != 0 {
			continue
		}
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, cluster.DefaultNamespace), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := spoil(filepath.Join(dir, cluster.DefaultNamespace)); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(context.Background(), "dir:"+dir, cluster.StoreOptions{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The errors of a full and of a read-only file system.
func TestErrorNames(t *testing.T) {
	for err, want := range map[error]error{unix.ENOSPC: cluster.ErrFull, unix.EDQUOT: cluster.ErrFull, unix.EROFS: cluster.ErrReadOnly, unix.EACCES: cluster.ErrDenied} {
		if got := told(&os.PathError{Op: "write", Path: "x", Err: err}); !errors.Is(got, want) {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}
