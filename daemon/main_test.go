//go:build unix

package daemon_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/daemon"
	"netserver/internal/childproc"
	"netserver/netservertest"
	"netserver/port"
)

// programVar has the test binary be a program instead of running tests: the
// command, or one of a library's user.
const programVar = "DAEMON_TEST_PROGRAM"

func TestMain(m *testing.M) {
	switch os.Getenv(programVar) {
	case "":
		os.Exit(netservertest.Main(m))
	case "command":
		os.Exit(daemon.Command(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
	case "flow":
		os.Exit(flowProgram())
	case "library":
		os.Exit(library())
	case "by port":
		os.Exit(portsProgram())
	case "web", "web without answers":
		os.Exit(webProgram(os.Getenv(programVar) == "web"))
	case "tlsconfig":
		os.Exit(tlsConfigProgram())
	case "keys":
		os.Exit(keysProgram())
	case "attacker":
		os.Exit(attacker(os.Args[1:]))
	case "fenced":
		os.Exit(fenced(os.Args[1:]))
	case "hostile":
		os.Exit(hostile())
	case "held":
		os.Exit(held())
	case "crash": // at start, as a bad new version of the program would
		panic("a bad version")
	case "crash-worker": // only where it would serve
		if strings.HasPrefix(os.Getenv("NETSERVER__ROLE"), "check") {
			os.Exit(daemon.Command(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
		}
		panic("a bad version")
	}
}

// library is a program of a library's user, which says what its hooks see.
func library() int {
	say := func(what string) { fmt.Fprintf(os.Stderr, "hook %s pid=%d\n", what, os.Getpid()) }
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		say("handler")
		line, err := c.ReadLine()
		if want := os.Getenv("DAEMON_TEST_EXIT"); want != "" && string(line) == want {
			os.Exit(0)
		}
		if err == nil {
			_, err = fmt.Fprintf(c, "%d said %s\n", os.Getpid(), line)
		}
		return err
	})}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "tcp", IPv: "4"}}
	h := daemon.Hooks{
		Configured: func(*conf.Result) error {
			if b, err := os.ReadFile(os.Getenv("DAEMON_TEST_REFUSE")); err == nil {
				return errors.New(string(b))
			}
			return nil
		},
		Bound: func(ps []port.Spec) { say(fmt.Sprintf("bound %d", len(ps))) },
		WorkerStart: func(ctx context.Context) error {
			say("worker-start")
			if name := os.Getenv("DAEMON_TEST_HANG"); name != "" {
				if _, err := os.Stat(name); err == nil {
					say("hangs")
					<-ctx.Done()
				}
			}
			return nil
		},
		Serving:    func() { say("serving") },
		Restarting: func() { say("restarting") },
		WorkerStop: func() { say("worker-stop") },
		Ending:     func() { say("ending") },
		Ended:      func() { say("ended") },
		RunDequeue: func(ctx context.Context) error {
			say("run-dequeue")
			fmt.Println("on standard output")
			if os.Getenv("DAEMON_TEST_JOB") == "wait" {
				<-ctx.Done()
				return ctx.Err()
			}
			return errors.New("nothing in the queue")
		},
	}
	layers := daemon.Layers(os.Args[1:], os.Environ())
	if err := daemon.Run(context.Background(), s, daemon.Config{}, h, layers...); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	return 0
}

// A running is a server that a test started as a process.
type running struct {
	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{}
	err  error

	mu  sync.Mutex
	log bytes.Buffer
}

func (r *running) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(b)
}

func (r *running) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// start starts the command with args.
func start(t testing.TB, args ...string) *running {
	t.Helper()
	return startProgram(t, os.Args[0], "command", args...)
}

func startProgram(t testing.TB, path, program string, args ...string) *running {
	t.Helper()
	cmd := exec.Command(path, rootToo(args)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return startCmd(t, cmd, program)
}

// rootToo adds what root has to say where it serves without a supervisor.
func rootToo(args []string) []string {
	i := slices.Index(args, "--supervisor")
	if i < 0 || args[i+1] != "0" || os.Geteuid() != 0 || slices.Contains(args, "--user") {
		return args
	}
	return slices.Insert(slices.Clone(args), i+2, "--user", "root")
}

func startCmd(t testing.TB, cmd *exec.Cmd, program string) *running {
	t.Helper()
	r := &running{t: t, done: make(chan struct{}), cmd: cmd}
	r.cmd.Env = append(os.Environ(), programVar+"="+program)
	r.cmd.Stdout = r
	if r.cmd.Stderr == nil {
		r.cmd.Stderr = r
	}
	r.cmd.WaitDelay = 20 * time.Second
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		r.err = r.cmd.Wait()
		close(r.done)
	}()
	t.Cleanup(func() {
		r.signal(syscall.SIGTERM)
		select {
		case <-r.done:
		case <-time.After(time.Minute):
			t.Errorf("the server does not end")
			r.signal(syscall.SIGKILL)
			<-r.done
		}
		if t.Failed() {
			t.Logf("log:\n%s", r.text())
		}
	})
	return r
}

