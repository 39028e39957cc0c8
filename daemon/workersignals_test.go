//go:build unix

package daemon_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"netserver/netservertest"
)

// A signal that was meant for the supervisor does nothing to a worker: the
// client who is there goes on, and the next is served.
func TestWorkerIgnoresTheSupervisorsSignals(t *testing.T) {
	for _, kind := range []string{"Fork", "PreForkSimple"} {
		args := []string{kind, "--port", "127.0.0.1:0", "--max_servers", "4", "--sig_passthrough", "WINCH"}
		if kind != "Fork" {
			args = append(args, "--clients_per_server", "9")
		}
		r := start(t, args...)
		r.serving()
		addr := r.addr(0)
		c := mustDial(t, addr)
		c.mustAsk(t, "before")
		workers := r.children()
		for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGHUP} {
			for _, pid := range workers {
				syscall.Kill(pid, s)
			}
		}
		for _, s := range []string{"HUP", "QUIT", "USR1", "USR2", "TTIN", "TTOU"} {
			r.wait(fmt.Sprintf("ignores SIG%s: it is for the supervisor, pid %d", s, r.pid()), len(workers))
		}
		for range 2 * len(workers) {
			if err := once(addr); err != nil {
				t.Error(err)
			}
		}
		c.mustAsk(t, "after")
		if got := r.children(); fmt.Sprint(got) != fmt.Sprint(workers) {
			t.Errorf("%s: workers %v became %v", kind, workers, got)
		}
	}
}

// A worker that TERM or INT ends is replaced at once, while its client has the
// grace time; a second signal cuts it.
func TestWorkerEndedByASignalIsReplaced(t *testing.T) {
	for _, kind := range [][]string{
		{"Fork"}, {"Fork", "--max_servers", "1"}, {"Single"}, {"PreForkSimple", "--max_servers", "1"},
		{"PreFork", "--min_servers", "1", "--max_servers", "1", "--min_spare_servers", "0"},
	} {
		for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			t.Run(fmt.Sprint(kind, s), func(t *testing.T) {
				r := start(t, append(kind, "--port", "127.0.0.1:0", "--grace", "1000")...)
				r.serving()
				addr := r.addr(0)
				c := mustDial(t, addr)
				c.mustAsk(t, "before")
				old := r.only()
				syscall.Kill(old, s)
				r.wait("was ended by a signal; starting a replacement", 1)
				mustDial(t, addr).mustAsk(t, "the next")
				c.mustAsk(t, "still here")
				syscall.Kill(old, s)
				if _, err := c.r.ReadByte(); err == nil {
					t.Error("the client was not cut")
				}
				if now := r.only(old); now == old {
					t.Error("the same worker")
				}
				if strings.Contains(r.text(), "crash") {
					t.Error("it counts as a crash")
				}
			})
		}
	}
}

// A signal to every process of the server is one to the supervisor: no worker
// is started in place of another.
func TestSignalToEveryProcess(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT} {
		r := start(t, "--port", "127.0.0.1:0")
		r.serving()
		worker := r.only()
		stopProcess(t, r.pid()) // it gets its own signal within a moment of the worker's, however busy the machine is
		syscall.Kill(worker, s)
		r.signal(s)
		r.signal(syscall.SIGCONT)
		if code := r.status(); code != 0 {
			t.Errorf("%v: status %d", s, code)
		}
		if strings.Contains(r.text(), "starting a replacement") {
			t.Errorf("%v: a worker was started at the end", s)
		}
	}
}

// A worker that ends by itself, as a handler that calls os.Exit has it end, is
// named and replaced.
func TestWorkerThatEndsByItself(t *testing.T) {
	t.Setenv("DAEMON_TEST_EXIT", "bye")
	r := startProgram(t, os.Args[0], "library")
	addr := r.addr(0)
	r.wait("hook serving", 1)
	old := r.only()
	c := mustDial(t, addr)
	fmt.Fprintf(c, "bye\n")
	r.wait("ended unexpectedly: by itself; starting a replacement", 1)
	netservertest.Eventually(t, "the next is served", func() bool {
		c, err := dial(addr)
		if err != nil {
			return false
		}
		defer c.Close()
		fmt.Fprintf(c, "hello\n")
		got, err := c.r.ReadString('\n')
		return err == nil && strings.HasSuffix(got, " said hello\n") && !strings.HasPrefix(got, fmt.Sprint(old))
	})
}
