//go:build unix

package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// Without a supervisor the one process runs all hooks.
func TestHooksInOneProcess(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGQUIT} {
		r := startProgram(t, os.Args[0], "library", "--supervisor", "0")
		addr := r.addr(0)
		r.wait("hook serving", 1)
		c := mustDial(t, addr)
		fmt.Fprintf(c, "hello\n")
		if got, err := c.r.ReadString('\n'); !strings.HasSuffix(got, " said hello\n") || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		if code := r.end(sig); code != 0 {
			t.Errorf("exit status %d", code)
		}
		var got []string
		for _, m := range regexp.MustCompile(`(?m)^hook (.*) pid=\d+$`).FindAllStringSubmatch(r.text(), -1) {
			got = append(got, m[1])
		}
		if s := strings.Join(got, ", "); s != "bound 1, worker-start, serving, handler, ending, worker-stop, ended" {
			t.Errorf("%v: %s", sig, s)
		}
	}
}

// Without a supervisor, too, a server that does not serve yet says so, and is not
// ready.
func TestStartingInOneProcess(t *testing.T) {
	dir := openDir(t)
	t.Setenv("DAEMON_TEST_HANG", writeFile(t, filepath.Join(dir, "hang"), ""))
	socket := filepath.Join(dir, "ctl")
	r := startProgram(t, os.Args[0], "library", "--supervisor", "0", "--control_socket", socket)
	r.wait("hook hangs", 1)
	if st := statusNow(t, socket); st.State != "starting" {
		t.Errorf("it is %s", st.State)
	}
	if code, out, errs := ctl(socket, "health"); code != 1 || !strings.Contains(out, "starting") {
		t.Errorf("health: exit status %d: %s%s", code, out, errs)
	}
	r.end(syscall.SIGKILL) // that hook does not end by TERM
}

// What the program itself finds wrong with a configuration refuses it, at the
// start and at a restart.
func TestConfiguredRefuses(t *testing.T) {
	name := filepath.Join(openDir(t), "refuse")
	t.Setenv("DAEMON_TEST_REFUSE", name)
	r := startProgram(t, os.Args[0], "library")
	r.wait("hook serving", 1)
	old := r.only()
	writeFile(t, name, "colour is missing")
	r.signal(syscall.SIGHUP)
	r.wait("new configuration rejected; the current one stays: colour is missing", 1)
	if r.only() != old {
		t.Error("another worker")
	}
	second := startProgram(t, os.Args[0], "library")
	if code := second.status(); code != 1 || !strings.Contains(second.text(), "error: colour is missing") || strings.Contains(second.text(), "hook bound") {
		t.Errorf("exit status %d", code)
	}
	os.Remove(name)
	r.signal(syscall.SIGHUP)
	r.wait("hook serving", 2)
}
