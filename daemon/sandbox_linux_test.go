package daemon_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"netserver/netservertest"

	"golang.org/x/sys/unix"
)

// attackerFor returns the words that run the attacker as a program.
func attackerFor(t *testing.T, what ...string) []string {
	t.Helper()
	name := filepath.Join(openDir(t), "attacker")
	copyProgram(t, name)
	env, err := exec.LookPath("env")
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{env, programVar + "=attacker", name}, what...)
}

// attackBy connects and returns what the program could do.
func attackBy(t *testing.T, addr string) []string {
	t.Helper()
	c := mustDial(t, addr)
	defer c.Close()
	return readAttack(t, c.r)
}

func readAttack(t *testing.T, r *bufio.Reader) (did []string) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		switch {
		case err != nil:
			t.Fatalf("the attacker was cut off after %q: %v", did, err)
		case line == "done\n":
			return did
		}
		did = append(did, strings.TrimSpace(line))
	}
}

// A terminal is one from which a server was started.
type terminal struct {
	*running
	master *os.File
}

func startAtTerminal(t *testing.T, args ...string) terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), programVar+"=command")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	r := &running{t: t, done: make(chan struct{}), cmd: cmd}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	go io.Copy(r, master)
	go func() {
		r.err = cmd.Wait()
		close(r.done)
	}()
	t.Cleanup(func() {
		r.signal(syscall.SIGTERM)
		r.status()
		if t.Failed() {
			t.Logf("terminal:\n%s", r.text())
		}
	})
	return terminal{r, master}
}

// session returns the session of a process and the number of its controlling
// terminal, 0 for none.
func session(t *testing.T, pid int) (sid, tty int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	sid, _ = strconv.Atoi(string(f[3]))
	tty, _ = strconv.Atoi(string(f[4]))
	return sid, tty
}

// A program that is run for a client, whichever process starts it, cannot type
// into the terminal of who started the server.
func TestAttackerProgramHasNoTerminal(t *testing.T) {
	rooted(t)
	program := attackerFor(t, "terminal")
	for _, args := range [][]string{
		{"--exec_stderr", "inherit"},
		{"--exec_stderr", "inherit", "--landlock", "1"},
		{"--exec_stderr", "inherit", "--exec_pipes", "1"},
	} {
		r := startAtTerminal(t, append(append([]string{"--port", "127.0.0.1:0"}, args...), append([]string{"--"}, program...)...)...)
		addr := r.addr(0)
		r.serving()
		if _, tty := session(t, r.pid()); tty == 0 {
			t.Fatal("the server has no terminal")
		}
		if sid, tty := session(t, r.only()); sid != r.only() || tty != 0 {
			t.Errorf("the worker is in session %d, with terminal %d", sid, tty)
		}
		if did := attackBy(t, addr); len(did) > 0 {
			t.Errorf("%q: the program %s", args, strings.Join(did, ", "))
		}
		if code := r.end(syscall.SIGTERM); code != 0 {
			t.Errorf("exit status %d", code)
		}
	}
}

// Neither has one that the server's only process starts. As root it could type
// into any terminal that it has open.
func TestAttackerProgramHasNoTerminalWithoutSupervisor(t *testing.T) {
	for _, args := range [][]string{{"--exec_pipes", "1"}, {"--exec_pipes", "0"}} {
		r := startAtTerminal(t, append(append([]string{"--port", "127.0.0.1:0", "--supervisor", "0", "--user", "root"}, args...), append([]string{"--"}, attackerFor(t, "terminal")...)...)...)
		if did := attackBy(t, r.addr(0)); len(did) > 0 {
			t.Errorf("the program %s", strings.Join(did, ", "))
		}
	}
}

// A job and a command that prints a password have none either.
func TestAttackerJobHasNoTerminal(t *testing.T) {
	args := []string{"--port", "127.0.0.1:0", "--check_for_dequeue", "0.1", "--max_dequeue", "1"}
	for _, word := range attackerFor(t, "terminal") {
		args = append(args, "--dequeue_command="+word)
	}
	r := startAtTerminal(t, args...)
	r.wait("done", 1)
	if strings.Contains(r.text(), "line=\"can") {
		t.Error("the job could use the terminal")
	}
}

