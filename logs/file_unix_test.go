//go:build unix

package logs

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFileMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.log")
	openTest(t, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if m := info.Mode().Perm(); m&0o137 != 0 {
		t.Errorf("mode %o lets others in", m)
	}
}

// Opening a named pipe waits for a reader unless told not to.
func TestFilePipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	if f, err := OpenFile(path); err == nil {
		f.Close()
		t.Fatal("opened a pipe that nobody reads")
	} else if !errors.Is(err, syscall.ENXIO) || !strings.Contains(err.Error(), "nobody reads") {
		t.Fatal(err)
	}
	r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f := openTest(t, path)
	fmt.Fprint(f, "hello\n")
	if line, err := bufio.NewReader(r).ReadString('\n'); line != "hello\n" {
		t.Fatalf("%q, %v", line, err)
	}
	r.Close()
	if _, err := fmt.Fprint(f, "gone\n"); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("dead reader: %v", err)
	}
}

// A pipe whose reader has stopped reading makes Write wait; closing the file
// ends that, so a server can stop.
func TestFileCloseEndsAStuckWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f := openTest(t, path)
	done := make(chan error)
	go func() {
		line := []byte(strings.Repeat("x", 4095) + "\n")
		for {
			if _, err := f.Write(line); err != nil {
				done <- err
				return
			}
		}
	}()
	f.Close()
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestFileRefusesSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Skip(err)
	}
	defer l.Close()
	if f, err := OpenFile(path); err == nil {
		f.Close()
		t.Error("opened a socket")
	} else if !strings.Contains(err.Error(), "socket") {
		t.Error(err)
	}
}

func TestFullDiskIsReported(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	f := openTest(t, "/dev/full")
	a := NewAsync(f, 0, nil)
	fmt.Fprint(a, "x\n")
	closeAsync(t, a)
	if a.Lost() != 1 {
		t.Errorf("%d lost, want 1", a.Lost())
	}
}
