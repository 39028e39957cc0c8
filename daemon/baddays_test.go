//go:build unix

package daemon_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// marked starts a server whose processes can be told from all others.
func marked(t *testing.T, path string, args ...string) (*running, func() []int) {
	t.Helper()
	mark := fmt.Sprintf("DAEMON_TEST_MARK=%d.%d", os.Getpid(), rand.Uint64())
	name, value, _ := strings.Cut(mark, "=")
	t.Setenv(name, value)
	r := startProgram(t, path, "command", args...)
	os.Unsetenv(name)
	return r, func() (list []int) {
		files, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, f := range files {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			if b, err := os.ReadFile(f); err == nil && strings.Contains(string(b), mark) && alive(pid) {
				list = append(list, pid)
			}
		}
		return list
	}
}

func nobodyLeft(t *testing.T, left func() []int) {
	t.Helper()
	netservertest.Eventually(t, "no process is left", func() bool { return len(left()) == 0 })
}

// descriptors counts the open files of a process.
func descriptors(t *testing.T, pid int) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Skip("this system does not list descriptors")
	}
	return len(list)
}

func TestStartWithWrongIdentity(t *testing.T) {
	rooted(t)
	dir := openDir(t)
	file := writeFile(t, filepath.Join(dir, "file"), "")
	missing := func(what string) string {
		if out, err := exec.Command("ldd", os.Args[0]).CombinedOutput(); err == nil && !strings.Contains(string(out), "not a dynamic") {
			return "which loads the shared libraries" // of this test binary
		}
		return what
	}
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--user", "no-such-user"}, 2, `no such user as "no-such-user"`},
		{[]string{"--group", "no-such-group"}, 2, `group: no such group as "no-such-group"`},
		{[]string{"--user", "nobody", "--group", "nogroup,no-such-group"}, 2, "no-such-group"},
		{[]string{"--user", "4294967296"}, 2, "user"},
		{[]string{"--chroot", filepath.Join(dir, "none")}, 2, filepath.Join(dir, "none")},
		{[]string{"--chroot", file}, 2, "is not a directory"},
		{[]string{"--chroot", "tmp"}, 2, "absolute path"},
		// The program is there, but not for who runs in the directory.
		{[]string{"--chroot", dir, "--", "/bin/sh"}, 2, "netserver: cannot execute /bin/sh: there is no such file below the root directory " + dir},
		{[]string{"--chroot", dir, "--check_for_dequeue", "1", "--max_dequeue", "1", "--dequeue_command", "/bin/sh"}, 1, missing("dequeue_command: /bin/sh")},
	} {
		r, left := marked(t, os.Args[0], append([]string{"--port", "127.0.0.1:0"}, tc.args...)...)
		if code := r.status(); code != tc.code || !strings.Contains(r.text(), tc.want) {
			t.Errorf("%q: exit status %d, not %d; or without %q:\n%s", tc.args, code, tc.code, tc.want, r.text())
		}
		nobodyLeft(t, left)
	}
}

func TestPIDFileOfOthers(t *testing.T) {
	dir := openDir(t)
	live := fmt.Sprintf("%d\n", os.Getpid())
	for _, tc := range []struct {
		name, text, want string // want is "" if the file is taken over
	}{
		{"live", live, "already running as process " + strings.TrimSpace(live)},
		{"garbage", "soon\n", "holds no process number"},
		{"dead", "2147483646\n", ""},
	} {
		file := writeFile(t, filepath.Join(dir, tc.name), tc.text)
		if tc.name == "live" { // written while that process ran
			now := time.Now()
			os.Chtimes(file, now, now)
		}
		r, left := marked(t, os.Args[0], "--port", "127.0.0.1:0", "--pid_file", file)
		if tc.want == "" {
			r.wait("which does not run: taken over", 1)
			r.serving()
			if b, _ := os.ReadFile(file); string(b) != fmt.Sprintf("%d\n", r.pid()) {
				t.Errorf("%s: the file holds %q", tc.name, b)
			}
			r.end(syscall.SIGTERM)
		} else if code := r.status(); code != 1 || !strings.Contains(r.text(), tc.want) {
			t.Errorf("%s: exit status %d, or without %q", tc.name, code, tc.want)
		} else if b, _ := os.ReadFile(file); string(b) != tc.text {
			t.Errorf("%s: the file was changed to %q", tc.name, b)
		}
		nobodyLeft(t, left)
	}
}

