package watch

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func start(t *testing.T, w *Watcher, files ...string) <-chan []string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out := make(chan []string, 100)
	done := make(chan struct{})
	ready := make(chan struct{})
	go func() {
		defer close(done)
		w.Ready = func() { close(ready) }
		w.Run(ctx, func() []string { return files }, func(p []string) { slices.Sort(p); out <- p })
	}()
	t.Cleanup(func() { cancel(); <-done })
	<-ready
	return out
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// until changes something again and again until the watcher tells of want:
// the first change may come before the watch is set.
func until(t *testing.T, ch <-chan []string, want string, change func(n int)) {
	t.Helper()
	for n := range 50 {
		change(n)
		select {
		case got := <-ch:
			if slices.Contains(got, want) {
				return
			}
		case <-time.After(300 * time.Millisecond):
		}
	}
	t.Fatalf("%s: no change told", want)
}

func TestChangesAreTold(t *testing.T) {
	for name, w := range map[string]*Watcher{"events": {Poll: -1, Debounce: 10 * time.Millisecond}, "poll": {Poll: 20 * time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
			write(t, a, "1")
			ch := start(t, w, a, b)
			until(t, ch, a, func(n int) { write(t, a, string(make([]byte, n+2))) })
			until(t, ch, a, func(n int) { // replaced
				write(t, a+".new", string(make([]byte, n+2)))
				if err := os.Rename(a+".new", a); err != nil {
					t.Fatal(err)
				}
			})
			until(t, ch, b, func(n int) { write(t, b, string(make([]byte, n+2))) })
			until(t, ch, b, func(int) { os.Remove(b) })
		})
	}
}

func TestSwappedLinks(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"one", "two"} {
		os.Mkdir(filepath.Join(dir, d), 0o755)
		write(t, filepath.Join(dir, d, "tls.crt"), d)
	}
	link := filepath.Join(dir, "..data")
	file := filepath.Join(dir, "tls.crt")
	if err := os.Symlink("one", link); err != nil {
		t.Skip(err)
	}
	os.Symlink(filepath.Join("..data", "tls.crt"), file)
	ch := start(t, &Watcher{Poll: -1, Debounce: 10 * time.Millisecond}, file)
	until(t, ch, file, func(n int) {
		os.Symlink([]string{"two", "one"}[n%2], link+".new")
		os.Rename(link+".new", link)
	})
}

func TestTargetsOfLinks(t *testing.T) {
	real := filepath.Join(t.TempDir(), "real")
	write(t, real, "1")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(real, link); err != nil {
		t.Skip(err)
	}
	ch := start(t, &Watcher{Poll: -1, Debounce: 10 * time.Millisecond}, link)
	until(t, ch, link, func(n int) { write(t, real, string(make([]byte, n+2))) })
}

func TestQuietFilesAreNotTold(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write(t, a, "1")
	write(t, b, "1")
	ch := start(t, &Watcher{Poll: -1, Debounce: 10 * time.Millisecond}, a, b)
	until(t, ch, a, func(n int) { write(t, a, string(make([]byte, n+2))) })
	for {
		select {
		case got := <-ch:
			if slices.Contains(got, b) {
				t.Fatal("b has not changed")
			}
			continue
		default:
		}
		return
	}
}
