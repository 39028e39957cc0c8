package logging

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"netserver/internal/identity"
)

// Lines that a program does not take are counted in the log, at the end at the
// latest, and nothing waits for it.
func TestStuckProgramLosesLines(t *testing.T) {
	var log bytes.Buffer
	a := &accessLog{own: true, flush: 1}
	c := &Config{Access: "|/bin/sleep 600"}
	if os.Getuid() == 0 {
		c.Owner = &identity.Account{User: "nobody", UID: 65534, GID: 65534, Groups: []int{65534}}
	}
	if err := c.openAccessProgram(a, c.AccessProgram(), slog.New(slog.NewTextHandler(&log, nil))); err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("x", 999) + "\n")
	sink := a.sink(a.queue)
	for range 3000 {
		sink(line)
	}
	a.close()
	if !strings.Contains(log.String(), `msg="lines of the access log were lost" lost=`) {
		t.Errorf("%s", log.String())
	}
}

// A named pipe takes lines while somebody reads it: without a reader it is refused
// at the start; with one that went, lines are lost until there is one again.
func TestNamedPipe(t *testing.T) {
	name := filepath.Join(t.TempDir(), "fifo")
	makeFIFO(t, name)
	c := &Config{Access: name}
	if _, err := c.openAccessFile(); err == nil || !strings.Contains(err.Error(), "a named pipe that nobody reads") {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.openAccessFile()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	read := func(r *os.File, want string) {
		t.Helper()
		b := make([]byte, 100)
		if n, err := r.Read(b); err != nil || string(b[:n]) != want {
			t.Fatalf("%q, %v", b[:n], err)
		}
	}
	write := func(text string) error { _, err := f.Write([]byte(text)); return err }
	if err := write("one\n"); err != nil {
		t.Fatal(err)
	}
	read(reader, "one\n")
	reader.Close()
	if err := write("two\n"); err == nil || !strings.Contains(err.Error(), "broken pipe") {
		t.Fatal(err)
	}
	if reader, err = os.OpenFile(name, os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := write("three\n"); err != nil {
		t.Fatal(err)
	}
	read(reader, "three\n")
}

func makeFIFO(t *testing.T, name string) {
	t.Helper()
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
}
