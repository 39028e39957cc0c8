//go:build unix

package daemon_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"netserver/daemon"
	"netserver/netservertest"
)

// A manager is a service manager that notes what it is told.
type manager struct {
	t *testing.T
	c *net.UnixConn

	mu    sync.Mutex
	heard []string // without those of the watchdog
	alive int      // those of the watchdog
}

// startManager is heard of by servers that are started from now on.
func startManager(t *testing.T) *manager {
	t.Helper()
	name := filepath.Join(openDir(t), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", "200000")
	m := &manager{t: t, c: c}
	done := make(chan struct{})
	go m.listen(done)
	t.Cleanup(func() { c.Close(); <-done })
	return m
}

func (m *manager) listen(done chan<- struct{}) {
	defer close(done)
	b := make([]byte, 4096)
	for {
		n, err := m.c.Read(b)
		if err != nil {
			return
		}
		m.mu.Lock()
		if text := string(b[:n]); text == "WATCHDOG=1" {
			m.alive++
		} else {
			m.heard = append(m.heard, text)
		}
		m.mu.Unlock()
	}
}

// told waits until the manager has been told n things, and returns the first
// line of each.
func (m *manager) told(n int) []string {
	m.t.Helper()
	var list []string
	netservertest.Eventually(m.t, fmt.Sprintf("%d notices for the service manager", n), func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		list = nil
		for _, text := range m.heard {
			first, _, _ := strings.Cut(text, "\n")
			list = append(list, first)
		}
		return len(list) >= n
	})
	return list
}

func (m *manager) all() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.heard, "\n")
}

// stillAlive waits for the next sign of life.
func (m *manager) stillAlive() {
	m.t.Helper()
	count := func() int { m.mu.Lock(); defer m.mu.Unlock(); return m.alive }
	n := count()
	netservertest.Eventually(m.t, "a sign of life", func() bool { return count() > n })
}

// signs returns how many signs of life there have been up to now, those that
// are on their way included.
func (m *manager) signs() int {
	m.t.Helper()
	const mark = "X_TEST=1"
	c, err := net.DialUnix("unixgram", nil, m.c.LocalAddr().(*net.UnixAddr))
	if err != nil {
		m.t.Fatal(err)
	}
	defer c.Close()
	count := func() (marks int) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, text := range m.heard {
			if text == mark {
				marks++
			}
		}
		return marks
	}
	n := count()
	if _, err := c.Write([]byte(mark)); err != nil {
		m.t.Fatal(err)
	}
	netservertest.Eventually(m.t, "the mark", func() bool { return count() > n })
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.alive
}

// want compares what the manager was told in all.
func (m *manager) want(list ...string) {
	m.t.Helper()
	if got := m.told(len(list)); !slices.Equal(got, list) {
		m.t.Errorf("told %q, want %q", got, list)
	}
}

func TestManagerHearsOfRestarts(t *testing.T) {
	m := startManager(t)
	conf := writeFile(t, filepath.Join(openDir(t), "conf"), "log_level 2\n")
	r := start(t, "--port", "127.0.0.1:0", "--conf_file", conf, "--grace", "77")
	m.want("READY=1")
	m.stillAlive()
	r.signal(syscall.SIGHUP)
	m.want("READY=1", "RELOADING=1", "READY=1")
	writeFile(t, conf, "log_level high\n")
	r.signal(syscall.SIGHUP)
	m.want("READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1")
	if !strings.Contains(m.all(), "STATUS=serving; new configuration rejected") {
		t.Error("the manager does not know that the configuration was refused")
	}
	// The drain waits for this client, and the manager hears of it once, and
	// how long it may take.
	c := mustDial(t, r.addr(0))
	c.mustAsk(t, "hello")
	r.signal(syscall.SIGQUIT)
	m.told(6)
	m.stillAlive()
	c.mustAsk(t, "still here")
	r.signal(syscall.SIGHUP) // too late
	r.wait("the server is shutting down: no restart", 1)
	if code := r.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d", code)
	}
	m.want("READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1", "STOPPING=1")
	for _, want := range []string{
		fmt.Sprintf("READY=1\nMAINPID=%d\nSTATUS=serving, generation 1", r.pid()),
		"RELOADING=1\nMONOTONIC_USEC=", "STOPPING=1\nEXTEND_TIMEOUT_USEC=112000000",
	} {
		if !strings.Contains(m.all(), want) {
			t.Errorf("the manager was not told %q, but\n%s", want, m.all())
		}
	}
}