// At the terminal, its interrupt key ends the server and all that it started.
func TestInterruptKeyEndsTheServer(t *testing.T) {
	r := startAtTerminal(t, "--port", "127.0.0.1:0", "--", "/bin/cat")
	c := mustDial(t, r.addr(0))
	fmt.Fprintln(c, "x")
	if line, err := c.r.ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	worker := r.only()
	programs := childrenOf(t, worker)
	if _, err := r.master.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	if code := r.status(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	r.hasAll("Received a SIG INT") // the terminal may be read later than the process ends
	for _, pid := range append(programs, worker) {
		netservertest.Eventually(t, "the end of all processes", func() bool { return !alive(pid) })
	}
}

// A server in the background has a session of its own, with and without
// setsid.
func TestBackgroundHasNoTerminal(t *testing.T) {
	for _, key := range []string{"background", "setsid"} {
		dir := t.TempDir()
		pidFile := filepath.Join(dir, "pid")
		r := startAtTerminal(t, "--port", "127.0.0.1:0", "--"+key, "1", "--pid_file", pidFile, "--log_file", filepath.Join(dir, "log"))
		if code := r.status(); code != 0 {
			t.Fatalf("exit status %d", code)
		}
		b, err := os.ReadFile(pidFile)
		if err != nil {
			t.Fatal(err)
		}
		pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
		if sid, tty := session(t, pid); sid != pid || tty != 0 {
			t.Errorf("%s: process %d is in session %d, with terminal %d", key, pid, sid, tty)
		}
		syscall.Kill(pid, syscall.SIGTERM)
		netservertest.Eventually(t, "its end", func() bool { return !alive(pid) })
	}
}

// startWithDescriptor starts the command as a shell does that was told
// 7</etc/shadow.
func startWithDescriptor(t *testing.T, name string, args ...string) *running {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command(os.Args[0], args...)
	cmd.ExtraFiles = []*os.File{f, f, f, f, f}
	return startCmd(t, cmd, "command")
}

// What the server was started with does not reach workers, programs and jobs.
func TestAttackerHasNoInheritedDescriptor(t *testing.T) {
	secret := writeFile(t, filepath.Join(t.TempDir(), "secret"), "for root alone\n")
	program := attackerFor(t, "descriptors")
	for _, args := range [][]string{{}, {"--supervisor", "0", "--user", "root"}, {"--supervisor", "0", "--user", "root", "--exec_pipes", "1"}} {
		r := startWithDescriptor(t, secret, append(append([]string{"--port", "127.0.0.1:0"}, args...), append([]string{"--"}, program...)...)...)
		if did := attackBy(t, r.addr(0)); len(did) > 0 {
			t.Errorf("%q: the program %s", args, strings.Join(did, ", "))
		}
	}
	args := []string{"--port", "127.0.0.1:0", "--check_for_dequeue", "0.1", "--max_dequeue", "1"}
	for _, word := range program {
		args = append(args, "--dequeue_command="+word)
	}
	r := startWithDescriptor(t, secret, args...)
	r.wait("done", 1)
	if strings.Contains(r.text(), "has descriptor") {
		t.Error("a job has a descriptor")
	}
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", r.only()))
	if len(links) == 0 {
		t.Error("the worker's descriptors cannot be seen")
	}
	for _, l := range links {
		if to, _ := os.Readlink(l); to == secret {
			t.Errorf("the worker has %s", l)
		}
	}
}

// A program cannot take the link and the way to the keys from the processes
// that run as its own user, nor look at them.
func TestAttackerCannotTakeFromItsParents(t *testing.T) {
	rooted(t)
	program := append([]string{"--"}, attackerFor(t, "parents")...)
	for _, tc := range []struct {
		user  string
		args  []string
		tries int
	}{
		{"root", nil, 1},
		{"nobody", nil, 2}, // the supervisor too
		{"nobody", []string{"--supervisor", "0"}, 1},
	} {
		r := startAs(t, tc.user, append(append([]string{"--port", "127.0.0.1:0"}, tc.args...), program...)...)
		addr := r.addr(0)
		check := func() {
			t.Helper()
			tries := 0
			for _, did := range attackBy(t, addr) {
				if strings.HasPrefix(did, "tried") {
					tries++
				} else {
					t.Errorf("%s %q: the program %s", tc.user, tc.args, did)
				}
			}
			if tries != tc.tries {
				t.Errorf("%s %q: %d processes were attacked", tc.user, tc.args, tries)
			}
		}
		check()
		if len(tc.args) > 0 {
			continue
		}
		// A process that keeps to itself can still start others.
		old := r.only()
		syscall.Kill(old, syscall.SIGKILL)
		next := r.only(old)
		check()
		r.signal(syscall.SIGHUP)
		r.only(old, next)
		check()
	}
}

// A program and a job have a short environment, that of who they are, and the
// limit on descriptors with which the server was started.
func TestAttackerHasNotTheServersEnvironment(t *testing.T) {
	rooted(t)
	sh := netservertest.Peer(t, "sh")
	t.Setenv("DAEMON_TEST_SECRET", "of root alone")
	t.Setenv("DAEMON_TEST_SHOWN", "yes")
	t.Setenv("HOME", "/root")
	t.Setenv("USER", "root")
	const script = `env | sed 's/^/env /'; echo soft $(ulimit -Sn); echo done`
	for _, tc := range []struct {
		args []string
		home string
	}{
		{nil, "/nonexistent"},
		{[]string{"--user", "root"}, "/root"},
		{[]string{"--supervisor", "0", "--user", "root"}, "/root"},
	} {
		args := append([]string{"-c", `ulimit -Sn 321; exec "$@"`, "sh", os.Args[0], "--port", "127.0.0.1:0",
			"--exec_env", "DAEMON_TEST_SHOWN", "--exec_env=DAEMON_TEST_SET=a b"}, tc.args...)
		program := args
		if len(tc.args) == 0 || tc.args[0] != "--supervisor" {
			for _, word := range []string{sh, "-c", script} {
				program = append(program, "--dequeue_command="+word)
			}
			program = append(program, "--check_for_dequeue", "0.1", "--max_dequeue", "1")
		}
		r := startCmd(t, exec.Command(sh, append(program, "--", sh, "-c", script)...), "command")
		got := strings.Join(attackBy(t, r.addr(0)), "\n") + "\n"
		if len(program) > len(args) {
			r.wait("line=done", 1)
			got += strings.NewReplacer(`line="`, "\n", `"`+"\n", "\n").Replace(r.text())
		}
		for _, want := range []string{"env HOME=" + tc.home, "env DAEMON_TEST_SHOWN=yes", "env DAEMON_TEST_SET=a b", "soft 321"} {
			if n := strings.Count(got, "\n"+want+"\n") + strings.Count("\n"+got[:len(want)+1], "\n"+want+"\n"); n == 0 || len(program) > len(args) && n < 2 {
				t.Errorf("%q: %q is %d times in\n%s", tc.args, want, n, got)
			}
		}
		if strings.Contains(got, "DAEMON_TEST_SECRET") || strings.Contains(got, programVar) {
			t.Errorf("%q: too much in\n%s", tc.args, got)
		}
	}
}

// A worker that somebody has broken into cannot start a program or look into
// the supervisor: the kernel ends it, the supervisor says why, and another
// serves.
func TestAttackerInWorkerMakesSystemCall(t *testing.T) {
	for _, user := range []string{"root", "nobody"} {
		rooted(t)
		for _, what := range []string{"run", "trace"} {
			name := filepath.Join(openDir(t), "hostile")
			copyProgram(t, name)
			cmd := exec.Command(name, "--seccomp", "1")
			if user == "nobody" {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			}
			r := startCmd(t, cmd, "hostile")
			addr := r.addr(0)
			r.serving()
			if !strings.Contains(r.text(), "seccomp is in force") {
				t.Error("the log does not say so")
			}
			c := mustDial(t, addr)
			fmt.Fprintln(c, what)
			if line, err := c.r.ReadString('\n'); err == nil {
				t.Errorf("it lived: %s", line)
			}
			r.wait("killed by its seccomp filter", 1)
			c = mustDial(t, addr)
			fmt.Fprintln(c, "hello")
			if line, err := c.r.ReadString('\n'); line != "hello what?\n" || err != nil {
				t.Errorf("the next worker: %q, %v", line, err)
			}
		}
	}
}

// A handler of a program's own may need any system call, and gets no filter
// unless it is asked for; where programs are run it is refused.
func TestSeccompLeavesProgramsAlone(t *testing.T) {
	r := startProgram(t, os.Args[0], "hostile")
	c := mustDial(t, r.addr(0))
	fmt.Fprintln(c, "run")
	if line, err := c.r.ReadString('\n'); line != "run <nil>\n" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	r = start(t, "--port", "127.0.0.1:0", "--", "/bin/echo", "x")
	c = mustDial(t, r.addr(0))
	if line, err := c.r.ReadString('\n'); line != "x\n" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	r = start(t, "--port", "127.0.0.1:0", "--seccomp", "1", "--", "/bin/echo", "x")
	if code := r.status(); code != 2 || !strings.Contains(r.text(), "seccomp: it cannot be 1 where a program serves") {
		t.Errorf("exit status %d", code)
	}
	r = start(t, "--port", "127.0.0.1:0", "--seccomp", "0")
	r.serving()
	if strings.Contains(r.text(), "seccomp is in force") {
		t.Error("seccomp 0 has it in force")
	}
}
