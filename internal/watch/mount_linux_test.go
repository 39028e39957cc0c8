package watch

import (
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMounts mounts something over the directory of a file, and takes it away.
func TestMounts(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x")
	write(t, file, "1")
	ch := start(t, &Watcher{Poll: -1, Debounce: 10 * time.Millisecond}, file)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip(err)
	}
	mounted := true
	defer func() {
		if mounted {
			unix.Unmount(dir, unix.MNT_DETACH)
		}
	}()
	told(t, ch, file, "mounted over")
	write(t, file, "22")
	told(t, ch, file, "made there")
	write(t, file, "333")
	told(t, ch, file, "changed there")
	must(t, unix.Unmount(dir, unix.MNT_DETACH))
	mounted = false
	told(t, ch, file, "unmounted")
	write(t, file, "4444")
	told(t, ch, file, "changed below")
}
