//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// units returns copies of the units, with templates as instances, that start
// the command where it is.
func units(t *testing.T) []string {
	t.Helper()
	dir, binary := t.TempDir(), command(t)
	var list []string
	for _, pattern := range []string{"*.service", "*.socket"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			b = bytes.ReplaceAll(b, []byte("/usr/local/bin/netserver"), []byte(binary))
			list = append(list, filepath.Join(dir, strings.Replace(name, "@.", "@x.", 1)))
			for _, to := range []string{filepath.Join(dir, name), list[len(list)-1]} {
				if err := os.WriteFile(to, b, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if len(list) < 5 {
		t.Fatalf("only %q", list)
	}
	return list
}

func TestUnitsAreGood(t *testing.T) {
	analyze := netservertest.Peer(t, "systemd-analyze")
	for _, unit := range units(t) {
		out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", filepath.Base(unit), err, out)
		}
	}
}

// The exposure that systemd works out stays what it was, so that a setting that
// is lost shows: 3.1 and 1.5 of 10 with systemd 252.
func TestUnitsAreHardened(t *testing.T) {
	analyze := netservertest.Peer(t, "systemd-analyze")
	for _, unit := range units(t) {
		if !strings.HasSuffix(unit, ".service") {
			continue
		}
		most := "33" // tenths
		if strings.Contains(unit, "inet") {
			most = "17"
		}
		out, err := exec.Command(analyze, "security", "--no-pager", "--offline=true", "--threshold="+most, unit).CombinedOutput()
		if strings.Contains(string(out), "unrecognized option") {
			t.Skipf("this systemd-analyze cannot: %s", out)
		}
		if err != nil {
			t.Errorf("%s is more exposed than %s tenths: %v\n%s", filepath.Base(unit), most, err, out)
		}
	}
}

// full is a server that does all that needs rights: a port below 1024, another
// user, a root directory, limits, an owner for its socket, somebody else's key,
// Landlock. It returns the arguments, the address and the socket's path.
func full(t *testing.T) (args []string, addr, sock string) {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	jail, run := filepath.Join(dir, "jail"), filepath.Join(dir, "run")
	p := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	key, err := os.ReadFile(p.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	theirs := filepath.Join(dir, "theirs.key")
	if err := errors.Join(
		os.Mkdir(jail, 0o755), os.Mkdir(run, 0o755),
		os.WriteFile(theirs, key, 0o400), os.Chown(theirs, 1, 1),
	); err != nil {
		t.Fatal(err)
	}
	addr, sock = lowPort(t), filepath.Join(run, "sock")
	return []string{
		"--port", addr + "/tcp", "--port", "127.0.0.1:0/ssl", "--port", sock + "|unix",
		"--user", "nobody", "--chroot", jail, "--limit_nofile", "9000", "--landlock", "1",
		"--unix_owner", "daemon", "--unix_group", "daemon", "--unix_mode", "0660",
		"--SSL_cert_file", p.CertFile, "--SSL_key_file", theirs,
		"PreForkSimple", "--max_servers", "2",
	}, addr, sock
}

func lowPort(t *testing.T) string {
	t.Helper()
	for p := 1023; p > 600; p-- {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p)); err == nil {
			l.Close()
			return l.Addr().String()
		}
	}
	t.Skip("no low port is free")
	return ""
}

// order moves the type to where it has to stand.
func order(args []string) []string {
	i := slices.Index(args, "PreForkSimple")
	return append([]string{args[i]}, slices.Delete(slices.Clone(args), i, i+1)...)
}

// An output is what a program has printed so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// launch starts a program and waits until it serves on addr.
func launch(t *testing.T, cmd *exec.Cmd, addr string) *output {
	t.Helper()
	log := new(output)
	cmd.Stderr = log
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(2 * time.Minute):
			t.Error("it does not end")
			cmd.Process.Kill()
		}
		if t.Failed() {
			t.Logf("log:\n%s", log)
		}
	})
	deadline := time.Now().Add(2 * time.Minute)
	for {
		err := speak(addr)
		if err == nil {
			return log
		}
		select {
		case e := <-ended:
			ended <- e
			t.Fatalf("it ended: %v", e)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// speak has a line echoed.
func speak(addr string) error {
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	c, err := net.DialTimeout(network, addr, 10*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, "hello\n"); err != nil {
		return err
	}
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		if strings.Contains(line, "hello") {
			return nil
		}
	}
}

// The unit's capabilities are enough for everything that needs one.
func TestUnitCapabilities(t *testing.T) {
	rooted(t)
	setpriv := netservertest.Peer(t, "setpriv")
	var caps []string
	for _, c := range setting(t, "netserver.service", "CapabilityBoundingSet") {
		caps = append(caps, "+"+strings.ToLower(strings.TrimPrefix(c, "CAP_")))
	}
	args, addr, sock := full(t)
	set := "-all," + strings.Join(caps, ",")
	cmd := exec.Command(setpriv, append([]string{"--bounding-set", set, "--inh-caps", "-all", "--no-new-privs", command(t)}, order(args)...)...)
	launch(t, cmd, addr)
	if err := speak(sock); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(sock)
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != 1 || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket is %v of user %d", info.Mode(), st.Uid)
	}
}

