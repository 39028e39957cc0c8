//go:build unix

package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// talking returns a client of the line echo that has been greeted.
func talking(t *testing.T, network, address string) *speaker {
	t.Helper()
	s := newSpeaker(t, dial(t, network, address))
	s.hears("Welcome to")
	return s
}

// refuses waits until connections to the server's port are refused.
func (s *server) refuses(address string) {
	s.t.Helper()
	for end := time.Now().Add(patience); ; {
		c, err := net.DialTimeout("tcp", address, patience)
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			return
		case err == nil:
			c.Close()
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s still takes connections: %v", address, err)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestTERMAndINTStopAtOnce(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			s := start(t, "--host", "127.0.0.1", "--port", "0", "--port", path+"|unix")
			s.awaitUnix(path)
			a, b := talking(t, "tcp", s.addr(0)), talking(t, "unix", path)
			s.signal(sig)
			a.ends()
			b.ends()
			if status := s.wait(); status != 0 {
				t.Errorf("exit status %d", status)
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("the socket file is still there")
			}
			s.awaitLog(`Server closing!`)
			s.awaitLog(`clients: 2\b`)
		})
	}
}

func TestQUITLetsClientsFinish(t *testing.T) {
	s := echoServer(t, "tcp")
	c := talking(t, "tcp", s.addr(0))
	s.signal(syscall.SIGQUIT)
	s.refuses(s.addr(0))
	for i := range 3 { // it is served as before
		c.says("still here %d\n", i)
		c.hears(fmt.Sprintf("still here %d", i))
	}
	if !s.running() {
		t.Fatal("the server did not wait for its client")
	}
	c.says("quit\n")
	c.hears(`You said "quit"`)
	c.ends()
	if status := s.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

func TestQUITCutsAfterGrace(t *testing.T) {
	s := echoServer(t, "tcp", "--grace", "0.2")
	c := talking(t, "tcp", s.addr(0))
	s.signal(syscall.SIGQUIT)
	c.ends()
	if status := s.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	s.awaitLog(`Received a SIG QUIT: no new clients; current ones have 200ms`)
}

func TestSecondSignalCuts(t *testing.T) {
	for _, second := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGINT} {
		t.Run(second.String(), func(t *testing.T) {
			s := echoServer(t, "tcp", "--grace", "3600")
			c := talking(t, "tcp", s.addr(0))
			s.signal(syscall.SIGQUIT)
			s.refuses(s.addr(0))
			c.says("x\n")
			c.hears(`You said "x"`)
			s.signal(second)
			c.ends()
			if status := s.wait(); status != 0 {
				t.Errorf("exit status %d", status)
			}
		})
	}
}

// Until restarts are built, HUP must not end the server, which is what it does
// to a program that knows nothing of it.
func TestHUPChangesNothing(t *testing.T) {
	s := echoServer(t, "tcp")
	c := talking(t, "tcp", s.addr(0))
	s.signal(syscall.SIGHUP)
	s.awaitLog(`Received a SIG HUP`)
	c.says("x\n")
	c.hears(`You said "x"`)
	talking(t, "tcp", s.addr(0))
	s.stop()
}

// The reader of the log may go away: a crashed log collector must not take the
// service with it.
func TestLogReaderGoneIsNoEnd(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s")
	cmd := exec.Command(binary, "--port", path+"|unix", "--log_level", "4")
	cmd.Env, cmd.Stderr = serverEnvironment(), w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Kill() })
	w.Close()
	dialSoon(t, "unix", path).Close()
	r.Close()
	for range 10 { // each writes to the log
		c := newSpeaker(t, dialSoon(t, "unix", path))
		c.says("quit\n")
		c.endsCleanly()
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := <-ended; err != nil {
		t.Errorf("after TERM: %v", err)
	}
}

func TestExitLineStopsTheServer(t *testing.T) {
	s := echoServer(t, "tcp")
	other := talking(t, "tcp", s.addr(0))
	c := talking(t, "tcp", s.addr(0))
	c.says("exit\n")
	c.hears(`You said "exit"`)
	other.ends()
	if status := s.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// A program must not outlive the server that ran it.
func TestTERMEndsPrograms(t *testing.T) {
	for _, proto := range []string{"tcp", "ssl"} {
		t.Run(proto, func(t *testing.T) {
			s := start(t, "--host", "127.0.0.1", "--port", "0/"+proto, "--",
				"sh", "-c", `echo "pid $$"; exec sleep 3600`)
			var c net.Conn = dial(t, "tcp", s.addr(0))
			if proto == "ssl" {
				c.Close()
				c = dialTLS(t, s.addr(0))
			}
			sp := newSpeaker(t, c)
			pid, err := strconv.Atoi(sp.hears(`pid (\d+)`)[1])
			if err != nil {
				t.Fatal(err)
			}
			s.stop()
			sp.ends()
			awaitGone(t, pid)
		})
	}
}

// awaitGone waits until there is no process pid, or only what init has not
// collected yet.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	zombie := regexp.MustCompile(`(?m)^State:\s+Z`)
	for end := time.Now().Add(patience); ; {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return
		}
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if zombie.Match(status) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("process %d still runs:\n%s", pid, status)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestRestartFindsItsSocketFileAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	args := []string{"--port", path + "|unix"}
	s := start(t, args...)
	s.awaitUnix(path)
	s.signal(syscall.SIGKILL) // nothing can be cleaned up
	s.wait()
	netservertest.Eventually(t, "the worker has noticed, and listens no more", func() bool {
		c, err := net.Dial("unix", path)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	again := start(t, args...)
	again.awaitUnix(path)
	talking(t, "unix", path)

	stderr, status := refusal(t, args...)
	if status != 1 || !strings.Contains(stderr, path) || !strings.Contains(stderr, "in use") {
		t.Errorf("a second server on the socket: status %d, %s", status, stderr)
	}
	talking(t, "unix", path) // the first was not disturbed
	again.stop()
}

func TestLogFileInJSON(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	path := filepath.Join(t.TempDir(), "s")
	cmd := exec.Command(binary, "--port", path+"|unix", "--log_file", file, "--log_format", "json", "--log_level", "3")
	cmd.Env = serverEnvironment()
	p := launch(t, "netserver", cmd)
	c := newSpeaker(t, dialSoon(t, "unix", path))
	c.says("quit\n")
	c.endsCleanly()
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 || p.log.String() != "" {
		t.Errorf("exit status %d, standard error %q", status, &p.log)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	served := false
	for line := range strings.Lines(string(text)) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		if record["msg"] == "served" {
			served = true
			if record["in"] != 5.0 || record["client"] != 1.0 || record["stage"] != "handler" {
				t.Errorf("the client's record is %s", line)
			}
		}
	}
	if !served {
		t.Errorf("no record of the client in:\n%s", text)
	}
}

// dialSoon is dial for a server whose log does not tell when it listens.
func dialSoon(t *testing.T, network, address string) net.Conn {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial(network, address)
		if err == nil {
			c.SetDeadline(end)
			return c
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
