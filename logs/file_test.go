package logs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func openTest(t *testing.T, path string) *File {
	t.Helper()
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFileAppendsAndReopens(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "server.log")
	os.WriteFile(path, []byte("old\n"), 0o600)
	f := openTest(t, path)
	fmt.Fprint(f, "one\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Skip("this system does not move open files:", err)
	}
	fmt.Fprint(f, "two\n")
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, "three\n")
	if got := content(t, path+".1"); got != "old\none\ntwo\n" {
		t.Errorf("moved file: %q", got)
	}
	if got := content(t, path); got != "three\n" {
		t.Errorf("new file: %q", got)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(f, "x"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
	if err := f.Reopen(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Reopen after Close: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// A path that cannot be opened any more must not cost the log that works.
func TestFileFailedReopenKeepsTheOld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.log")
	f := openTest(t, path)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Skip("this system does not move open files:", err)
	}
	os.Mkdir(path, 0o700)
	if err := f.Reopen(); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "stays open") {
		t.Errorf("Reopen: %v", err)
	}
	fmt.Fprint(f, "still\n")
	if got := content(t, path+".1"); got != "still\n" {
		t.Errorf("got %q", got)
	}
}

func TestFileRelativePathSurvivesChdir(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	f := openTest(t, "server.log")
	t.Chdir(t.TempDir())
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, "here\n")
	if got := content(t, filepath.Join(dir, "server.log")); got != "here\n" {
		t.Errorf("got %q", got)
	}
	f.Close() // before the directory goes
}

func TestFileRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{
		"Directory": dir,
		"NoParent":  filepath.Join(dir, "none", "x"),
		"NoName":    "",
		"Class":     "Sys::Syslog",
	} {
		f, err := OpenFile(path)
		if err == nil {
			f.Close()
			t.Errorf("%s: opened", name)
		} else if !strings.HasPrefix(err.Error(), "log file") || strings.Count(err.Error(), "none") > 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFileReopenDuringWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.log")
	f := openTest(t, path)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var wrote [4]int
	for i := range wrote {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := fmt.Fprint(f, "a line\n"); err != nil {
					t.Error(err)
					return
				}
				wrote[i]++
			}
		})
	}
	for range 200 {
		if err := f.Reopen(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	total := 0
	for _, n := range wrote {
		total += n
	}
	if got := strings.Count(content(t, path), "a line\n"); got != total {
		t.Errorf("%d lines in the file, %d were written", got, total)
	}
}

func TestFileStandardStreams(t *testing.T) {
	f := openTest(t, "/dev/stderr")
	if f.f.Load() != os.Stderr || f.Reopen() != nil || f.Close() != nil {
		t.Error("not the process's own stream")
	}
	if _, err := os.Stderr.Stat(); err != nil {
		t.Errorf("Close closed the process's stderr: %v", err)
	}
}
