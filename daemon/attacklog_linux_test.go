package daemon_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netserver/netservertest"
)

// logPipe takes the pipe that a process's log goes to: the one that it writes
// to and that is no standard stream.
func (h *hostage) logPipe() *os.File {
	h.t.Helper()
	for n, what := range h.descriptors() {
		if n <= 2 || !strings.HasPrefix(what, "pipe:") {
			continue
		}
		f := h.take(n)
		if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0); err == nil && flags&unix.O_ACCMODE == unix.O_WRONLY && what != h.descriptors()[2] {
			return f
		}
	}
	h.t.Fatal("there is no pipe to the log")
	return nil
}

// A worker has no file of the log, and nothing else that it could truncate: it
// can add lines to the log, one at a time and as text, and no more.
func TestAttackLog(t *testing.T) {
	rooted(t)
	for _, form := range []string{"line", "json"} {
		t.Run(form, func(t *testing.T) {
			dir := openDir(t)
			log, errFile := filepath.Join(dir, "log"), filepath.Join(dir, "stderr")
			stderr, err := os.OpenFile(errFile, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			defer stderr.Close()
			r := startStderr(t, stderr, "--port", "127.0.0.1:0", "--log_file", log, "--log_format", form)
			text := func() string { b, _ := os.ReadFile(log); return string(b) }
			netservertest.Eventually(t, "the server serves", func() bool { return strings.Contains(text(), "identity of the serving processes") })
			before := text()
			h := seize(t, r.only())
			for n, what := range h.descriptors() {
				f := h.take(n)
				if unix.Ftruncate(int(f.Fd()), 0) == nil && !strings.HasPrefix(what, "/memfd:") {
					t.Errorf("descriptor %d (%s) can be truncated", n, what)
				}
				if n <= 2 && what != "/dev/null" && !strings.HasPrefix(what, "pipe:") {
					t.Errorf("standard stream %d is %s", n, what)
				}
			}
			if !strings.HasPrefix(text(), before) {
				t.Fatal("the log was changed")
			}
			pipe := h.logPipe()
			h.hold()
			const says = "2026/01/01-00:00:00 \x1b[2Jforged\rone\n{\"a\":1,\"b\":\"\x7f\"}\n"
			if _, err := pipe.WriteString(says + strings.Repeat("x", 200<<10) + "\nlast words"); err != nil {
				t.Fatal(err)
			}
			unix.Write(int(h.take(2).Fd()), []byte("<0>on standard error\x1b[2J\n"))
			syscall.Kill(h.pid, syscall.SIGKILL)
			netservertest.Eventually(t, "another worker", func() bool { return strings.Contains(text(), "another takes its place") })
			after := text()
			if !strings.HasPrefix(after, before) || !strings.Contains(after, "last words") || !strings.Contains(after, "forged") {
				t.Errorf("the log is\n%.2000s", after)
			}
			if strings.ContainsAny(after, "\x1b\x7f\r") {
				t.Error("control characters reached the log")
			}
			for line := range strings.Lines(after) {
				if len(line) > 70<<10 {
					t.Errorf("a line of %d bytes", len(line))
				}
				if form == "json" && !json.Valid([]byte(line)) {
					t.Errorf("no JSON: %.200s", line)
				}
			}
			out, _ := os.ReadFile(errFile)
			if string(out) != "<0>on standard error%1B[2J\n" {
				t.Errorf("standard error: %q", out)
			}
		})
	}
}

// startStderr is start with a file as standard error.
func startStderr(t *testing.T, f *os.File, args ...string) *running {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = f
	return startCmd(t, cmd, "command")
}

// One that floods the log slows down itself: the others' lines are there.
func TestAttackLogFlood(t *testing.T) {
	rooted(t)
	r := start(t, "PreForkSimple", "--max_servers", "2", "--port", "127.0.0.1:0")
	r.serving()
	netservertest.Eventually(t, "two workers", func() bool { return len(r.children()) == 2 })
	two := r.children()
	h := seize(t, two[0])
	pipe := h.logPipe()
	h.hold()
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := []byte(strings.Repeat("flood of lines\n", 1000))
		pipe.SetWriteDeadline(time.Now().Add(5 * time.Second))
		for {
			if _, err := pipe.Write(b); err != nil {
				return
			}
		}
	}()
	r.wait("flood of lines", 1000)
	syscall.Kill(two[1], syscall.SIGKILL)
	r.wait("another takes its place", 1)
	netservertest.Eventually(t, "two workers", func() bool {
		return len(r.children()) == 2 && !slices.Contains(r.children(), two[1])
	})
	syscall.Kill(two[0], syscall.SIGKILL)
	<-done
}
