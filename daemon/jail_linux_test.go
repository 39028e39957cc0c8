package daemon_test

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"netserver/netservertest"
)

var libraryPath = regexp.MustCompile(`(?m)(?:=>|^)\s*(/\S+) \(0x`)

// jail makes a root directory with the shared libraries of this program, and
// with nothing else.
func jail(t *testing.T) string {
	t.Helper()
	dir := openDir(t)
	out, err := exec.Command(netservertest.Peer(t, "ldd"), os.Args[0]).CombinedOutput()
	if err != nil && !bytes.Contains(out, []byte("not a dynamic")) {
		t.Fatalf("ldd: %v\n%s", err, out)
	}
	for _, m := range libraryPath.FindAllStringSubmatch(string(out), -1) {
		copyTo(t, m[1], filepath.Join(dir, m[1]))
	}
	return dir
}

func copyTo(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err == nil {
		_, err = io.Copy(out, in)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

var logTime = regexp.MustCompile(`(?m)^(\d{4}/\d\d/\d\d-\d\d:\d\d:\d\d) served `)

// A jail has no time zones and no null device: the workers' log lines are of
// the zone in which the server was started, and programs and jobs run.
func TestJailWithoutZoneAndNullDevice(t *testing.T) {
	rooted(t)
	zone, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		t.Skip(err)
	}
	t.Setenv("TZ", "Asia/Kolkata")
	dir := jail(t)
	copyTo(t, os.Args[0], filepath.Join(dir, "attacker"))
	r := start(t, "--port", "127.0.0.1:0", "--chroot", dir, "--log_level", "3", "--exec_stderr", "drop", "--exec_env", programVar+"=attacker",
		"--check_for_dequeue", "0.1", "--max_dequeue", "1", "--dequeue_command", "/attacker", "--", "/attacker", "descriptors")
	if did := attackBy(t, r.addr(0)); len(did) > 0 {
		t.Errorf("%q", did)
	}
	r.wait(" served client=", 1)
	r.wait("line=done", 1)
	at, err := time.ParseInLocation("2006/01/02-15:04:05", logTime.FindStringSubmatch(r.text())[1], zone)
	if d := time.Since(at).Abs(); err != nil || d > time.Hour {
		t.Errorf("a worker's line is of %v: %v, %v", at, d, err)
	}
}

// What is missing in a jail is named: the loader of a program, and of what
// interprets one.
func TestJailWithoutLoader(t *testing.T) {
	rooted(t)
	shell, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Skip(err)
	}
	f, err := elf.Open(shell)
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	loader := ""
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			b, _ := io.ReadAll(p.Open())
			loader = string(bytes.TrimRight(b, "\x00"))
		}
	}
	if loader == "" {
		t.Skip("/bin/sh needs no shared libraries")
	}
	dir := openDir(t)
	copyTo(t, shell, filepath.Join(dir, "bin", "sh"))
	writeFile(t, filepath.Join(dir, "bin", "script"), "#!/bin/sh\n")
	os.Chmod(filepath.Join(dir, "bin", "script"), 0o755)
	for program, want := range map[string]string{
		"/bin/sh":     "cannot execute /bin/sh: its loader " + loader + ": there is no such file below the root directory " + dir,
		"/bin/script": "cannot execute /bin/script: its interpreter /bin/sh: its loader " + loader + ": there is no such file",
	} {
		r := start(t, "--port", "127.0.0.1:0", "--user", "nobody", "--chroot", dir, "--", program)
		if code := r.status(); code != 2 || !strings.Contains(r.text(), want) {
			t.Errorf("%s: exit status %d, without %q", program, code, want)
		}
	}
}

// A proxy to a name, in a jail that does not say how names are looked up, is
// warned of at the start.
func TestJailWithoutNames(t *testing.T) {
	rooted(t)
	dir := jail(t)
	const warning = "names are looked up, but "
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--proxy_to", "backend.example:9"}, "proxy_to backend.example:9: " + warning + dir},
		{[]string{"--reverse_lookups", "1"}, "reverse_lookups: " + warning},
		{[]string{"--proxy_to", "127.0.0.1:9"}, ""},
	} {
		// With cgo Landlock needs a /proc.
		r := start(t, append([]string{"--port", "127.0.0.1:0", "--chroot", dir, "--landlock", "0"}, tc.args...)...)
		r.serving()
		if tc.want != "" && !strings.Contains(r.text(), tc.want) || tc.want == "" && strings.Contains(r.text(), warning) {
			t.Errorf("%q: without %q", tc.args, tc.want)
		}
	}
}

// Limits that leave no room for the process are refused by name, all at once,
// and those that leave some are not.
func TestLimitsWithoutRoom(t *testing.T) {
	rooted(t)
	const user = "4211" // which nobody else is
	base := []string{"--port", "127.0.0.1:0", "--user", user, "--group", user}
	r := start(t, append(base, "--limit_nproc", "12", "--limit_nofile", "10", "--limit_as", "1000000", "--", "/bin/cat")...)
	if code := r.status(); code != 2 {
		t.Errorf("exit status %d", code)
	}
	for _, name := range []string{"nproc: 12", "nofile: 10", "as: 1000000"} {
		if !strings.Contains(r.text(), "limit_"+name+" leaves no room for a process that serves clients: it needs at least ") {
			t.Errorf("without limit_%s", name)
		}
	}
	least := regexp.MustCompile(`limit_(\w+): .* at least (\d+)`)
	var enough []string
	for _, m := range least.FindAllStringSubmatch(r.text(), -1) {
		n, _ := strconv.Atoi(m[2])
		if m[1] == "as" {
			n *= 2 // the race detector's
		}
		enough = append(enough, "--limit_"+m[1], fmt.Sprint(n))
	}
	r = start(t, append(append(base, enough...), "--max_servers", "5", "--", "/bin/cat")...)
	c := mustDial(t, r.addr(0))
	fmt.Fprintln(c, "x")
	if line, err := c.r.ReadString('\n'); line != "x\n" || err != nil {
		t.Errorf("with %q: %q, %v", enough, line, err)
	}
	r.wait("needs for 5 programs at once", 1) // programs could take what the server needs
}
