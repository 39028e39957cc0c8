package main_test

import (
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait: long enough for a loaded machine with the race
// detector, and only ever used up by a failure.
const patience = 60 * time.Second

// A transcript keeps what a process writes, for readers that wait for a part
// of it.
type transcript struct {
	mu      sync.Mutex
	text    []byte
	changed chan struct{} // closed at the next Write; nil while nobody waits
}

// Write keeps b.
func (tr *transcript) Write(b []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.text = append(tr.text, b...)
	if tr.changed != nil {
		close(tr.changed)
		tr.changed = nil
	}
	return len(b), nil
}

// String returns all that was written so far.
func (tr *transcript) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return string(tr.text)
}

// next returns the text, and a channel that tells of more.
func (tr *transcript) next() (string, <-chan struct{}) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.changed == nil {
		tr.changed = make(chan struct{})
	}
	return string(tr.text), tr.changed
}

// await waits until found says yes to the text. It fails the test when that
// can no longer happen, because end is closed, or takes too long.
func (tr *transcript) await(t testing.TB, what string, end <-chan struct{}, found func(text string) bool) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for ended := false; ; {
		text, changed := tr.next()
		switch {
		case found(text):
			return
		case ended:
			t.Fatalf("it ended without %s; it wrote:\n%s", what, text)
		}
		select {
		case <-changed:
		case <-end:
			ended = true // look once more: the last output may be newer
		case <-late.C:
			t.Fatalf("waited %v for %s; it wrote:\n%s", patience, what, text)
		}
	}
}

// A process is a program that a test has started.
type process struct {
	t     testing.TB
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   transcript    // standard output
	log   transcript    // standard error
	ended chan struct{} // closed when it has ended and all output is here
	state *os.ProcessState
}

// launch starts cmd. The end of the test kills it if it still runs.
func launch(t testing.TB, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.log
	// Output that a grandchild holds open must not keep Wait from returning.
	cmd.WaitDelay = patience
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.reap()
	t.Cleanup(p.kill)
	return p
}

func (p *process) reap() {
	p.cmd.Wait()
	p.state = p.cmd.ProcessState
	close(p.ended)
}

func (p *process) kill() {
	p.stdin.Close()
	// A server that is killed leaves its clients to the processes that serve
	// them; told to stop, it cuts them.
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience / 4):
		p.cmd.Process.Kill()
		<-p.ended
	}
}

// wait waits for the end and returns the exit status, -1 after a signal.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("%s has not ended after %v; it wrote:\n%s%s", p.name, patience, &p.out, &p.log)
	}
	return p.state.ExitCode()
}

// signal sends s.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: signal %v: %v; it wrote:\n%s", p.name, s, err, &p.log)
	}
}

// running reports whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// environment returns the test's own environment without what would change
// how the command or a peer behaves.
func environment() []string {
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch {
		case strings.HasPrefix(strings.ToUpper(name), "NETSERVER_"), name == "IPV", name == "NO_IPV6":
		case strings.HasSuffix(strings.ToLower(name), "_proxy"): // curl's
		default:
			env = append(env, v)
		}
	}
	if raceEnabled { // the detector's wait at the end of a process is a second
		env = append(env, "GORACE=atexit_sleep_ms=20")
	}
	return env
}

// serverEnvironment is environment for a server that gets to serve.
func serverEnvironment() []string { return environment() }

// A server is the command, running.
type server struct{ *process }

// start starts the command with args and fails the test later if the race
// detector or a panic spoke in it.
func start(t testing.TB, args ...string) *server {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = serverEnvironment()
	return startCmd(t, cmd)
}

// startCmd is start for a prepared command.
func startCmd(t testing.TB, cmd *exec.Cmd) *server {
	t.Helper()
	s := &server{launch(t, "netserver", cmd)}
	t.Cleanup(s.inspect)
	s.awaitLog(`starting! pid\(\d+\)`)
	return s
}

// inspect looks for what no log may have. Cleanups run last in, first out:
// the process may still be running.
func (s *server) inspect() {
	s.kill()
	text := s.log.String()
	for _, bad := range []string{"DATA RACE", "panic:", "fatal error:", "goroutine "} {
		if strings.Contains(text, bad) {
			s.t.Errorf("%q in the log:\n%s", bad, text)
		}
	}
	if out := s.out.String(); out != "" {
		s.t.Errorf("a server wrote to its standard output: %q", out)
	}
	if s.t.Failed() {
		s.t.Logf("netserver %q wrote:\n%s", s.cmd.Args[1:], text)
	}
}

// awaitLog waits for a line of the log that matches pattern and returns its
// submatches.
func (s *server) awaitLog(pattern string) []string {
	s.t.Helper()
	return s.awaitLogs(pattern, 1)[0]
}

// awaitLogs waits for n matches of pattern in the log.
func (s *server) awaitLogs(pattern string, n int) (found [][]string) {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	s.log.await(s.t, pattern, s.ended, func(text string) bool {
		found = re.FindAllStringSubmatch(text, -1)
		return len(found) >= n
	})
	return found
}

// port waits for the server to listen and returns the number that its i-th
// port 0 became, counting from 0.
func (s *server) port(i int) string {
	s.t.Helper()
	return s.awaitLogs(`Bound to auto-assigned port (\d+)`, i+1)[i][1]
}

// addr is the loopback address with port i.
func (s *server) addr(i int) string {
	s.t.Helper()
	return "127.0.0.1:" + s.port(i)
}

// awaitUnix waits until the socket file is bound.
func (s *server) awaitUnix(path string) {
	s.t.Helper()
	s.awaitLog(regexp.QuoteMeta(`socket file "` + path + `"`))
}

// stop ends the server by TERM, as a service manager does, and expects a
// clean end.
func (s *server) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	if status := s.wait(); status != 0 {
		s.t.Errorf("after TERM: exit status %d, want 0", status)
	}
}

// refusal runs the command, which must end by itself, and returns what it
// wrote to standard error and its exit status.
func refusal(t testing.TB, args ...string) (stderr string, status int) {
	t.Helper()
	return refusalCmd(t, func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, binary, args...) })
}

// refusalCmd is refusal for a command that f makes.
func refusalCmd(t testing.TB, f func(context.Context) *exec.Cmd) (stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := f(ctx)
	var out, err strings.Builder
	cmd.Env, cmd.Stdout, cmd.Stderr = environment(), &out, &err
	runErr := cmd.Run()
	switch {
	case ctx.Err() != nil:
		t.Fatalf("netserver %q goes on instead of failing:\n%s", cmd.Args[1:], err.String())
	case cmd.ProcessState == nil:
		t.Fatal(runErr)
	case out.Len() > 0:
		t.Errorf("netserver %q wrote to its standard output: %q", cmd.Args[1:], out.String())
	}
	return err.String(), cmd.ProcessState.ExitCode()
}
