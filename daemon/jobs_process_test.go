//go:build unix

package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"netserver/netservertest"
)

// jobArgs are the arguments of a server with a job that runs a shell script.
func jobArgs(script string, more ...string) []string {
	return append([]string{"--port", "127.0.0.1:0", "--log_level", "4", "--check_for_dequeue", "0.1",
		"--dequeue_command", "/bin/sh", "--dequeue_command=-c", "--dequeue_command", script}, more...)
}

// jobLines returns what jobs wrote to the log.
func jobLines(log string) []string {
	var list []string
	for _, m := range regexp.MustCompile(`(?m)job output job=\d+ line=(.*)$`).FindAllStringSubmatch(log, -1) {
		text := m[1]
		if s, err := strconv.Unquote(text); err == nil {
			text = s
		}
		list = append(list, text)
	}
	return list
}

// A job is who the workers are, has no ports, nothing to read, and the log to
// write to.
func TestJobIsConfined(t *testing.T) {
	script := `echo "id $(id -u) $(id -G)"; read x || echo no input; grep -E '^(CapBnd|NoNewPrivs|Umask)' /proc/self/status
		for f in /proc/$$/fd/*; do readlink $f; done | grep -c socket; env | grep -c -E '^(NETSERVER_|NOTIFY_|LISTEN_)'; ulimit -c
		echo to stderr >&2; printf '\033[31m forged\n'; head -c 5000 /dev/zero | tr '\0' x; echo; echo last; exit 3`
	r := start(t, jobArgs(script, "--max_dequeue", "1", "--umask", "027", "--limit_core", "0")...)
	r.wait("job 1 (pid ", 1)
	r.wait("job output job=1 line=last", 1)
	r.wait("failed after", 1)
	if !regexp.MustCompile(`job 1 \(pid \d+\) failed after .*: exit status 3`).MatchString(r.text()) {
		t.Error("the exit status is not in the log")
	}
	got := strings.Join(jobLines(r.text()), "\n")
	want := []string{"no input", "Umask:%090027", "to stderr", "last", strings.Repeat("x", 1024) + "..."}
	if os.Geteuid() == 0 {
		want = append(want, "id 65534 65534", "CapBnd:%090000000000000000", "NoNewPrivs:%091")
	}
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("nothing of %q in the job's output", w)
		}
	}
	if !regexp.MustCompile(`(?m)^0\n0\n0$`).MatchString(got) { // sockets, variables, limit of core
		t.Errorf("output:\n%s", got)
	}
	if strings.Contains(r.text(), "\x1b") {
		t.Error("a control character is in the log")
	}
	mustDial(t, r.addr(0)).mustAsk(t, "clients are served")
}

func TestNoMoreJobsThanMaxDequeue(t *testing.T) {
	dir := openDir(t)
	os.Chmod(dir, 0o777)
	// Each job says how many there are, and waits for the file that ends all.
	script := fmt.Sprintf("echo x > %[1]s/job.$$; n=0; for f in %[1]s/job.*; do n=$((n+1)); done; echo there are $n; "+
		"while [ ! -e %[1]s/go ]; do sleep 0.05; done; rm %[1]s/job.$$", dir)
	r := start(t, jobArgs(script, "--max_dequeue", "3")...)
	r.wait("not starting a job: 3 already running", 1)
	r.wait("there are", 3)
	got := strings.Join(jobLines(r.text()), ", ")
	if strings.Contains(got, "there are 4") || strings.Count(got, "there are") != 3 {
		t.Errorf("output: %s", got)
	}
	r.signal(syscall.SIGUSR2)
	r.wait("state: job 3, pid", 1)
	writeFile(t, filepath.Join(dir, "go"), "")
	r.wait("finished after", 3)
	r.wait("job 4 started", 1)
}

// A job that does not obey TERM is killed with all that it has started.
func TestJobsEndWithTheServer(t *testing.T) {
	for _, tc := range []struct {
		name, script string
		signal       syscall.Signal
		grace, want  string
	}{
		{"obeys", `trap 'echo asked to end; exit 0' TERM; echo ready; sleep 1000 & wait`, syscall.SIGTERM, "100", "asked to end"},
		{"drain", `trap 'echo asked to end; exit 0' TERM; echo ready; sleep 1000 & wait`, syscall.SIGQUIT, "100", "asked to end"},
		{"stubborn", `trap '' TERM; echo ready; while :; do sleep 0.1; done`, syscall.SIGTERM, "1", "did not exit within 1s of TERM; killing it"},
		{"stubborn drain", `trap '' TERM; echo ready; while :; do sleep 0.1; done`, syscall.SIGQUIT, "1", "did not exit within 1s of TERM; killing it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel() // the stubborn have their time
			r := start(t, jobArgs(tc.script, "--max_dequeue", "1", "--grace", tc.grace)...)
			r.wait("job output job=1 line=ready", 1)
			group := jobPid(t, r.text(), 1)
			if code := r.end(tc.signal); code != 0 {
				t.Errorf("exit status %d", code)
			}
			if !strings.Contains(r.text(), tc.want) {
				t.Errorf("no %q in the log", tc.want)
			}
			if strings.Contains(r.text(), "job 2 started") || !strings.HasSuffix(r.text(), "Server closing!\n") {
				t.Error("it goes on")
			}
			netservertest.Eventually(t, "nothing is left of the job", func() bool { return !groupAlive(group) })
		})
	}
}

