package watch

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// told waits until the watcher tells of want.
func told(t *testing.T, ch <-chan []string, want, what string) {
	t.Helper()
	end := time.After(30 * time.Second)
	for {
		select {
		case got := <-ch:
			if slices.Contains(got, want) {
				return
			}
		case <-end:
			t.Fatalf("%s: no change told", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestReplacedDirectories replaces a directory on the way to a file, and then
// the file in it: both are told at once, as no look is due.
func TestReplacedDirectories(t *testing.T) {
	for name, replace := range map[string]func(t *testing.T, root string){
		"renamed away and made again": func(t *testing.T, root string) {
			must(t, os.Rename(root+"/a/b", root+"/old"))
			must(t, os.Mkdir(root+"/a/b", 0o755))
		},
		"removed and made again": func(t *testing.T, root string) {
			must(t, os.RemoveAll(root+"/a/b"))
			must(t, os.Mkdir(root+"/a/b", 0o755))
		},
		"one above it": func(t *testing.T, root string) {
			must(t, os.Rename(root+"/a", root+"/old"))
			must(t, os.MkdirAll(root+"/a/b", 0o755))
		},
		"another in its place": func(t *testing.T, root string) {
			must(t, os.Mkdir(root+"/new", 0o755))
			must(t, os.Rename(root+"/a/b", root+"/old"))
			must(t, os.Rename(root+"/new", root+"/a/b"))
		},
		"renamed away and back": func(t *testing.T, root string) {
			must(t, os.Rename(root+"/a/b", root+"/old"))
			must(t, os.Rename(root+"/old", root+"/a/b"))
			must(t, os.Remove(root+"/a/b/x"))
		},
	} {
		t.Run(name, func(t *testing.T) { replaced(t, &Watcher{Poll: -1, Debounce: 10 * time.Millisecond}, replace) })
		t.Run(name+", looked for", func(t *testing.T) {
			replaced(t, &Watcher{Poll: -1, Debounce: 10 * time.Millisecond, look: 20 * time.Millisecond}, replace)
		})
	}
}

func replaced(t *testing.T, w *Watcher, replace func(*testing.T, string)) {
	t.Helper()
	root := t.TempDir()
	must(t, os.MkdirAll(root+"/a/b", 0o755))
	file := filepath.Join(root, "a", "b", "x")
	write(t, file, "1")
	ch := start(t, w, file)
	for n := range 3 {
		replace(t, root)
		told(t, ch, file, "gone")
		write(t, file, string(make([]byte, n+2)))
		told(t, ch, file, "there again")
		write(t, file, string(make([]byte, n+20)))
		told(t, ch, file, "changed")
		must(t, os.RemoveAll(root+"/old"))
	}
}

// TestFoundWhenItAppears: neither the file nor its directory is there yet.
func TestFoundWhenItAppears(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "a", "b", "x")
	ch := start(t, &Watcher{Poll: -1, Debounce: 10 * time.Millisecond}, file)
	must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	write(t, file, "1")
	told(t, ch, file, "made")
	write(t, file, "22")
	told(t, ch, file, "changed")
}

// TestLastLinkOfAChain swaps each link on the way, as Kubernetes swaps ..data,
// and the directory that the last one leads to.
func TestLastLinkOfAChain(t *testing.T) {
	root := t.TempDir()
	for _, d := range []string{"v1", "v2"} {
		must(t, os.Mkdir(filepath.Join(root, d), 0o755))
		write(t, filepath.Join(root, d, "x"), d+d)
	}
	if err := os.Symlink("v1", filepath.Join(root, "..data")); err != nil {
		t.Skip(err)
	}
	must(t, os.Symlink("..data", filepath.Join(root, "current")))
	file := filepath.Join(root, "current", "x")
	ch := start(t, &Watcher{Poll: -1, Debounce: 10 * time.Millisecond}, file)
	swap := func(link, target string) {
		must(t, os.Symlink(target, filepath.Join(root, "new")))
		must(t, os.Rename(filepath.Join(root, "new"), filepath.Join(root, link)))
		told(t, ch, file, link+" to "+target)
	}
	swap("..data", "v2")
	swap("..data", "v1")
	swap("current", "v2")
	swap("current", "..data")
	must(t, os.Rename(filepath.Join(root, "v1"), filepath.Join(root, "old")))
	must(t, os.Mkdir(filepath.Join(root, "v1"), 0o755))
	write(t, filepath.Join(root, "v1", "x"), "replaced")
	told(t, ch, file, "the directory at its end")
	write(t, filepath.Join(root, "v1", "x"), "and changed")
	told(t, ch, file, "the file in it")
}