// A supervisor that was killed leaves a pid file, clients of two generations
// and a UNIX socket's file. The next one takes all of it over.
func TestKilledSupervisorBetweenGenerations(t *testing.T) {
	dir := openDir(t)
	pidFile, sock := filepath.Join(dir, "pid"), filepath.Join(dir, "s")
	args := []string{"--pid_file", pidFile, "--grace", "60", "--port", sock + "|unix", "--port"}
	r, left := marked(t, os.Args[0], append(args, "127.0.0.1:0")...)
	addr := r.addr(0)
	first := mustDial(t, addr)
	first.mustAsk(t, "first")
	r.signal(syscall.SIGHUP)
	r.wait("restart: ", 1)
	netservertest.Eventually(t, "two generations", func() bool { return len(r.children()) == 2 })
	second := mustDial(t, addr)
	second.mustAsk(t, "second")
	r.signal(syscall.SIGKILL)
	netservertest.Eventually(t, "the ports are free", func() bool {
		for _, a := range [][2]string{{"tcp", addr}, {"unix", sock}} {
			if c, err := net.Dial(a[0], a[1]); err == nil {
				c.Close()
				return false
			}
		}
		return true
	})
	next := start(t, append(args, addr)...)
	next.serving()
	mustDial(t, addr).mustAsk(t, "served by the next")
	first.mustAsk(t, "still here")
	second.mustAsk(t, "still here")
	if b, _ := os.ReadFile(pidFile); string(b) != fmt.Sprintf("%d\n", next.pid()) {
		t.Errorf("the pid file holds %q", b)
	}
	first.Close()
	second.Close()
	nobodyLeft(t, left)
}

// A port that cannot be had refuses the new configuration as a whole: no other
// port is left open, and no descriptor.
func TestPortThatCannotBeHadAtHUP(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := freeAddr(t)
	file := filepath.Join(openDir(t), "server.conf")
	const good = "port 127.0.0.1:0\n"
	writeFile(t, file, good)
	r := start(t, "--conf_file", file)
	addr := r.addr(0)
	c := mustDial(t, addr)
	c.mustAsk(t, "hello")
	worker := r.only()
	writeFile(t, file, good+"port "+free+"\nport "+taken.Addr().String()+"\n")
	var before int
	for i := range 4 {
		r.signal(syscall.SIGHUP)
		r.wait("new configuration rejected; the current one stays", i+1)
		if i == 0 {
			before = descriptors(t, r.pid())
		}
	}
	// Those of the process that has checked are closed a moment later.
	netservertest.Eventually(t, fmt.Sprintf("%d descriptors, as there were", before), func() bool { return descriptors(t, r.pid()) <= before })
	if d, err := dial(free); err == nil {
		d.Close()
		t.Error("a port of the refused configuration is open")
	}
	if r.only() != worker {
		t.Error("another worker")
	}
	c.mustAsk(t, "still here")
	taken.Close()
	r.signal(syscall.SIGHUP)
	r.wait("restart: added", 1)
	netservertest.Eventually(t, "the port is served", func() bool { return once(taken.Addr().String()) == nil })
}

