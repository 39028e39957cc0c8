//go:build unix

package daemon_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

func TestServeAndStop(t *testing.T) {
	r := start(t, "--port", "127.0.0.1:0")
	c := mustDial(t, r.addr(0))
	c.mustAsk(t, "hello")
	worker := r.only()
	if code := r.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if _, err := c.r.ReadByte(); err == nil {
		t.Error("the client was not cut")
	}
	if alive(worker) {
		t.Error("the worker lives on")
	}
	if !strings.HasSuffix(r.text(), "Server closing!\n") {
		t.Error("the last line is another")
	}
}

func TestQuitDrains(t *testing.T) {
	r := start(t, "--port", "127.0.0.1:0", "--grace", "20")
	addr := r.addr(0)
	c := mustDial(t, addr)
	c.mustAsk(t, "hello")
	r.signal(syscall.SIGQUIT)
	r.wait("Received a SIG QUIT", 1)
	netservertest.Eventually(t, "refused", func() bool {
		d, err := dial(addr)
		if err == nil {
			d.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	c.mustAsk(t, "still here")
	r.signal(syscall.SIGHUP)
	r.wait("the server is shutting down: no restart", 1)
	c.Close()
	if code := r.status(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

func TestSecondQuitCuts(t *testing.T) {
	r := start(t, "--port", "127.0.0.1:0", "--grace", "1000")
	c := mustDial(t, r.addr(0))
	c.mustAsk(t, "hello")
	r.signal(syscall.SIGQUIT)
	r.wait("Received a SIG QUIT", 1)
	if code := r.end(syscall.SIGQUIT); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// No connection is refused or cut while one restart follows the other, and a
// client that stays keeps its worker.
func TestRestartLosesNobody(t *testing.T) {
	for _, kind := range []string{"Fork", "PreForkSimple", "PreFork"} {
		t.Run(kind, func(t *testing.T) {
			args := []string{kind, "--port", "127.0.0.1:0", "--max_servers", "12"}
			if kind != "Fork" {
				args = append(args, "--clients_per_server", "4")
			}
			r := start(t, args...)
			addr := r.addr(0)
			stays := mustDial(t, addr)
			stays.mustAsk(t, "before")
			l := startLoad(addr, 4)
			const restarts = 6
			for i := range restarts {
				r.signal(syscall.SIGHUP)
				r.wait("restart: ports and handler are the same", i+1)
				before := l.count()
				netservertest.Eventually(t, "more clients", func() bool { return l.count() > before+20 })
			}
			n, errs := l.end()
			if len(errs) > 0 {
				t.Errorf("%d of %d clients failed: %v", len(errs), n, errs[0])
			}
			stays.mustAsk(t, "after")
			stays.Close()
			r.signal(syscall.SIGUSR2)
			r.wait("state: pid", 1)
			if !strings.Contains(r.text(), fmt.Sprintf("generation %d, restarts %d, crashes 0", restarts+1, restarts)) {
				t.Error("the state is another")
			}
			if code := r.end(syscall.SIGTERM); code != 0 {
				t.Errorf("exit status %d", code)
			}
		})
	}
}

// A worker may have served all its clients before the others of its generation
// are there: that is no failed start.
func TestWorkerIsDoneBeforeOthersServe(t *testing.T) {
	r := start(t, "PreForkSimple", "--max_servers", "6", "--max_requests", "1", "--port", "127.0.0.1:0")
	addr := r.addr(0)
	for served := 0; served < 30; {
		if once(addr) == nil {
			served++
		}
		select {
		case <-r.done:
			t.Fatalf("the server ended after %d clients:\n%s", served, r.text())
		default:
		}
	}
	if code := r.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

func TestKilledWorkerIsReplaced(t *testing.T) {
	r := start(t, "--port", "127.0.0.1:0")
	addr := r.addr(0)
	c := mustDial(t, addr)
	c.mustAsk(t, "hello")
	old := r.only()
	syscall.Kill(old, syscall.SIGKILL)
	r.wait("signal: killed; starting a replacement", 1)
	if _, err := c.ask("gone?"); err == nil {
		t.Error("the client of a dead process was answered")
	}
	mustDial(t, addr).mustAsk(t, "hello again")
	if now := r.only(old); now == old {
		t.Error("the same process")
	}
}

func TestKilledSupervisorLeavesNobody(t *testing.T) {
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	sock := filepath.Join(dir, "s")
	r := start(t, "--port", "127.0.0.1:0", "--port", sock+"|unix", "--grace", "30")
	addr := r.addr(0)
	c := mustDial(t, addr)
	c.mustAsk(t, "hello")
	worker := r.only()
	r.signal(syscall.SIGKILL)
	<-r.done
	c.mustAsk(t, "still served")

	netservertest.Eventually(t, "the port is free", func() bool {
		d, err := dial(addr)
		if err == nil {
			d.Close()
		}
		return err != nil
	})
	next := start(t, "--port", addr, "--port", sock+"|unix")
	next.serving()
	mustDial(t, addr).mustAsk(t, "served by the next")
	c.Close()
	netservertest.Eventually(t, "the worker's end", func() bool { return !alive(worker) })
}

func TestBadConfigurationChangesNothing(t *testing.T) {
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	file := filepath.Join(dir, "server.conf")
	good := "grace 5\n"
	writeFile(t, file, good)
	r := start(t, "--port", "127.0.0.1:0", "--conf_file", file)
	addr := r.addr(0)
	c := mustDial(t, addr)
	c.mustAsk(t, "hello")
	worker := r.only()
	bad := []struct{ text, want string }{
		{"no_such_key 1\n", "no_such_key"},
		{"grace soon\n", "grace"},
		{"proto ssl\nSSL_cert_file /no/such/file\n", "/no/such/file"},
		{"server_type PSGI\n", "runs Perl applications"},
		{"user no-such-user\n", "no-such-user"},
		{"group no-such-group\n", "no-such-group"},
		{"chroot /no/such/dir\n", "/no/such/dir"},
		{"proxy_to x y z\n", "proxy_to"},
		{"sig_passthrough NOSUCH\n", "NOSUCH"},
		{"host 203.0.113.9\n", ""}, // overridden by the port's own: good
	}
	n := 0
	for _, b := range bad {
		writeFile(t, file, b.text)
		r.signal(syscall.SIGHUP)
		if b.want == "" {
			r.wait("restart: ", 1)
			continue
		}
		n++
		r.wait("new configuration rejected; the current one stays", n)
		if !strings.Contains(r.text(), b.want) {
			t.Errorf("%q: nothing of %q in the log", b.text, b.want)
		}
		if r.only() != worker {
			t.Fatalf("%q: another worker", b.text)
		}
		c.mustAsk(t, "still here")
		mustDial(t, addr).mustAsk(t, "and others")
	}
	os.Remove(file)
	r.signal(syscall.SIGHUP)
	r.wait("new configuration rejected; the current one stays", n+1)
}

func TestPortsComeAndGo(t *testing.T) {
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	sock := filepath.Join(dir, "s")
	file := writeFile(t, filepath.Join(dir, "server.conf"), "port 127.0.0.1:0/tcp\nport "+sock+"|unix\ngrace 0\n")
	r := start(t, "--conf_file", file)
	addr := r.addr(0)
	stays := mustDial(t, addr)
	stays.mustAsk(t, "hello")
	if _, err := os.Stat(sock); err != nil {
		t.Fatal(err)
	}
	_, p, _ := strings.Cut(addr, ":")

	// Port 0 keeps its number; the UNIX socket goes, another port comes.
	writeFile(t, file, "port 127.0.0.1:0/tcp\nport [::1]:0/tcp\ngrace 0\n")
	r.signal(syscall.SIGHUP)
	r.wait("restart: added", 1)
	netservertest.Eventually(t, "the socket's file goes", func() bool {
		_, err := os.Stat(sock)
		return err != nil
	})
	r.wait("Bound to auto-assigned port", 2)
	stays.mustAsk(t, "kept")
	mustDial(t, addr).mustAsk(t, "same number")

	// The port of a client that stays goes: it has the grace time, none.
	writeFile(t, file, "port [::1]:0/tcp\ngrace 0\n")
	r.signal(syscall.SIGHUP)
	r.wait("restart: removed", 1)
	if _, err := stays.r.ReadByte(); err == nil {
		t.Error("more bytes")
	}
	netservertest.Eventually(t, "port "+p+" closes", func() bool {
		d, err := dial(addr)
		if err == nil {
			d.Close()
		}
		return err != nil
	})
}

// program makes a program file that starts the test binary as kind.
func program(t *testing.T, name, kind string, mode os.FileMode) {
	t.Helper()
	script := fmt.Sprintf("#!/bin/sh\n%s=%s\nexport %s\nexec %s \"$@\"\n", programVar, kind, programVar, os.Args[0])
	if err := netservertest.WriteProgram(name+".new", []byte(script), mode); err != nil {
		t.Fatal(err)
	}
	os.Chmod(name+".new", mode)
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

// copyProgram copies the test binary, so that it can be replaced. No process is
// started meanwhile, as for netservertest.WriteProgram.
func copyProgram(t *testing.T, name string) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	in, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(name+".new", os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close(), os.Rename(name+".new", name)); err != nil {
		t.Fatal(err)
	}
}

func TestProgramIsReplaced(t *testing.T) {
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	os.Chmod(filepath.Dir(dir), 0o755)
	name := filepath.Join(dir, "netserver")
	copyProgram(t, name)
	r := startProgram(t, name, "command", "--port", "127.0.0.1:0")
	addr := r.addr(0)
	stays := mustDial(t, addr)
	stays.mustAsk(t, "hello")
	first := r.only()

	copyProgram(t, name)
	r.signal(syscall.SIGHUP)
	r.wait("the program's file was replaced", 1)
	netservertest.Eventually(t, "two generations", func() bool { return len(r.children()) == 2 })
	mustDial(t, addr).mustAsk(t, "hello")
	stays.mustAsk(t, "still here")

	// Files that cannot be the program.
	program(t, name, "command", 0o644)
	r.signal(syscall.SIGHUP)
	r.wait("new configuration rejected; the current one stays", 1)
	program(t, name, "crash", 0o755)
	r.signal(syscall.SIGHUP)
	r.wait("new configuration rejected; the current one stays", 2)
	os.Remove(name)
	// Gone: what runs is still there to be started.
	r.signal(syscall.SIGHUP)
	r.wait("restart: ", 2)
	mustDial(t, addr).mustAsk(t, "hello")
	stays.mustAsk(t, "still here")
	if !alive(first) {
		t.Error("the first generation is gone with a client")
	}
}

// A program that checks the configuration well and then cannot serve.
func TestProgramThatCannotServe(t *testing.T) {
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	os.Chmod(filepath.Dir(dir), 0o755)
	name := filepath.Join(dir, "netserver")
	copyProgram(t, name)
	r := startProgram(t, name, "command", "--port", "127.0.0.1:0", "--log_level", "2")
	addr := r.addr(0)
	mustDial(t, addr).mustAsk(t, "hello")
	old := r.only()
	// The environment of the processes is that of the supervisor's start, so
	// the program's own name tells it what to do.
	program(t, name, "crash-worker", 0o755)
	r.signal(syscall.SIGHUP)
	r.wait("the new generation failed to start", 1)
	if r.only() != old {
		t.Error("another worker")
	}
	mustDial(t, addr).mustAsk(t, "hello")
}

func TestSignalsInTheMiddle(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGINT} {
		r := start(t, "--port", "127.0.0.1:0", "--grace", "1")
		r.serving()
		r.signal(syscall.SIGHUP)
		if code := r.end(sig); code != 0 {
			t.Errorf("%v during a restart: exit status %d", sig, code)
		}
	}
	// At any moment of the start.
	for range 10 {
		r := start(t, "--port", "127.0.0.1:0")
		r.wait("starting!", 1)
		time.Sleep(rand.N(30 * time.Millisecond))
		if code := r.end(syscall.SIGTERM); code != 0 {
			t.Errorf("during the start: exit status %d", code)
		}
	}
}

func TestStartFails(t *testing.T) {
	taken := start(t, "--port", "127.0.0.1:0")
	addr := taken.addr(0)
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--port", addr}, 1, "in use"},
		{[]string{"--port", "127.0.0.1:0", "--user", "no-such-user"}, 2, `user: no such user as "no-such-user"`},
		{[]string{"--port", "127.0.0.1:0", "--supervisor", "0", "--user", "nobody"}, 2, "user requires a supervisor, and there is none with supervisor 0"},
		{[]string{"--port", "127.0.0.1:0", "--log_file", "/no/such/dir/x"}, 2, "log_file /no/such/dir/x"},
		{[]string{"--port", "127.0.0.1:0", "--", "/no/such/program"}, 2, "/no/such/program"},
	} {
		r := start(t, tc.args...)
		if code := r.status(); code != tc.code || !strings.Contains(r.text(), tc.want) {
			t.Errorf("%q: exit status %d, not %d; or without %q:\n%s", tc.args, code, tc.code, tc.want, r.text())
		}
	}
}

// Where the one process serves, root says that it means to.
func TestRootServesOnlyIfTold(t *testing.T) {
	rooted(t)
	for _, args := range [][]string{{"--supervisor", "0"}, {"--supervisor", "0", "--group", "daemon"}} {
		cmd := exec.Command(os.Args[0], append(args, "--port", "127.0.0.1:0")...)
		r := startCmd(t, cmd, "command")
		if code := r.status(); code != 2 || !strings.Contains(r.text(), "root itself would serve the clients; say --user root if that is meant") {
			t.Errorf("%q: exit status %d\n%s", args, code, r.text())
		}
	}
}

func TestInProcess(t *testing.T) {
	r := start(t, "--supervisor", "0", "--port", "127.0.0.1:0")
	mustDial(t, r.addr(0)).mustAsk(t, "hello")
	if n := r.children(); len(n) > 0 {
		t.Errorf("processes: %v", n)
	}
	r.signal(syscall.SIGHUP)
	r.wait("a restart in place requires a supervisor", 1)
	if code := r.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d", code)
	}
}