func jobPid(t *testing.T, log string, n int) int {
	t.Helper()
	m := regexp.MustCompile(fmt.Sprintf(`job %d started, pid (\d+)`, n)).FindStringSubmatch(log)
	if m == nil {
		t.Fatalf("job %d was not started", n)
	}
	pid, _ := strconv.Atoi(m[1])
	return pid
}

// groupAlive reports whether a process group has a process that is not dead.
func groupAlive(group int) bool {
	if syscall.Kill(-group, 0) == syscall.ESRCH {
		return false
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	if len(stats) == 0 {
		return true
	}
	for _, name := range stats {
		b, err := os.ReadFile(name)
		_, after, ok := strings.Cut(string(b), ") ")
		if f := strings.Fields(after); err == nil && ok && f[2] == strconv.Itoa(group) && f[0] != "Z" {
			return true
		}
	}
	return false
}

// What a job leaves behind is not left: it would be bounded by nothing.
func TestJobLeavesNothing(t *testing.T) {
	r := start(t, jobArgs("sleep 1000 & echo done", "--max_dequeue", "1")...)
	r.wait("finished after", 3)
	for n := range 3 {
		if groupAlive(jobPid(t, r.text(), n+1)) {
			t.Errorf("something is left of job %d", n+1)
		}
	}
}

// A restart leaves running jobs alone, and the next ones are the new
// configuration's.
func TestJobsAtHUP(t *testing.T) {
	dir := openDir(t)
	os.Chmod(dir, 0o777)
	file := writeFile(t, filepath.Join(dir, "server.conf"), fmt.Sprintf(
		"port 127.0.0.1:0\nlog_level 4\ncheck_for_dequeue 0.1\nmax_dequeue 1\ndequeue_command /bin/sh\ndequeue_command -c\n"+
			"dequeue_command trap 'echo cut' HUP TERM; echo old; while [ ! -e %s/go ]; do sleep 0.05; done; echo old is finished\n", dir))
	r := start(t, "--conf_file", file)
	r.wait("line=old", 1)
	writeFile(t, file, "port 127.0.0.1:0\nlog_level 4\ncheck_for_dequeue 0.1\nmax_dequeue 1\ndequeue_command /bin/echo\ndequeue_command new\n")
	r.signal(syscall.SIGHUP)
	r.wait("restart: ", 1)
	netservertest.Eventually(t, "the new configuration is in force", func() bool {
		r.signal(syscall.SIGUSR2)
		return strings.Contains(r.text(), "generation 2, serving")
	})
	r.wait("not starting a job: 1 already running", 1) // the bound is kept across the restart
	writeFile(t, filepath.Join(dir, "go"), "")
	r.wait(`line="old is finished"`, 1)
	r.wait("line=new", 2)
	if n := strings.Count(r.text(), "line=old\n"); n != 1 || strings.Contains(r.text(), "line=cut") {
		t.Errorf("%d old jobs, or one was cut", n)
	}
	// And none at all.
	writeFile(t, file, "port 127.0.0.1:0\nlog_level 4\n")
	r.signal(syscall.SIGHUP)
	r.wait("restart: ", 2)
	mustDial(t, r.addr(0)).mustAsk(t, "hello")
}

// A job of a supervisor that was killed ends as if it had been told.
func TestJobOfKilledSupervisor(t *testing.T) {
	dir := openDir(t)
	os.Chmod(dir, 0o777)
	name := filepath.Join(dir, "ended")
	r := start(t, jobArgs("trap 'echo x > "+name+"; exit' TERM; echo ready; sleep 1000 & wait", "--max_dequeue", "1")...)
	r.wait("line=ready", 1)
	group := jobPid(t, r.text(), 1)
	r.signal(syscall.SIGKILL)
	netservertest.Eventually(t, "the job is told", func() bool { _, err := os.Stat(name); return err == nil })
	netservertest.Eventually(t, "nothing is left of the job", func() bool { return !groupAlive(group) })
}

func TestJobOfKilledSupervisorThatIsStubborn(t *testing.T) {
	r := start(t, jobArgs("trap '' TERM; echo ready; while :; do sleep 0.1; done", "--max_dequeue", "1", "--grace", "1")...)
	r.wait("line=ready", 1)
	group := jobPid(t, r.text(), 1)
	r.signal(syscall.SIGKILL)
	netservertest.Eventually(t, "nothing is left of the job", func() bool { return !groupAlive(group) })
}

func TestJobsAreRefused(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--dequeue_command", "/bin/echo"}, "dequeue_command is given without check_for_dequeue"},
		{[]string{"--dequeue_command", "/bin/echo", "--check_for_dequeue", "1"}, "dequeue_command is given without max_dequeue"},
		{[]string{"--check_for_dequeue", "1", "--max_dequeue", "1"}, "dequeue_command says what to run"},
		{[]string{"--check_for_dequeue", "0.05", "--max_dequeue", "1", "--dequeue_command", "/bin/echo"}, "check_for_dequeue 50ms is too short"},
		{[]string{"--check_for_dequeue", "1", "--max_dequeue", "1", "--dequeue_command", "/no/such/program"}, "/no/such/program"},
		{[]string{"--check_for_dequeue", "1", "--max_dequeue", "1", "--dequeue_command", "/bin/echo hello"}, "a dequeue_command of its own"},
		{[]string{"--check_for_dequeue", "1", "--max_dequeue", "1", "--dequeue_command", "/bin/echo", "--supervisor", "0"}, "max_dequeue requires a supervisor, and there is none with supervisor 0"},
		{[]string{"INET", "--check_for_dequeue", "1", "--max_dequeue", "1", "--dequeue_command", "/bin/echo"}, "max_dequeue requires a supervisor, and there is none with type INET"},
	} {
		r := start(t, append(tc.args, "--port", "127.0.0.1:0")...)
		if code := r.status(); code != 2 || !strings.Contains(r.text(), tc.want) {
			t.Errorf("%q: exit status %d, or without %q:\n%s", tc.args, code, tc.want, r.text())
		}
	}
	// 0 is a way to say that there are none.
	r := start(t, "--port", "127.0.0.1:0", "--dequeue_command", "/bin/echo", "--max_dequeue", "0", "--check_for_dequeue", "1")
	r.serving()
	mustDial(t, r.addr(0)).mustAsk(t, "hello")
}

