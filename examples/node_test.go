//go:build unix

package examples_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"netserver/netservertest"
)

// A program on the library reads munin-node's file: the server's keys, its own,
// and the rest.
func TestNode(t *testing.T) {
	binary := build(t, "node")
	text, err := os.ReadFile("../cmd/netserver/testdata/munin-node.conf")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "munin-node.conf")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(string(text))
	at := free(t, 1)[0]
	// What this machine may not have or allow; the supervisor is what HUP needs.
	args := []string{
		"--conf_file", file, "--port", at, "--host", "127.0.0.1", "--background=0", "--setsid=0", "--user=", "--group=",
		"--log_file=", "--log_level=2", "--pid_file=", "--supervisor=1",
	}
	p := run(t, binary, args...)
	settings := func() (list []string) {
		c := p.dial(t, at)
		r := bufio.NewReader(c)
		hear := func(want string) {
			t.Helper()
			if got, err := r.ReadString('\n'); got != want {
				t.Fatalf("got %q, want %q, %v", got, want, err)
			}
		}
		hear("# munin node at node.example\n")
		io.WriteString(c, "list\n")
		hear("cpu memory\n") // two are ignored
		io.WriteString(c, "settings\n")
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line == ".\n" {
				return list
			}
			list = append(list, strings.TrimSpace(line))
		}
	}
	if got, want := strings.Join(settings(), "; "), "timeout 60 ("+file+":20); df_warning 92 ("+file+":23)"; got != want {
		t.Errorf("left over: %s, want %s", got, want)
	}
	// A restart hands the new ones to the new workers, and one that the program
	// itself refuses changes nothing.
	write(strings.Replace(string(text), "df_warning 92", "df_warning 75", 1))
	p.cmd.Process.Signal(syscall.SIGHUP)
	netservertest.Eventually(t, "the new settings", func() bool { return strings.Contains(strings.Join(settings(), " "), "df_warning 75") })
	write(string(text) + "ignore_file [a-\n")
	p.cmd.Process.Signal(syscall.SIGHUP)
	netservertest.Eventually(t, "the refusal", func() bool {
		return strings.Contains(p.printed(), "new configuration rejected") && strings.Contains(p.printed(), file+":29")
	})
	if got := strings.Join(settings(), " "); !strings.Contains(got, "df_warning 75") {
		t.Errorf("left over: %s", got)
	}
	if out, err := exec.Command(binary, append(args, "--unknown_keys", "refuse")...).CombinedOutput(); err == nil || !strings.Contains(string(out), `unknown key "df_warning"`) {
		t.Errorf("%v\n%s", err, out)
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.ended
	if !p.cmd.ProcessState.Success() {
		t.Errorf("%v", p.cmd.ProcessState)
	}
}
