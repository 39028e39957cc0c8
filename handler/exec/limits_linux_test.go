package exec_test

import (
	"bufio"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/handler/exec"
	"netserver/netservertest"
)

// own returns what programs must not change of the server itself.
func own(t *testing.T) string {
	t.Helper()
	limits, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		t.Fatal(err)
	}
	mask := syscall.Umask(0)
	syscall.Umask(mask)
	nice, _ := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	dir, _ := os.Getwd()
	return strings.Join([]string{string(limits), string(rune(mask)), string(rune(nice)), dir}, "\n")
}

var tight = exec.Limits{CPU: 1500 * time.Millisecond, Memory: 64 << 20, FileSize: 1 << 20, Files: 20, Processes: 40, Core: -1, Nice: 5}

// Limits are in force before the program's first instruction, and the server
// has none of them.
func TestLimits(t *testing.T) {
	before := own(t)
	everyStream(t, func(t *testing.T, proto string, pipes bool) {
		h := &exec.Handler{Path: "cat", Args: []string{"/proc/self/limits", "/proc/self/stat"}, Limits: tight, Pipes: pipes}
		out := serve(t, h).run(proto, "")
		for _, want := range []string{
			"Max cpu time|2|3|seconds", "Max address space|67108864|67108864|bytes", "Max file size|1048576|1048576|bytes",
			"Max open files|20|20|files", "Max processes|40|40|processes", "Max core file size|0|0|bytes",
		} {
			name, _, _ := strings.Cut(want, "|")
			if got := name + "|" + strings.Join(strings.Fields(line(out, name)[len(name):]), "|"); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		stat := strings.Fields(out[strings.LastIndex(out, ")"):])
		raw, _ := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
		if want := strconv.Itoa(20 - raw + tight.Nice); stat[17] != want {
			t.Errorf("nice is %s, not %s", stat[17], want)
		}
	})
	if after := own(t); after != before {
		t.Errorf("the server had %s\nand now %s", before, after)
	}
}

// Many programs at once have their limits, and end as others do.
func TestLimitsOfManyPrograms(t *testing.T) {
	h := sh("umask; ulimit -n; exec cat")
	h.Limits, h.Umask = exec.Limits{Files: 33}, 0o27
	s := serve(t, h)
	var clients []client
	for range 30 {
		clients = append(clients, s.dial("tls"))
	}
	for _, c := range clients {
		c.CloseWrite()
		buf := make([]byte, 100)
		n, _ := c.Read(buf)
		if got := string(buf[:n]); got != "0027\n33\n" && got != "0027\n" {
			t.Errorf("got %q", got)
		}
		if r := s.record(); r.Err != nil {
			t.Error(r.Err)
		}
	}
}

func TestProgramsOverTheirLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "big")
	for _, c := range []struct {
		script string
		limits exec.Limits
		note   string
	}{
		{"while :; do :; done", exec.Limits{CPU: time.Second}, "signal=SIGXCPU"},
		{"trap '' XCPU; while :; do :; done", exec.Limits{CPU: time.Second}, "signal=SIGKILL"},
		{"exec dd if=/dev/zero bs=200M count=1 of=/dev/null", exec.Limits{Memory: 64 << 20}, "exit=1"},
		{"exec cat /dev/zero >" + file, exec.Limits{FileSize: 1 << 16}, "signal=SIGXFSZ"},
		{"exec 9<&0", exec.Limits{Files: 5}, "exit=2"},
	} {
		h := sh(c.script)
		h.Limits = c.limits
		s := serve(t, h)
		s.run("tls", "")
		if r := s.record(); r.Err == nil || !strings.Contains(notes(r), c.note) {
			t.Errorf("%s: %v; %s", c.script, r.Err, notes(r))
		}
	}
	if fi, err := os.Stat(file); err != nil || fi.Size() > 1<<16 {
		t.Errorf("the file: %v, %v", fi, err)
	}
}

// A umask is the program's alone, and so is none.
func TestUmask(t *testing.T) {
	before := own(t)
	for mask, want := range map[int]string{0o77: "0077\n", -1: "0000\n"} {
		h := sh("umask")
		h.Umask = mask
		if got := serve(t, h).run("tcp", ""); got != want {
			t.Errorf("umask %o is %q", mask, got)
		}
	}
	if after := own(t); after != before {
		t.Errorf("the server had %s\nand now %s", before, after)
	}
}

// Root may start programs as anybody, each Handler as another one.
func TestIdentity(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may start programs as others")
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Skip(err)
	}
	h := sh("id -u; id -g; id -G; echo $USER $LOGNAME $HOME; cat /proc/self/status; exec cat")
	limits := tight
	limits.Processes = 0 // others run as nobody too
	h.User, h.Limits, h.Umask = "nobody", limits, 0o22
	everyStream(t, func(t *testing.T, proto string, pipes bool) {
		h := &exec.Handler{Path: h.Path, Args: h.Args, User: h.User, Limits: h.Limits, Umask: h.Umask, Pipes: pipes}
		out := serve(t, h).run(proto, "")
		want := strings.Join([]string{u.Uid, u.Gid, u.Gid, "nobody nobody " + u.HomeDir, ""}, "\n")
		if !strings.HasPrefix(out, want) {
			t.Errorf("got %.100q, want %q", out, want)
		}
		for _, name := range []string{"CapPrm:", "CapEff:"} {
			if strings.Trim(line(out, name)[len(name):], "\t 0") != "" {
				t.Error(line(out, name))
			}
		}
	})
	c := serve(t, h).dial("tls") // whose thread is there as long as the program
	defer c.Close()
	c.Read(make([]byte, 1))
	threads, _ := filepath.Glob("/proc/self/task/*/status")
	for _, name := range threads {
		if b, err := os.ReadFile(name); err == nil && line(string(b), "Uid:") != "Uid:\t0\t0\t0\t0" {
			t.Errorf("a thread of the server has %s", line(string(b), "Uid:"))
		}
	}
	h = sh("id -g; id -G; echo $HOME")
	h.User, h.Group, h.Env = "65533", "7,8", []string{"HOME=/given"}
	if got := serve(t, h).run("tcp", ""); got != "7\n7 8\n/given\n" {
		t.Errorf("got %q", got)
	}
}

