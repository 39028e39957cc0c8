//go:build linux

package daemon_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// startAs starts the command as root, whose workers are nobody, or as nobody
// itself.
func startAs(t *testing.T, user string, args ...string) *running {
	t.Helper()
	if user == "root" {
		return start(t, args...)
	}
	name := filepath.Join(openDir(t), "netserver")
	copyProgram(t, name)
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	return startCmd(t, cmd, "command")
}

// isFenced waits for the start and skips the test if the kernel has no Landlock.
func isFenced(t *testing.T, r *running) {
	t.Helper()
	r.serving()
	if strings.Contains(r.text(), "no Landlock") {
		t.Skip("the kernel has none")
	}
	if !strings.Contains(r.text(), "Landlock is in force") {
		t.Error("the log does not tell of Landlock")
	}
}

// backend is a server of lines that says from where it answers.
func backend(t *testing.T, network, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			line, _ := bufio.NewReader(c).ReadString('\n')
			fmt.Fprintf(c, "%s: You said %q\n", network, strings.TrimSpace(line))
			c.Close()
		}
	}()
	return l
}

// What the configuration names can be read, and read again, but a link that
// leads out of it leads nowhere.
func TestLandlockKeepsToWhatIsNamed(t *testing.T) {
	rooted(t)
	for _, user := range []string{"root", "nobody"} {
		t.Run(user, func(t *testing.T) {
			dir, outside := openDir(t), openDir(t)
			rules := writeFile(t, filepath.Join(dir, "rules"), "192.0.2.1\n")
			other := writeFile(t, filepath.Join(outside, "rules"), "192.0.2.3\n")
			r := startAs(t, user, "--port", "127.0.0.1:0", "--cidr_deny_file", rules, "--cidr_allow", "127.0.0.0/8")
			isFenced(t, r)
			mustDial(t, r.addr(0)).mustAsk(t, "hello")
			s := statusOf(t, r.only())
			for _, want := range []string{"Uid:\t65534\t", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"} {
				if !strings.Contains(s, want) {
					t.Errorf("without %q:\n%s", want, s)
				}
			}
			writeFile(t, rules+".new", "192.0.2.2\n")
			if err := os.Rename(rules+".new", rules); err != nil {
				t.Fatal(err)
			}
			r.wait("access rules: the files have changed; the new rules are in force", 1)
			if err := os.Symlink(other, rules+".new"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(rules+".new", rules); err != nil {
				t.Fatal(err)
			}
			r.wait("new access rules rejected; the current ones stay", 1)
			if !strings.Contains(r.text(), "permission denied") {
				t.Error("another reason")
			}
			mustDial(t, r.addr(0)).mustAsk(t, "hello")
		})
	}
}

// The log may go to standard error or output by name, as in containers, where
// it is a pipe.
func TestLandlockAndTheLog(t *testing.T) {
	for _, file := range []string{"/dev/stderr", "/dev/stdout", "/proc/self/fd/2"} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			r := start(t, "--port", "127.0.0.1:0", "--log_file", file)
			isFenced(t, r)
			mustDial(t, r.addr(0)).mustAsk(t, "hello")
		})
	}
}

// Name look-ups, UNIX sockets as port and as backend, and a log that is opened
// again, work under it.
func TestLandlockLeavesWhatIsNeeded(t *testing.T) {
	rooted(t)
	for _, user := range []string{"root", "nobody"} {
		t.Run(user, func(t *testing.T) {
			dir := openDir(t)
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "backend")
			backend(t, "unix", path)
			if err := os.Chmod(path, 0o777); err != nil {
				t.Fatal(err)
			}
			_, p, _ := net.SplitHostPort(backend(t, "tcp", "127.0.0.1:0").Addr().String())
			for target, network := range map[string]string{path: "unix", "localhost:" + p: "tcp"} {
				log := filepath.Join(dir, "log-"+network)
				sock := filepath.Join(dir, "port-"+network)
				// Whether one port names it, or a backend of several, is the same.
				file := writeFile(t, filepath.Join(dir, network+".toml"), fmt.Sprintf("[[backend]]\nname = 'b'\ntargets = %q\n[[listen]]\nport = '%s|unix'\nbackend = 'b'\n"+
					"[[listen]]\nport = '%[2]s2|unix'\nproxy_to = %[1]q\n", target, sock))
				r := startAs(t, user, "--conf_file", file, "--log_file", log, "--log_level", "3")
				askAt := func(sock string) {
					t.Helper()
					var nc net.Conn
					netservertest.Eventually(t, "the server", func() (ok bool) {
						var err error
						nc, err = net.Dial("unix", sock)
						return err == nil
					})
					defer nc.Close()
					nc.SetDeadline(time.Now().Add(20 * time.Second))
					fmt.Fprintf(nc, "x\n")
					if got, err := bufio.NewReader(nc).ReadString('\n'); got != network+`: You said "x"`+"\n" {
						t.Errorf("got %q, %v", got, err)
					}
				}
				ask := func() { t.Helper(); askAt(sock) }
				ask()
				askAt(sock + "2")
				logged := func(file, want string) {
					t.Helper()
					netservertest.Eventually(t, want+" in "+file, func() bool {
						b, _ := os.ReadFile(file)
						return strings.Contains(string(b), want)
					})
				}
				logged(log, "Landlock is in force")
				if err := os.Rename(log, log+".1"); err != nil {
					t.Fatal(err)
				}
				r.signal(syscall.SIGUSR1)
				logged(log, "log file reopened")
				// A worker has it a moment later.
				netservertest.Eventually(t, "a client in the new log", func() bool {
					ask()
					b, _ := os.ReadFile(log)
					return strings.Contains(string(b), "served client=")
				})
				r.end(syscall.SIGTERM)
			}
		})
	}
}

