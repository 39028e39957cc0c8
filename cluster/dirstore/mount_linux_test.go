package dirstore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"netserver/cluster"
)

// A full file system, and one that became read-only: reading goes on, and what
// was there stays.
func TestFullAndReadOnly(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=700"); err != nil {
		t.Skip("cannot mount:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s := openAt(t, dir, "")
	if _, err := s.Set(ctx, "kept", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Set(ctx, "large", bytes.Repeat([]byte("x"), cluster.MaxValue), 0); !errors.Is(err, cluster.ErrFull) {
		t.Errorf("Set on a full file system: %v", err)
	}
	if _, err := s.Set(ctx, "small", []byte("1"), 0); err != nil {
		t.Errorf("the failed write has left something: %v", err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Set(ctx, "small", []byte("2"), 0); !errors.Is(err, cluster.ErrReadOnly) {
		t.Errorf("Set on a read-only file system: %v", err)
	}
	if err := s.Delete(ctx, "small", 0); !errors.Is(err, cluster.ErrReadOnly) {
		t.Errorf("Delete on a read-only file system: %v", err)
	}
	for _, key := range []string{"kept", "small"} {
		if v, err := s.Get(ctx, key); string(v.Data) != "1" {
			t.Errorf("%s: %q, %v", key, v.Data, err)
		}
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
}