// A program of another user is ended as any other.
func TestProgramOfAnotherUserIsEnded(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may start programs as others")
	}
	h := sh(`trap "" TERM; echo $$; while :; do sleep 0.05; done`)
	h.User, h.KillGrace = "nobody", 100*time.Millisecond
	s := serve(t, h)
	c := s.dial("tls")
	pid := readPid(t, c)
	reset(t, c)
	s.record()
	if alive(pid) {
		t.Error("the program goes on")
	}
}

func TestTimeout(t *testing.T) {
	everyStreamAtOnce(t, func(t *testing.T, proto string, pipes bool) {
		for limit := 3 * time.Second; ; limit *= 4 {
			h := sh(`trap "exit 3" TERM; echo $$; while :; do sleep 0.02; done`)
			h.Timeout, h.Pipes = limit, pipes
			s := serve(t, h)
			line, _ := bufio.NewReader(s.dial(proto)).ReadString('\n')
			r := s.record()
			if !errors.Is(r.Err, exec.ErrTimeout) {
				t.Errorf("%v; %s", r.Err, notes(r))
			}
			if line == "" && limit < patience/2 {
				continue // on a busy machine it was ended before it had begun
			}
			pid, err := strconv.Atoi(strings.TrimSpace(line))
			if err != nil || !strings.Contains(notes(r), "exit=3") || alive(pid) {
				t.Errorf("%q; %s", line, notes(r))
			}
			return
		}
	})
}

// A start that fails leaves nothing behind.
func TestLimitedProgramIsGone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "program")
	if err := netservertest.WriteProgram(file, []byte("#!/bin/sh\necho here\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := serve(t, &exec.Handler{Path: file, Limits: exec.Limits{Files: 20}})
	if got := s.run("tls", ""); got != "here\n" {
		t.Fatalf("got %q", got)
	}
	s.record()
	os.Remove(file)
	s.run("tls", "")
	if r := s.record(); !errors.Is(r.Err, syscall.ENOENT) {
		t.Error(r.Err)
	}
}

func TestCheckOfLimits(t *testing.T) {
	for _, c := range []struct {
		h    *exec.Handler
		want string
	}{
		{&exec.Handler{Path: "cat", Limits: exec.Limits{Files: 2}}, "exec: limits: open files: 2 are too few, a program starts with three"},
		{&exec.Handler{Path: "cat", Limits: exec.Limits{Memory: -1}}, "exec: limits: memory: -1 is negative; without a limit leave it out"},
		{&exec.Handler{Path: "cat", Limits: exec.Limits{Nice: 20}}, "exec: limits: nice 20: it is 1 to 19, or 0 for the server's own priority"},
		{&exec.Handler{Path: "cat", Umask: 0o1000}, "exec: umask 01000 has bits other than permissions"},
		{&exec.Handler{Path: "cat", User: "no-such-user"}, `exec: user: no such user as "no-such-user"`},
		{&exec.Handler{Path: "cat", User: "nobody", Group: "no-such-group"}, `exec: user: no such group as "no-such-group"`},
		{&exec.Handler{Path: "cat", Group: "daemon"}, "exec: a group is given without a user"},
		{&exec.Handler{Path: "cat", Timeout: -1}, "exec: the time limit is negative: -1ns"},
	} {
		if err := c.h.Check(); err == nil || err.Error() != c.want {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
}

func BenchmarkStartWithLimits(b *testing.B) {
	for name, l := range map[string]exec.Limits{"none": {}, "limits": tight} {
		b.Run(name, func(b *testing.B) {
			s := serve(b, &exec.Handler{Path: "true", Limits: l})
			for b.Loop() {
				s.run("tcp", "")
			}
		})
	}
}

// What the system only calls a permission or a descriptor is named.
func TestCheckSaysWhatIsMissing(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	private := t.TempDir()
	os.Chmod(private, 0o700)
	for _, c := range []struct {
		h    *exec.Handler
		want string
	}{
		{&exec.Handler{Path: "cat", User: "65534", Dir: private}, "exec: cat: user 65534 may not execute it, or not enter its working directory " + private + ": permission denied"},
		{&exec.Handler{Path: "cat", Cgroup: exec.Cgroup{Parent: private}}, "exec: cat: control group: " + private + " is not a directory of cgroup v2, which is mounted at /sys/fs/cgroup or /sys/fs/cgroup/unified"},
	} {
		if err := c.h.Check(); err == nil || err.Error() != c.want {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
}