// Clients of a port that is removed have the grace time; those of another are
// not cut at all.
func TestPortRemovedWithGrace(t *testing.T) {
	file := filepath.Join(openDir(t), "server.conf")
	const grace = 2 * time.Second
	writeFile(t, file, "port 127.0.0.1:0/tcp\nport 127.0.0.1:0/ssl\ngrace 2\n")
	r := start(t, "--conf_file", file)
	gone, kept := r.addr(1), r.addr(0)
	k := mustDial(t, kept)
	k.mustAsk(t, "hello")
	d := mustTLS(t, gone)
	d.mustAsk(t, "hello")
	writeFile(t, file, "port 127.0.0.1:0/tcp\ngrace 2\n")
	begin := time.Now()
	r.signal(syscall.SIGHUP)
	r.wait("restart: removed", 1)
	netservertest.Eventually(t, "refused", func() bool {
		c, err := dial(gone)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	// It is served until it is cut, which is not before that time is over.
	netservertest.Eventually(t, "it is cut", func() bool {
		got, err := d.ask("in the grace time")
		if err == nil && !strings.HasSuffix(got, `You said "in the grace time"`) {
			t.Fatalf("got %q", got)
		}
		return err != nil
	})
	if took := time.Since(begin); took < grace {
		t.Errorf("cut after %v", took)
	}
	r.wait("clients of ports that were changed or removed disconnected: 1", 1)
	r.wait(`err="cut: a restart changed or removed its port, and its grace time is over"`, 1)
	k.mustAsk(t, "not cut")
}

// A new program that neither answers nor ends does not outlive the server, nor
// keep it from ending.
func TestProgramThatHangsAtCheck(t *testing.T) {
	dir := openDir(t)
	name := filepath.Join(dir, "netserver")
	copyProgram(t, name)
	r, left := marked(t, name, "--port", "127.0.0.1:0")
	addr := r.addr(0)
	mustDial(t, addr).mustAsk(t, "hello")
	old := r.only()
	if err := netservertest.WriteProgram(name+".new", []byte("#!/bin/sh\nsleep 1000 & wait\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	os.Rename(name+".new", name)
	r.signal(syscall.SIGHUP)
	netservertest.Eventually(t, "the check hangs", func() bool { return len(left()) == 4 })
	mustDial(t, addr).mustAsk(t, "served meanwhile")
	r.signal(syscall.SIGHUP) // once more
	if !alive(old) {
		t.Error("the worker is gone")
	}
	if code := r.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d", code)
	}
	nobodyLeft(t, left)
}

// At whatever moment of a restart the end comes, nobody is left, and the
// status is that of an end as asked.
func TestEndDuringRestart(t *testing.T) {
	for i := range 12 {
		sig := []syscall.Signal{syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGINT}[i%3]
		r, left := marked(t, os.Args[0], "PreForkSimple", "--max_servers", "2", "--port", "127.0.0.1:0", "--grace", "1",
			"--check_for_dequeue", "0.1", "--max_dequeue", "2", "--dequeue_command", "/bin/sleep", "--dequeue_command", "1000")
		r.serving()
		r.signal(syscall.SIGHUP)
		time.Sleep(rand.N(80 * time.Millisecond)) // any moment
		if code := r.end(sig); code != 0 {
			t.Errorf("%v during a restart: exit status %d", sig, code)
		}
		nobodyLeft(t, left)
	}
}

// Restarts while clients stay and stay: the number of generations is bounded,
// and the clients of the oldest have the grace time, or less if there are more
// and more.
func TestGenerationsAreBounded(t *testing.T) {
	for _, tc := range []struct {
		grace    string
		restarts int
		want     string
	}{
		{"1", 9, "clients of the oldest have the grace time"},
		{"1000", 18, "clients of the oldest are cut"},
	} {
		r := start(t, "--port", "127.0.0.1:0", "--grace", tc.grace, "--timeout_idle", "600")
		addr := r.addr(0)
		var clients []*client
		newest := servedBy(t, addr)
		seen := map[int]bool{newest: true} // one that is told to end still takes those who were waiting
		for i := range tc.restarts {
			clients = append(clients, clientOf(t, addr, newest))
			r.signal(syscall.SIGHUP)
			r.wait("restart: ", i+1)
			netservertest.Eventually(t, "the next generation serves", func() bool {
				now := servedBy(t, addr)
				if seen[now] || now == 0 {
					return false
				}
				newest, seen[now] = now, true
				return true
			})
			// The one that serves, and the one before if it has just been told.
			if n := len(r.children()); n > 18 {
				t.Errorf("%d processes", n)
			}
		}
		r.wait(tc.want, 1)
		if _, err := clients[0].r.ReadByte(); err == nil {
			t.Error("the oldest client was sent more")
		}
		clients[tc.restarts-1].mustAsk(t, "still here")
		clients[tc.restarts-2].mustAsk(t, "still here")
		if tc.grace != "1" { // a drain that short may be over
			r.signal(syscall.SIGQUIT)
			r.wait("Received a SIG QUIT", 1)
			r.signal(syscall.SIGHUP) // in the drain
			r.wait("the server is shutting down: no restart", 1)
		}
		if code := r.end(syscall.SIGTERM); code != 0 {
			t.Errorf("exit status %d", code)
		}
	}
}

// servedBy returns the process that greets a client, 0 if none did.
func servedBy(t *testing.T, addr string) int {
	t.Helper()
	c, err := dial(addr)
	if err != nil {
		return 0
	}
	defer c.Close()
	return c.greeter()
}

// greeter reads the greeting and returns the process that it names, or 0.
func (c *client) greeter() int {
	line, _ := c.r.ReadString('\n')
	_, rest, _ := strings.Cut(line, "(")
	pid, _ := strconv.Atoi(strings.TrimRight(rest, ")\r\n"))
	return pid
}

// clientOf returns a client of the process, which may not be alone in taking
// clients for a moment after a restart.
func clientOf(t *testing.T, addr string, pid int) *client {
	t.Helper()
	var c *client
	netservertest.Eventually(t, "a client of the newest process", func() bool {
		c = mustDial(t, addr)
		if c.greeter() == pid {
			return true
		}
		c.Close()
		return false
	})
	c.mustAsk(t, "hello")
	return c
}

// mustTLS connects to an echo of lines behind TLS.
func mustTLS(t *testing.T, addr string) *client {
	t.Helper()
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	nc, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(60 * time.Second))
	return &client{nc, bufio.NewReader(nc)}
}
