package main_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netserver/netservertest"
)

// script writes a program for /bin/sh that anybody may run, and a file that
// anybody may append to, which it has in $OUT.
func accessScript(t *testing.T, text string) (name, out string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	name, out = filepath.Join(dir, "program"), filepath.Join(dir, "out")
	write(t, out, "")
	if err := netservertest.WriteProgram(name, fmt.Appendf(nil, "#!/bin/sh\nOUT=%s\n%s\n", out, text), 0o755); err != nil {
		t.Fatal(err)
	}
	for file, mode := range map[string]os.FileMode{dir: 0o755, name: 0o755, out: 0o666} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	return name, out
}

func content(file string) string { b, _ := os.ReadFile(file); return string(b) }

// A program gets the lines of the access log as the server's user, is started
// again when it has ended, and ends with the server once its input has.
func TestAccessLogToAProgram(t *testing.T) {
	name, out := accessScript(t, `echo "user $(id -u) $1"; while read -r line; do echo "$line" >>$OUT; case $line in *out=1*) ;; *) exit 3;; esac; done; echo end >>$OUT`)
	args := []string{"--port", "127.0.0.1:0", "--echo", "raw", "--access_log_file", "|" + name + " an-argument", "--access_log_limit", "probe=all"}
	uid := os.Getuid()
	if uid == 0 {
		args, uid = append(args, "--user", "nobody"), 65534
	}
	s := start(t, args...)
	s.awaitLog(fmt.Sprintf(`program of the access log says text="user %d an-argument"`, uid))
	dialEcho(t, s.addr(0))
	awaitFile(t, out, `outcome=served .* out=1 `)

	c, err := net.Dial("tcp", s.addr(0))
	if err != nil {
		t.Fatal(err)
	}
	c.Close() // a probe, after whose line the program ends
	netservertest.Eventually(t, "the program's end is noticed at the next line", func() bool {
		dialEcho(t, s.addr(0))
		return strings.Contains(s.log.String(), "program of the access log ended; it is started again exit=3")
	})
	lines := strings.Count(content(out), "out=1")
	netservertest.Eventually(t, "a line for the next program", func() bool {
		dialEcho(t, s.addr(0))
		return strings.Count(content(out), "out=1") > lines
	})
	s.stop()
	if text := content(out); !strings.HasSuffix(text, "\nend\n") || strings.Count(text, "end\n") != 1 {
		t.Errorf("the program did not see the end of its input:\n%s", text)
	}
}

// One that does not read delays no client and no end of the server; one that
// cannot run is refused.
func TestAccessLogToAProgramThatDoesNot(t *testing.T) {
	name, _ := accessScript(t, `exec sleep 600`)
	args := []string{"--port", "127.0.0.1:0", "--echo", "raw", "--access_log_file", "|" + name}
	if os.Getuid() == 0 {
		args = append(args, "--user", "nobody")
	}
	s := start(t, args...)
	for range 50 {
		dialEcho(t, s.addr(0))
	}
	s.stop()

	refuses(t, 2, `access_log_file: after \| stands a program`, "--port", "127.0.0.1:0", "--access_log_file", "|")
	refuses(t, 2, `access_log_file: \|cat: give the program's whole path`, "--port", "127.0.0.1:0", "--access_log_file", "|cat")
	refuses(t, 2, `access_log_file: .*none: no such file`, "--port", "127.0.0.1:0", "--access_log_file", "|"+name+"none")
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	refuses(t, 2, `access_log_file: .*is not executable`, "--port", "127.0.0.1:0", "--access_log_file", "|"+name)
	if os.Getuid() != 0 {
		return
	}
	refuses(t, 2, `access_log_file: .*would run as root`, "--port", "127.0.0.1:0", "--user", "root", "--access_log_file", "|/bin/cat")
	if err := os.Chmod(name, 0o700); err != nil {
		t.Fatal(err)
	}
	refuses(t, 2, `access_log_file: .*user nobody cannot run it`, "--port", "127.0.0.1:0", "--user", "nobody", "--access_log_file", "|"+name)
}
