//go:build unix

package daemon_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"netserver/netservertest"
)

// A signal that comes while the configuration is read is kept until the
// server serves, or ends the start.
func TestSignalsBeforeItServes(t *testing.T) {
	for _, s := range []syscall.Signal{
		syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT,
	} {
		for _, supervisor := range []string{"1", "0"} {
			fifo := filepath.Join(openDir(t), "conf")
			if err := syscall.Mkfifo(fifo, 0o644); err != nil {
				t.Fatal(err)
			}
			r := start(t, "--port", "127.0.0.1:0", "--supervisor", supervisor, "--conf_file", fifo)
			f, err := os.OpenFile(fifo, os.O_WRONLY, 0) // waits until it reads
			if err != nil {
				t.Fatal(err)
			}
			r.signal(s)
			switch s {
			case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT:
				if r.status() == 0 {
					t.Errorf("%v: success", s)
				}
				f.Close()
				continue
			}
			f.WriteString("log_level 2\n")
			f.Close()
			mustDial(t, r.addr(0)).mustAsk(t, "hello")
			switch s {
			case syscall.SIGHUP:
				r.wait("Received a SIG HUP", 1)
				if supervisor == "1" { // which reads the pipe again
					if f, err = os.OpenFile(fifo, os.O_WRONLY, 0); err != nil {
						t.Fatal(err)
					}
					f.WriteString("log_level 2\n")
					f.Close()
					r.wait("restart: ports and handler are the same", 1)
				}
			case syscall.SIGUSR2:
				if supervisor == "1" {
					r.wait("state: pid", 1)
				}
			}
		}
	}
}

// What a shell starts in the background begins with INT and QUIT ignored, and
// ends at them all the same.
func TestIgnoredSignalsBeforeItServes(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT} {
		fifo := filepath.Join(openDir(t), "conf")
		if err := syscall.Mkfifo(fifo, 0o644); err != nil {
			t.Fatal(err)
		}
		r := startCmd(t, exec.Command("/bin/sh", "-c", `trap "" TERM INT QUIT; exec "$0" --port 127.0.0.1:0 --conf_file "$1"`, os.Args[0], fifo), "command")
		f, err := os.OpenFile(fifo, os.O_WRONLY, 0) // waits until it reads
		if err != nil {
			t.Fatal(err)
		}
		if r.signal(s); r.status() == 0 {
			t.Errorf("%v: success", s)
		}
		f.Close()
	}
}

// hitAtStart sends a signal to the next n processes that r starts, as soon as
// they are there, and returns how many were hit when ok reports true.
func (r *running) hitAtStart(s syscall.Signal, n int, ok func() bool) {
	r.t.Helper()
	hit := childrenOf(r.t, r.pid())
	netservertest.Eventually(r.t, "it serves in spite of signals", func() bool {
		for _, pid := range childrenOf(r.t, r.pid()) {
			if n > 0 && !slices.Contains(hit, pid) {
				syscall.Kill(pid, s)
				hit = append(hit, pid)
				n--
			}
		}
		return ok()
	})
}

// Processes of the server that a signal for the supervisor ends in their first
// milliseconds are started again.
func TestSignalsAtTheStartOfAWorker(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1} {
		r := start(t, "PreForkSimple", "--max_servers", "2", "--port", "127.0.0.1:0")
		r.hitAtStart(s, 5, func() bool { return strings.Contains(r.text(), "identity of the serving processes") })
		for i := range 3 {
			r.signal(syscall.SIGHUP)
			r.hitAtStart(s, 4, func() bool { return strings.Count(r.text(), "restart: ports and handler are the same") > i })
		}
		if strings.Contains(r.text(), "the current one stays") {
			t.Error("a reload failed")
		}
		mustDial(t, r.addr(0)).mustAsk(t, "hello")
	}
}
