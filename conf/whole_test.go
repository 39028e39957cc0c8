package conf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A file that changed just now is read when it has rested, and one that never
// rests is refused.
func TestReadWhole(t *testing.T) {
	path := write(t, "a.conf", "user x\n")
	const settle = 300 * time.Millisecond
	if _, err := readWhole(path, settle); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || time.Since(info.ModTime()) < settle {
		t.Errorf("it was read %v after its change, %v", time.Since(info.ModTime()), err)
	}
	soon := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, soon, soon); err != nil {
		t.Fatal(err)
	}
	if _, err := readWhole(path, settle); err != nil {
		t.Errorf("of a time to come: %v", err)
	}
	s := argSet()
	if l := s.ReadFile(path); l.NoFinalNewline {
		t.Error("a whole file is none")
	}
	if l := s.ReadFile(write(t, "b.toml", "user = 'x'\nport = '1'")); !l.NoFinalNewline || len(l.Problems) > 0 {
		t.Errorf("%+v", l)
	}
}

func TestReadWholeOfARestlessFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.conf")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				f.WriteString("user x\n")
				f.Seek(0, 0)
			}
		}
	}()
	_, err = readWhole(path, 1500*time.Millisecond) // the writer may get no CPU for long
	close(stop)
	<-done
	if err == nil || !strings.Contains(err.Error(), "changing") {
		t.Error(err)
	}
}
