package daemon_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"netserver/netservertest"
)

// logPipe takes the pipe that a process's log goes to: the first to supervisor
// that is no standard stream.
func (h *hostage) logPipe(supervisor int) *os.File { return h.logPipes(supervisor)[0] }

// logPipes takes those of the log and of the access log, if there is one.
func (h *hostage) logPipes(supervisor int) (list []*os.File) {
	h.t.Helper()
	read := make(map[string]bool)
	above := &hostage{h.t, supervisor, -1}
	for n, what := range above.descriptors() {
		read[what] = above.access(n) == unix.O_RDONLY
	}
	mine := h.descriptors()
	for _, n := range slices.Sorted(maps.Keys(mine)) {
		if what := mine[n]; n > 2 && strings.HasPrefix(what, "pipe:") && read[what] && h.access(n) == unix.O_WRONLY && what != mine[1] && what != mine[2] {
			list = append(list, h.take(n))
		}
	}
	if len(list) == 0 {
		h.t.Fatal("there is no pipe to the log")
	}
	return list
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
			r := startStderr(t, stderr, "--port", "127.0.0.1:0", "--log_file", log, "--log_format", form, "--worker_timeout", "0")
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

// The pipe to the access log is as little: lines of a bounded length, printable,
// and no end of the supervisor, the log or other workers, who log on; where the
// journal reads them, none is an emergency.
func TestAttackAccessLog(t *testing.T) {
	rooted(t)
	for _, to := range []string{"file", "STDERR"} {
		t.Run(to, func(t *testing.T) {
			dir := openDir(t)
			errFile, access := filepath.Join(dir, "stderr"), to
			stderr, err := os.OpenFile(errFile, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			defer stderr.Close()
			if to == "file" {
				access = filepath.Join(dir, "access")
			}
			info, _ := stderr.Stat()
			st := info.Sys().(*syscall.Stat_t)
			t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", st.Dev, st.Ino))
			r := startStderr(t, stderr, "HTTP", "--port", "127.0.0.1:0", "--server_type", "PreForkSimple", "--max_servers", "2", "--access_log_file", access, "--worker_timeout", "0")
			netservertest.Eventually(t, "two workers", func() bool { return len(r.children()) == 2 })
			fileHas(t, errFile, "identity of the serving processes")
			logged := errFile
			if to == "file" {
				logged = access
			}
			two := r.children()
			h := seize(t, two[0])
			pipes := h.logPipes(r.pid())
			if len(pipes) != 2 {
				t.Fatalf("%d pipes", len(pipes))
			}
			h.hold()
			pipe := pipes[1]
			if unix.Ftruncate(int(pipe.Fd()), 0) == nil {
				t.Error("the pipe can be truncated")
			}
			const says = "<0>emergency\n<1>\x1b[2Jalert\x00\rnot alone\x7f\n\n"
			if _, err := pipe.WriteString(says + strings.Repeat("x", 300<<10) + "\nlast words"); err != nil {
				t.Fatal(err)
			}
			syscall.Kill(h.pid, syscall.SIGKILL)
			fileHas(t, errFile, "starting a replacement")
			h.release()
			pipe.Close()
			fileHas(t, logged, "last words")
			for line := range strings.Lines(readAll(t, logged)) {
				if len(line) > 70<<10 || strings.ContainsAny(line, "\x1b\x7f\r\x00") || to == "STDERR" && (strings.HasPrefix(line, "<0>") || strings.HasPrefix(line, "<1>")) {
					t.Errorf("a line of %d bytes, %.100q", len(line), line)
				}
			}
			syscall.Kill(two[1], syscall.SIGKILL)
			netservertest.Eventually(t, "another two workers", func() bool {
				now := r.children()
				return len(now) == 2 && !slices.Contains(now, two[0]) && !slices.Contains(now, two[1])
			})
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
	r := start(t, "PreForkSimple", "--max_servers", "2", "--port", "127.0.0.1:0", "--log_file", log, "--worker_timeout", "0")
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