// A user's own server follows its certificates itself.
func TestLandlockFollowsCertificates(t *testing.T) {
	rooted(t)
	dir := openDir(t)
	ca := netservertest.CA(t)
	file := filepath.Join(dir, "both.pem")
	issue := func() {
		t.Helper()
		ca.Issue(t, netservertest.Leaf{}).WriteBoth(t, file, 0o644)
	}
	issue()
	r := startAs(t, "nobody", "--port", "127.0.0.1:0/ssl", "--SSL_cert_file", file)
	isFenced(t, r)
	first := leafOf(t, r.addr(0))
	issue()
	netservertest.Eventually(t, "the renewed certificate", func() bool { return leafOf(t, r.addr(0)) != first })
}

// A certificate that a link leads to, as certbot keeps it, is followed to the
// next one, in the other directory.
func TestLandlockFollowsLinksOfCertificates(t *testing.T) {
	rooted(t)
	dir := openDir(t)
	ca := netservertest.CA(t)
	live, archive := filepath.Join(dir, "live"), filepath.Join(dir, "archive")
	for _, d := range []string{live, archive} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(live, "both.pem")
	issue := func(n int) {
		t.Helper()
		p := ca.Issue(t, netservertest.Leaf{})
		cert, err := os.ReadFile(p.CertFile)
		if err != nil {
			t.Fatal(err)
		}
		key, err := os.ReadFile(p.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(archive, fmt.Sprintf("both%d.pem", n)), string(cert)+string(key))
		if err := os.Symlink(fmt.Sprintf("../archive/both%d.pem", n), link+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link+".new", link); err != nil {
			t.Fatal(err)
		}
	}
	issue(1)
	r := startAs(t, "nobody", "--port", "127.0.0.1:0/ssl", "--SSL_cert_file", link)
	isFenced(t, r)
	first := leafOf(t, r.addr(0))
	issue(2)
	netservertest.Eventually(t, "the renewed certificate", func() bool { return leafOf(t, r.addr(0)) != first })
}

// Rule files behind a link to a directory, as a mounted secret or a release
// has, are read again when the link leads to another.
func TestLandlockFollowsLinksToDirectories(t *testing.T) {
	rooted(t)
	dir := openDir(t)
	release := func(n int, rules string) {
		t.Helper()
		d := filepath.Join(dir, fmt.Sprintf("release%d", n))
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(d, "rules"), rules)
		if err := os.Symlink(filepath.Base(d), filepath.Join(dir, "new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "current")); err != nil {
			t.Fatal(err)
		}
	}
	release(1, "192.0.2.1\n")
	r := startAs(t, "root", "--port", "127.0.0.1:0", "--cidr_deny_file", filepath.Join(dir, "current", "rules"), "--cidr_allow", "127.0.0.0/8")
	isFenced(t, r)
	release(2, "192.0.2.2\n")
	r.wait("access rules: the files have changed; the new rules are in force", 1)
}

// Where names are looked up, the files that say how are read when others have
// taken their places; where not, /etc is closed.
func TestLandlockReadsHowNamesAreLookedUp(t *testing.T) {
	rooted(t)
	const opened = "and /etc to look up names"
	for _, tc := range []struct {
		args []string
		want bool
	}{
		{nil, false},
		{[]string{"--proxy_to", "127.0.0.1:9"}, false},
		{[]string{"--proxy_to", "[::1]:9"}, false},
		{[]string{"--proxy_to", "/run/nothing"}, false},
		{[]string{"--proxy_to", "localhost:9"}, true},
		{[]string{"--reverse_lookups", "1"}, true},
		{[]string{"--reverse_lookups", "0"}, false},
		{[]string{"--double_reverse_lookups", "1"}, true},
	} {
		r := startAs(t, "root", append([]string{"--port", "127.0.0.1:0"}, tc.args...)...)
		isFenced(t, r)
		if got := strings.Contains(r.text(), opened); got != tc.want {
			t.Errorf("%q: %v", tc.args, got)
		}
		r.end(syscall.SIGTERM)
	}
}

// What somebody can do who has broken into an echo's worker: not read what the
// configuration does not name, not write, not open a port, not reach abstract
// sockets and processes of others, not open a terminal.
func TestAttackerUnderLandlock(t *testing.T) {
	dir := openDir(t)
	writeFile(t, filepath.Join(dir, "named"), "x")
	copyProgram(t, filepath.Join(dir, "program"))
	abstract, err := net.Listen("unix", "@netserver-test-"+fmt.Sprint(os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	defer abstract.Close()
	cmd := exec.Command(os.Args[0], dir, abstract.Addr().String())
	cmd.Env = append(os.Environ(), programVar+"=fenced")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	did := strings.Split(strings.TrimSpace(string(out)), "\n")
	if strings.Contains(did[0], "has no Landlock") {
		t.Skip(did[0])
	}
	want := []string{"can read " + filepath.Join(dir, "named"), "done"}
	var abi int
	if fmt.Sscanf(did[0], "ABI %d", &abi); abi < 6 {
		t.Skipf("Landlock of this kernel, %s, is too old for some of it: %q", did[0], did)
	}
	if !slices.Equal(did[1:], want) {
		t.Errorf("%q, want %q", did, want)
	}
}