func (r *running) signal(s os.Signal) { r.cmd.Process.Signal(s) }
func (r *running) pid() int           { return r.cmd.Process.Pid }

// wait waits until the log has a text n times.
func (r *running) wait(text string, n int) {
	r.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for strings.Count(r.text(), text) < n {
		if time.Now().After(deadline) {
			r.t.Fatalf("no %q (%d times) in the log", text, n)
		}
		select {
		case <-r.done:
			if strings.Count(r.text(), text) < n {
				r.t.Fatalf("ended without %q (%d times) in the log", text, n)
			}
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// end sends a signal and returns the exit status.
func (r *running) end(s os.Signal) int {
	r.t.Helper()
	r.signal(s)
	return r.status()
}

func (r *running) status() int {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(time.Minute):
		r.t.Fatal("the server does not end")
	}
	return r.cmd.ProcessState.ExitCode()
}

var boundTo = regexp.MustCompile(`Bound to auto-assigned port (\d+)`)

// addr returns the address of the n-th port 0.
func (r *running) addr(n int) string {
	r.t.Helper()
	r.wait("Bound to auto-assigned port", n+1)
	return "127.0.0.1:" + boundTo.FindAllStringSubmatch(r.text(), -1)[n][1]
}

// serving waits until n generations have served.
func (r *running) serving() { r.t.Helper(); r.wait("identity of the serving processes", 1) }

// children returns the process ids of the workers. Others are left out: those
// that end at once, as the one by which Go's os tries whether the kernel has
// descriptors of processes, and one that is still becoming the user.
func (r *running) children() []int {
	return slices.DeleteFunc(childrenOf(r.t, r.pid()), func(pid int) bool { return !isWorker(pid) })
}

func isWorker(pid int) bool {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return errors.Is(err, fs.ErrPermission) || bytes.Contains(env, []byte(childproc.RoleVar+"=worker/"))
}

func childrenOf(t testing.TB, pid int) []int {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil || len(lists) == 0 {
		if _, err := os.Stat("/proc/self/task"); err != nil {
			t.Skip("this system does not list child processes")
		}
	}
	var pids []int
	for _, name := range lists {
		b, _ := os.ReadFile(name)
		for _, f := range strings.Fields(string(b)) {
			n, _ := strconv.Atoi(f)
			pids = append(pids, n)
		}
	}
	return pids
}

// only waits until there is one worker, which is none of not, and returns it.
func (r *running) only(not ...int) int {
	r.t.Helper()
	var got []int
	netservertest.Eventually(r.t, "one worker", func() bool {
		got = r.children()
		for _, n := range not {
			if len(got) == 1 && got[0] == n {
				return false
			}
		}
		return len(got) == 1
	})
	return got[0]
}

func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

// A client is connected to an echo of lines.
type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(addr string) (*client, error) {
	nc, err := net.DialTimeout("tcp", addr, 30*time.Second)
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(60 * time.Second))
	return &client{nc, bufio.NewReader(nc)}, nil
}

// ask sends a line and reads the echo's answer, after its greeting.
func (c *client) ask(line string) (string, error) {
	if _, err := fmt.Fprintf(c, "%s\r\n", line); err != nil {
		return "", err
	}
	for {
		got, err := c.r.ReadString('\n')
		if err != nil || !strings.HasPrefix(got, "Welcome") {
			return strings.TrimSpace(got), err
		}
	}
}

func (c *client) mustAsk(t *testing.T, line string) {
	t.Helper()
	got, err := c.ask(line)
	if err != nil || !strings.HasSuffix(got, fmt.Sprintf("You said %q", line)) {
		t.Fatalf("asked %q, got %q, %v", line, got, err)
	}
}

func mustDial(t *testing.T, addr string) *client {
	t.Helper()
	c, err := dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// freePort returns the number of a port that nobody has, and that nobody gets
// before the end of the test. What is to be bound twice, or by another process,
// would otherwise be taken by any client on this machine in between.
func freePort(t testing.TB) string { return netservertest.FreePort(t) }

func freeAddr(t testing.TB) string { return net.JoinHostPort("127.0.0.1", freePort(t)) }

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// A load makes one connection after the other until it is stopped.
type load struct {
	stop chan struct{}
	wg   sync.WaitGroup

	mu   sync.Mutex
	n    int
	errs []error
}

func startLoad(addr string, workers int) *load {
	l := &load{stop: make(chan struct{})}
	for range workers {
		l.wg.Go(func() { l.run(addr) })
	}
	return l
}

func (l *load) run(addr string) {
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		err := once(addr)
		l.mu.Lock()
		l.n++
		if err != nil {
			l.errs = append(l.errs, err)
		}
		l.mu.Unlock()
	}
}

func once(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	got, err := c.ask("x")
	if err == nil && !strings.HasSuffix(got, `You said "x"`) {
		err = fmt.Errorf("got %q", got)
	}
	return err
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// end stops the load and returns what failed.
func (l *load) end() (n int, errs []error) {
	close(l.stop)
	l.wg.Wait()
	return l.n, l.errs
}
