//go:build unix

package daemon_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"netserver/netservertest"
)

// A reload takes over log_level for the supervisor's own lines too.
func TestReloadOfLogLevel(t *testing.T) {
	file := filepath.Join(openDir(t), "server.conf")
	writeFile(t, file, "port 127.0.0.1:0\nlog_level 2\n")
	r, socket := startCtl(t, "--conf_file", file)
	states := func() int { return strings.Count(r.text(), "state: pid") }
	r.signal(syscall.SIGUSR2)
	netservertest.Eventually(t, "a notice of the supervisor's", func() bool { return states() == 1 })
	for i, level := range []string{"1", "2"} {
		writeFile(t, file, "port 127.0.0.1:0\nlog_level "+level+"\n")
		if code, out, errs := ctl(socket, "reload"); code != 0 {
			t.Fatal(out, errs)
		}
		for range 3 {
			r.signal(syscall.SIGUSR2)
			ctl(socket, "status") // an answer of the loop that takes the signals too
		}
		if i == 0 && states() > 1 {
			t.Errorf("%d notices although log_level is 1 now:\n%s", states(), r.text())
		}
	}
	netservertest.Eventually(t, "notices again", func() bool { return states() > 1 })
	r.end(syscall.SIGTERM)
}