// Each type has jobs, and without being asked for a supervisor.
func TestJobsOfEachType(t *testing.T) {
	for _, kind := range []string{"Single", "Fork", "PreForkSimple", "PreFork"} {
		t.Run(kind, func(t *testing.T) {
			t.Setenv("NETSERVER_SUPERVISOR", "auto")
			r := startProgram(t, os.Args[0], "command", append([]string{kind}, jobArgs("echo $1$2", "--max_dequeue", "1",
				"--dequeue_command", "sh", "--dequeue_command", "two words;", "--dequeue_command", "$HOME", "--supervisor", "auto")...)...)
			r.wait(`line="two words;$HOME"`, 2) // no shell of ours has seen them
			r.wait("finished after", 2)
			c := mustDial(t, r.addr(0))
			c.mustAsk(t, "hello")
			c.Close()
			if code := r.end(syscall.SIGTERM); code != 0 {
				t.Errorf("exit status %d", code)
			}
		})
	}
}

// The function of a Go program runs as a job.
func TestJobIsAFunction(t *testing.T) {
	r := startProgram(t, os.Args[0], "library", "--check_for_dequeue", "0.1", "--max_dequeue", "1", "--log_level", "4")
	r.wait("hook serving", 1)
	r.wait(`job output job=1 line="on standard output"`, 1)
	r.wait("failed after", 1)
	r.wait("job output job=3", 1)
	if !regexp.MustCompile(`job 1 \(pid \d+\) failed after .*: Hooks.RunDequeue: nothing in the queue`).MatchString(r.text()) {
		t.Error("its error is not in the log")
	}
	if code := r.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d", code)
	}
	job := regexp.MustCompile(`hook run-dequeue pid=(\d+)`).FindStringSubmatch(r.text())
	if job == nil || job[1] != strconv.Itoa(jobPid(t, r.text(), 1)) || strings.Count(r.text(), "hook worker-start") != 1 {
		t.Errorf("the function ran elsewhere: %q", job)
	}
}

func TestFunctionEndsWithTheServer(t *testing.T) {
	t.Setenv("DAEMON_TEST_JOB", "wait")
	r := startProgram(t, os.Args[0], "library", "--check_for_dequeue", "0.1", "--max_dequeue", "1", "--log_level", "4")
	r.wait("hook run-dequeue", 1)
	if code := r.end(syscall.SIGTERM); code != 0 || !strings.Contains(r.text(), "was ended after") || !strings.Contains(r.text(), "context canceled") {
		t.Errorf("exit status %d", code)
	}
}