// dirVar names the folder of the programs below.
const dirVar = "DAEMON_TEST_DIR"

// held is the command, but for a check of a configuration, which waits until
// the test lets it fail, and a worker of a new generation, which crashes if the
// test says so. TestMain runs it.
func held() int {
	dir, role := os.Getenv(dirVar), os.Getenv("NETSERVER__ROLE")
	switch _, err := os.Stat(filepath.Join(dir, "crash")); {
	case err == nil && role != "" && !strings.HasPrefix(role, "check"):
		panic("a bad version")
	case err != nil && strings.HasPrefix(role, "check"):
		os.WriteFile(filepath.Join(dir, "begun"), nil, 0)
		os.ReadFile(filepath.Join(dir, "go-on"))
		return 1
	}
	return daemon.Command(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
}

func startHeld(t *testing.T, args ...string) (*running, string) {
	t.Helper()
	dir := openDir(t)
	t.Setenv(dirVar, dir)
	for _, name := range []string{"begun", "go-on"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return startProgram(t, os.Args[0], "held", args...), dir
}

// A new version that cannot serve: the old one goes on, and the manager knows.
func TestManagerHearsOfAFailedGeneration(t *testing.T) {
	m := startManager(t)
	r, dir := startHeld(t, "--port", "127.0.0.1:0")
	m.want("READY=1")
	writeFile(t, filepath.Join(dir, "crash"), "")
	r.signal(syscall.SIGHUP)
	m.want("READY=1", "RELOADING=1", "READY=1")
	if !strings.Contains(m.all(), "STATUS=serving; the new generation failed to start") {
		t.Errorf("told %s", m.all())
	}
	mustDial(t, r.addr(0)).mustAsk(t, "hello")
	r.end(syscall.SIGTERM)
	m.want("READY=1", "RELOADING=1", "READY=1", "STOPPING=1")
}

// The end comes while a new configuration is being checked: the manager is not
// told that the server is ready after it was told that it stops.
func TestManagerIsNotToldReadyAtTheEnd(t *testing.T) {
	m := startManager(t)
	r, dir := startHeld(t, "--port", "127.0.0.1:0")
	m.want("READY=1")
	c := mustDial(t, r.addr(0)) // which the drain waits for
	c.mustAsk(t, "hello")
	r.signal(syscall.SIGHUP)
	if _, err := os.ReadFile(filepath.Join(dir, "begun")); err != nil {
		t.Fatal(err)
	}
	r.signal(syscall.SIGQUIT)
	m.want("READY=1", "RELOADING=1", "STOPPING=1")
	m.stillAlive() // the check has been ended, as nothing comes of it
	c.Close()
	if code := r.status(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	m.want("READY=1", "RELOADING=1", "STOPPING=1")
}

// Without a supervisor the manager is told too.
func TestManagerHearsOfOneProcess(t *testing.T) {
	m := startManager(t)
	r := start(t, "--port", "127.0.0.1:0", "--supervisor", "0")
	m.want("READY=1")
	m.stillAlive()
	c := mustDial(t, r.addr(0))
	c.mustAsk(t, "hello")
	r.signal(syscall.SIGQUIT)
	m.want("READY=1", "STOPPING=1")
	m.stillAlive()
	if code := r.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d", code)
	}
	m.want("READY=1", "STOPPING=1")
}

// A start that fails tells nothing: the exit status does.
func TestManagerHearsNothingOfAFailedStart(t *testing.T) {
	m := startManager(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, args := range [][]string{{"--supervisor", "1"}, {"--supervisor", "0"}} {
		r := start(t, append(args, "--port", l.Addr().String())...)
		if code := r.status(); code != 1 {
			t.Errorf("%v: exit status %d", args, code)
		}
	}
	if all := m.all(); strings.Contains(all, "READY") {
		t.Errorf("told %s", all)
	}
}