// The unit's filter lets through every system call that is made at start, at
// work, at a restart and at the end.
func TestUnitSystemCalls(t *testing.T) {
	rooted(t)
	strace, analyze := netservertest.Peer(t, "strace"), netservertest.Peer(t, "systemd-analyze")
	args, addr, sock := full(t)
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(strace, append([]string{"-f", "-qq", "-o", trace, command(t)}, order(args)...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log := launch(t, cmd, addr)
	if err := speak(sock); err != nil {
		t.Error(err)
	}
	server := serverOf(t, cmd.Process.Pid)
	t.Cleanup(func() {
		if t.Failed() { // strace would leave it behind
			syscall.Kill(server, syscall.SIGTERM)
		}
	})
	syscall.Kill(server, syscall.SIGHUP)
	netservertest.Eventually(t, "the restart", func() bool { return strings.Contains(log.String(), "restart:") })
	netservertest.Eventually(t, "the end of the check and of two serving processes", func() bool {
		b, _ := os.ReadFile(trace)
		return bytes.Count(b, []byte(" exit_group(0")) >= 3 && speak(addr) == nil
	})
	syscall.Kill(server, syscall.SIGTERM)
	netservertest.Eventually(t, "the end", func() bool { return syscall.Kill(server, 0) != nil })
	// What this systemd does not know gets ENOSYS from it, and a program does
	// without.
	known := resolveCalls(t, analyze, "@known")
	allowed := resolveCalls(t, analyze, setting(t, "netserver.service", "SystemCallFilter")...)
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^\d+ +(?:<\.\.\. )?([a-z_0-9]+)(?:\(| resumed>)`).FindAllSubmatch(b, -1) {
		seen[string(m[1])] = true
	}
	for _, must := range []string{"chroot", "setgroups", "capset", "landlock_create_ruleset", "accept4", "execve"} {
		if !seen[must] {
			t.Errorf("%s was never called: the test does not do what it should", must)
		}
	}
	for name := range seen {
		if known[name] && !allowed[name] {
			t.Errorf("the unit does not allow %s", name)
		}
	}
}

// serverOf returns the process that strace started.
func serverOf(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	var child int
	if _, e := fmt.Sscan(string(b), &child); err != nil || e != nil {
		t.Fatalf("%q %v %v", b, err, e)
	}
	return child
}

// resolveCalls returns the system calls that names and sets come to.
func resolveCalls(t *testing.T, analyze string, names ...string) map[string]bool {
	t.Helper()
	calls := make(map[string]bool)
	for len(names) > 0 {
		name := names[0]
		names = names[1:]
		if !strings.HasPrefix(name, "@") {
			calls[name] = true
			continue
		}
		out, err := exec.Command(analyze, "syscall-filter", "--no-pager", name).Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for word := range strings.FieldsSeq(comments.ReplaceAllString(string(out), "")) {
			if word != name {
				names = append(names, word)
			}
		}
	}
	if len(calls) < 100 {
		t.Fatalf("only %d system calls", len(calls))
	}
	return calls
}

var comments = regexp.MustCompile(`(?m)^\s*#.*$`)
