package main_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"netserver/netservertest"
)

// startTop starts a server with a TCP and a TLS port, and returns its control
// socket.
func startTop(t *testing.T) (*server, string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "ctl")
	return startTopOn(t, socket), socket
}

func startTopOn(t *testing.T, socket string) *server {
	t.Helper()
	s := start(t, "--port", "127.0.0.1:0", "--port", "127.0.0.1:0/ssl", "--control_socket", socket)
	netservertest.Eventually(t, "it serves", func() bool {
		return exec.Command(binary, "ctl", "--socket", socket, "health").Run() == nil
	})
	return s
}

// topClient connects, and is served.
func topClient(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTopInATerminal(t *testing.T) {
	s, socket := startTop(t)
	one, two := topClient(t, s.addr(0)), topClient(t, s.addr(0))
	term := inTerminal(t, 80, 24, []string{"TERM=vt100"}, binary, "ctl", "--socket", socket, "top", "--interval", "0.1")
	term.shows("clients 2 (2 in the handler)")
	term.shows("[1 overview]")
	term.shows("p99 -")
	term.shows(one.LocalAddr().String())
	term.shows(two.LocalAddr().String())

	_, number, _ := net.SplitHostPort(one.LocalAddr().String())
	term.keys("/" + number + "\r")
	term.shows("only clients with: " + number)
	netservertest.Eventually(t, "the other one is not listed", func() bool { return !strings.Contains(term.text(), two.LocalAddr().String()) })
	term.keys("k")
	term.shows("choose a client by the arrow keys")
	term.keys("\x1b[B")
	term.keys("k")
	term.shows(one.LocalAddr().String() + "? y/n")
	term.keys("n")
	term.shows(" stays")
	term.keys("k")
	term.shows("? y/n")
	term.keys("y")
	if rest, err := io.ReadAll(one); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("%q, %v", rest, err)
	}
	s.awaitLog("outcome=killed")
	term.shows("clients 1 (1 in the handler)")
	term.keys("3")
	term.shows("killed 1")
	term.keys("6")
	term.shows("in memory")
	term.keys("7")
	term.shows("[7 workers]")
	term.keys("?")
	term.shows("end the client that is chosen")
	term.keys(" ")

	term.size(120, 40)
	term.keys("1")
	netservertest.Eventually(t, "the screen is larger", func() bool {
		lines := strings.Split(term.text(), "\n")
		return len(lines) > 40 && strings.Contains(lines[39], "q quit") && strings.Contains(lines[0], "netserver ")
	})
	term.keys("q")
	if status := term.restored(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if _, err := io.WriteString(two, "still\r\n"); err != nil {
		t.Error(err)
	}
}

// What clients choose must not reach the terminal as they send it.
func TestTopShowsHostileNames(t *testing.T) {
	s, socket := startTop(t)
	c, err := tls.Dial("tcp", s.addr(1), &tls.Config{InsecureSkipVerify: true, ServerName: "\x1b]0;owned\a\x1b[2J\u202egnp\u05d0\x7f\x9b31m"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	const shown = `%1B]0;owned%07%1B[2J%E2%80%AEgnp\u05d0%7F%9B31m`
	term := inTerminal(t, 200, 24, []string{"TERM=vt100"}, binary, "ctl", "--socket", socket, "top", "--interval", "0.1")
	term.shows(shown)
	term.keys("\x03") // ctrl-c
	if status := term.restored(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if text := term.written(); strings.Contains(text, "owned\a") || strings.ContainsAny(text, "\u202e\u05d0\x7f") {
		t.Errorf("%q", text)
	}
	out, err := exec.Command(binary, "ctl", "--socket", socket, "top", "--count", "1").Output()
	if err != nil || !bytes.Contains(out, []byte(shown)) || bytes.ContainsAny(out, "\x1b\a\u202e\u05d0\x7f") {
		t.Errorf("%v: %q", err, out)
	}
}

func TestTopWaitsForTheServer(t *testing.T) {
	s, socket := startTop(t)
	term := inTerminal(t, 80, 24, []string{"TERM=vt100"}, binary, "ctl", "--socket", socket, "top", "--interval", "0.1")
	lines := launch(t, "top", exec.Command(binary, "ctl", "--socket", socket, "top", "--interval", "0.1"))
	term.shows("serving")
	lines.out.await(t, "the first lines", lines.ended, func(text string) bool { return strings.Contains(text, "serving") })
	s.cmd.Process.Signal(syscall.SIGTERM)
	term.shows("no answer, waiting: no server")
	lines.out.await(t, "a notice", lines.ended, func(text string) bool { return strings.Contains(text, "no answer, waiting") })
	s.wait()
	startTopOn(t, socket)
	term.shows("the server was started anew")
	lines.out.await(t, "lines again", lines.ended, func(text string) bool {
		_, after, _ := strings.Cut(text, "no answer, waiting")
		return strings.Contains(after, "serving")
	})
	lines.cmd.Process.Signal(syscall.SIGTERM)
	if status := lines.wait(); status != 0 {
		t.Errorf("exit status %d: %s", status, &lines.log)
	}
	term.cmd.Process.Signal(syscall.SIGTERM)
	if status := term.restored(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

var coloured = regexp.MustCompile("\x1b\\[[0-9;]*[34][0-9][0-9;]*m")

func TestTopWithoutColour(t *testing.T) {
	s, socket := startTop(t)
	topClient(t, s.addr(0))
	for _, tt := range []struct {
		environ []string
		colour  bool
	}{{[]string{"TERM=xterm-256color"}, true}, {[]string{"TERM=xterm-256color", "NO_COLOR=1"}, false}} {
		term := inTerminal(t, 80, 24, tt.environ, binary, "ctl", "--socket", socket, "top")
		netservertest.Eventually(t, "it shows something", func() bool { return strings.Contains(term.written(), "netserver") })
		// The question whether to end a client is red.
		term.keys("\x1b[B")
		term.keys("k")
		netservertest.Eventually(t, "it asks", func() bool { return strings.Contains(term.written(), "? y/n") })
		term.keys("n")
		term.keys("q")
		<-term.ended
		if got := coloured.MatchString(term.written()); got != tt.colour {
			t.Errorf("%q: colours: %v: %q", tt.environ, got, term.written())
		}
	}
	for _, args := range [][]string{{"--count", "2", "--interval", "0.1"}, {"--plain", "--count", "2", "--interval", "0.1"}} {
		environ := []string{"TERM=dumb"}
		if args[0] == "--plain" {
			environ[0] = "TERM=vt100"
		}
		term := inTerminal(t, 80, 24, environ, binary, append([]string{"ctl", "--socket", socket, "top"}, args...)...)
		if status := term.restored(); status != 0 {
			t.Errorf("exit status %d", status)
		}
		netservertest.Eventually(t, "two blocks of lines", func() bool { return strings.Count(term.written(), "per second") == 2 })
		if text := term.written(); strings.Contains(text, "\x1b") || !strings.Contains(text, "clients 1") {
			t.Errorf("%q", text)
		}
	}
}

func TestTopIsToldWell(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "ctl")
	for _, tt := range []struct {
		args   string
		status int
		says   string
	}{
		{"top", 1, "no server: there is no socket"},
		{"top --interval 0", 2, "is not a number of seconds"},
		{"top --count x", 2, "is not a number of times"},
		{"top --json", 2, "top has no --json"},
		{"top --limit 3", 2, "top takes --interval"},
		{"top all", 2, `top takes no "all"`},
		{"status --plain", 2, "--plain goes with top"},
	} {
		term := inTerminal(t, 80, 24, []string{"TERM=vt100"}, binary, append([]string{"ctl", "--socket", missing}, strings.Fields(tt.args)...)...)
		if status := term.restored(); status != tt.status {
			t.Errorf("%s: exit status %d", tt.args, status)
		}
		netservertest.Eventually(t, tt.args, func() bool { return strings.Contains(term.written(), tt.says) })
		if strings.Contains(term.written(), "\x1b") {
			t.Errorf("%s: %q", tt.args, term.written())
		}
	}
}
