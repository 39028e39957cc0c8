package daemon_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"netserver/netservertest"
)

// logPipe takes the pipe that a process's log goes to: the one to supervisor
// that is no standard stream.
func (h *hostage) logPipe(supervisor int) *os.File {
	h.t.Helper()
	read := make(map[string]bool)
	above := &hostage{h.t, supervisor, -1}
	for n, what := range above.descriptors() {
		read[what] = above.access(n) == unix.O_RDONLY
	}
	mine := h.descriptors()
	for n, what := range mine {
		if n > 2 && strings.HasPrefix(what, "pipe:") && read[what] && h.access(n) == unix.O_WRONLY && what != mine[1] && what != mine[2] {
			return h.take(n)
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
			pipe := h.logPipe(r.pid())
			h.hold()
			const says = "2026/01/01-00:00:00 \x1b[2Jforged\rone\n{\"a\":1,\"b\":\"\x7f\"}\n"
			if _, err := pipe.WriteString(says + strings.Repeat("x", 200<<10) + "\nlast words"); err != nil {
				t.Fatal(err)
			}
			unix.Write(int(h.take(2).Fd()), []byte("<0>on standard error\x1b[2J\n"))
			syscall.Kill(h.pid, syscall.SIGKILL)
			netservertest.Eventually(t, "another worker", func() bool { return strings.Contains(text(), "starting a replacement") })
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

// One that floods the log slows down itself: what others log is there.
func TestAttackLogFlood(t *testing.T) {
	rooted(t)
	log := filepath.Join(openDir(t), "log")
	r := start(t, "PreForkSimple", "--max_servers", "2", "--port", "127.0.0.1:0", "--log_file", log)
	netservertest.Eventually(t, "two workers", func() bool { return len(r.children()) == 2 })
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var tail []byte // what was read last
	logged := func(text string) {
		t.Helper()
		netservertest.Eventually(t, text, func() bool {
			for buf := make([]byte, 1<<16); ; {
				n, _ := f.Read(buf)
				tail = append(tail[max(0, len(tail)-200):], buf[:n]...)
				if bytes.Contains(tail, []byte(text)) || n == 0 {
					return n > 0
				}
			}
		})
	}
	logged("identity of the serving processes")
	two := r.children()
	h := seize(t, two[0])
	pipe := h.logPipe(r.pid())
	h.hold()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		b := []byte(strings.Repeat("flood of lines\n", 1000))
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := pipe.Write(b); err != nil {
				return
			}
		}
	}()
	for range 5 {
		logged("flood of lines")
	}
	syscall.Kill(two[1], syscall.SIGKILL)
	logged("starting a replacement")
	close(stop)
	<-done
}
