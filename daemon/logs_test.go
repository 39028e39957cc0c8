//go:build unix

package daemon_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"netserver/netservertest"
)

// logDir returns a directory that everybody may enter and its owner alone
// change.
func logDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A fakeSyslog gives what it receives to w, a line each.
type fakeSyslog struct {
	addr  string
	close func()
}

func startSyslog(t *testing.T, network, addr string, w io.Writer) *fakeSyslog {
	t.Helper()
	if network == "tcp" {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		d := &fakeSyslog{addr: l.Addr().String()}
		var wg sync.WaitGroup
		conns := new(sync.Map)
		wg.Go(func() { acceptSyslog(l, w, &wg, conns) })
		d.close = sync.OnceFunc(func() {
			l.Close()
			conns.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
			wg.Wait()
		})
		t.Cleanup(d.close)
		return d
	}
	c, err := net.ListenPacket("unixgram", addr)
	if err != nil {
		t.Fatal(err)
	}
	os.Chmod(addr, 0o666)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1<<16)
		for {
			n, _, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			w.Write(append(b[:n:n], '\n'))
		}
	}()
	d := &fakeSyslog{addr: addr, close: sync.OnceFunc(func() { c.Close(); os.Remove(addr); <-done })}
	t.Cleanup(d.close)
	return d
}

func acceptSyslog(l net.Listener, w io.Writer, wg *sync.WaitGroup, conns *sync.Map) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		conns.Store(c, nil)
		wg.Go(func() {
			defer c.Close()
			r := bufio.NewReader(c)
			for {
				head, err := r.ReadString(' ')
				if err != nil {
					return
				}
				n, err := strconv.Atoi(strings.TrimSpace(head))
				if err != nil {
					fmt.Fprintf(w, "bad frame %q\n", head)
					return
				}
				b := make([]byte, n)
				if _, err := io.ReadFull(r, b); err != nil {
					return
				}
				w.Write(append(b, '\n'))
			}
		})
	}
}

// A worker that is nobody, under Landlock and in another root directory logs
// to syslog, and goes on when the daemon was restarted.
func TestSyslogFromConfinedWorkers(t *testing.T) {
	for _, network := range []string{"unixgram", "tcp"} {
		t.Run(network, func(t *testing.T) {
			dir := logDir(t)
			r := &running{t: t}
			addr := freeAddr(t)
			where := "tcp:"
			if network == "unixgram" {
				addr, where = filepath.Join(dir, "log"), ""
			}
			d := startSyslog(t, network, addr, r)
			args := []string{"--port", "127.0.0.1:0", "--log_file", "Sys::Syslog", "--log_level", "3", "--syslog_ident", "test", "--syslog_logsock", where + d.addr}
			if out, err := exec.Command("ldd", os.Args[0]).CombinedOutput(); os.Geteuid() == 0 && (err != nil || strings.Contains(string(out), "not a dynamic")) {
				root := filepath.Join(dir, "root")
				os.Mkdir(root, 0o755)
				args = append(args, "--chroot", root)
			}
			rest := start(t, args...)
			r.cmd, r.done = rest.cmd, rest.done
			worker := rest.only()
			served := regexp.MustCompile(fmt.Sprintf(`(?m)^<30>\w+ [ \d]\d [\d:]+ test\[%d\]: served client=`, worker))
			if network == "tcp" {
				served = regexp.MustCompile(fmt.Sprintf(`(?m)^<30>1 \S+ \S+ test %d - - served client=`, worker))
			}
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("worker %d, syslog has:\n%s", worker, r.text())
				}
			})
			client := func(n int) {
				t.Helper()
				c := mustDial(t, r.addr(0))
				c.mustAsk(t, "hello")
				c.Close()
				netservertest.Eventually(t, "the client's line", func() bool { return len(served.FindAllString(r.text(), -1)) >= n })
			}
			client(1)
			d.close()
			// Of a stream the end is noticed a moment later.
			startSyslog(t, network, d.addr, r)
			n := 2
			if network == "unixgram" {
				client(2)
				client(3)
			} else {
				netservertest.Eventually(t, "a client's line after the restart", func() bool {
					c := mustDial(t, r.addr(0))
					c.mustAsk(t, "hello")
					c.Close()
					return len(served.FindAllString(r.text(), -1)) >= n
				})
			}
			if code := rest.end(syscall.SIGTERM); code != 0 {
				t.Errorf("exit status %d", code)
			}
			r.hasAll("Server closing!")
			if strings.Contains(r.text(), "were lost") {
				t.Error("lines were lost")
			}
			// The one process that writes may have found the daemon gone.
			if out := rest.text(); network == "unixgram" && strings.Count(out, "\n") != strings.Count(out, "lines are queued") {
				t.Errorf("standard error: %q", out)
			}
		})
	}
}

// hasAll waits for texts that are on their way.
func (r *running) hasAll(texts ...string) {
	r.t.Helper()
	for _, text := range texts {
		netservertest.Eventually(r.t, text, func() bool { return strings.Contains(r.text(), text) })
	}
}

// Without a daemon clients are served and the server stops as always; what was
// logged is sent when there is one.
func TestSyslogDead(t *testing.T) {
	dir := logDir(t)
	sock := filepath.Join(dir, "log")
	r := start(t, "--port", filepath.Join(dir, "s")+"|unix", "--log_file", "syslog", "--log_level", "3", "--syslog_logsock", sock)
	ask := func() {
		t.Helper()
		var nc net.Conn
		netservertest.Eventually(t, "a connection", func() (ok bool) {
			var err error
			nc, err = net.Dial("unix", filepath.Join(dir, "s"))
			return err == nil
		})
		defer nc.Close()
		c := &client{nc, bufio.NewReader(nc)}
		c.mustAsk(t, "hello")
	}
	ask()
	r.wait("warning: cannot write the log to syslog", 1)
	got := &running{t: t}
	d := startSyslog(t, "unixgram", sock, got)
	got.hasAll("starting!", "served client=1")
	ask()
	got.hasAll("served client=2")
	d.close()
	ask()
	if code := r.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if strings.Count(r.text(), "warning") != 1 {
		t.Error("more than one warning")
	}
}

func TestLogRefused(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"log_file " + dir + ": is a directory", []string{"--log_file", dir}},
		{"log_file syslog: the syslog daemon at unix:" + dir + "/none: .*no such file or directory; with nofatal", []string{"--log_file", "syslog", "--syslog_logopt", "pid", "--syslog_logsock", dir + "/none"}},
		{"only Sys::Syslog is supported", []string{"--log_file", "Log::Log4perl"}},
		{"syslog_facility: \"kern\"", []string{"--log_file", "syslog", "--syslog_facility", "kern"}},
		{`syslog_logopt: cons: .*\(argument 5\)`, []string{"--log_file", "syslog", "--syslog_logopt", "pid,cons"}},
		{`syslog_logopt: unknown word "perror"`, []string{"--log_file", "syslog", "--syslog_logopt", "pid,perror"}},
		{`syslog_logsock: console`, []string{"--log_file", "syslog", "--syslog_logsock", "console"}},
		{`syslog_ident: "a b": .*RFC 5424`, []string{"--log_file", "syslog", "--syslog_ident", "a b", "--syslog_logsock", "udp"}},
	} {
		for _, supervisor := range []string{"1", "0"} {
			r := start(t, append([]string{"--port", "127.0.0.1:0"}, append(tt.args, "--supervisor", supervisor)...)...)
			if code := r.status(); code != 2 {
				t.Errorf("%q: exit status %d", tt.args, code)
			}
			if text := r.text(); !regexp.MustCompile(tt.want).MatchString(text) || strings.Count(text, "\n") != 1 {
				t.Errorf("%q: got %q, want %q", tt.args, text, tt.want)
			}
		}
	}
}

func readAll(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

func fileHas(t *testing.T, path string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		netservertest.Eventually(t, text+" in "+path, func() bool { return strings.Contains(readAll(t, path), text) })
	}
}

// Whoever renames or removes the file need not tell the server, and USR1 does
// the same at once; no line is lost.
func TestLogFileIsFollowed(t *testing.T) {
	for _, supervisor := range []string{"1", "0"} {
		t.Run("supervisor "+supervisor, func(t *testing.T) {
			t.Parallel() // it waits for looks at the file
			dir := logDir(t)
			path := filepath.Join(dir, "server.log")
			r := start(t, "--port", "127.0.0.1:0", "--log_file", path, "--log_level", "3", "--supervisor", supervisor)
			fileHas(t, path, "Bound to auto-assigned port")
			addr := "127.0.0.1:" + boundTo.FindStringSubmatch(readAll(t, path))[1]
			n := 0
			client := func(where string) {
				t.Helper()
				n++
				c := mustDial(t, addr)
				c.mustAsk(t, "hello")
				c.Close()
				fileHas(t, where, fmt.Sprintf("served client=%d ", n))
			}
			client(path)
			os.Rename(path, path+".1")
			fileHas(t, path, "log file reopened")
			netservertest.Eventually(t, "clients in the new file", func() bool {
				n++
				c := mustDial(t, addr)
				c.mustAsk(t, "hello")
				c.Close()
				return strings.Contains(readAll(t, path), "served client=")
			})
			os.Rename(path, path+".2")
			r.signal(syscall.SIGUSR1)
			fileHas(t, path, "log file reopened")
			os.Remove(path)
			fileHas(t, path, "log file reopened")
			// A directory in its place: the open file stays in use, and the
			// next that can be opened is taken.
			os.Rename(path, path+".3")
			for os.Mkdir(path, 0o700) != nil { // it looked in this very moment, and has made the next
				os.Rename(path, path+".3")
			}
			fileHas(t, path+".3", "is a directory; the one in use stays open")
			os.Remove(path)
			fileHas(t, path, "log file reopened")
			client(path)
			if code := r.end(syscall.SIGTERM); code != 0 {
				t.Errorf("exit status %d", code)
			}
		})
	}
}

// A full disk costs lines and nothing else, and when there is room again it is
// said how many.
func TestLogOnAFullDisk(t *testing.T) {
	dir := logDir(t)
	mount, umount := netservertest.Peer(t, "mount"), netservertest.Peer(t, "umount")
	if out, err := exec.Command(mount, "-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("cannot mount: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(umount, "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	path := filepath.Join(dir, "server.log")
	r := start(t, "--port", "127.0.0.1:0", "--log_file", path, "--log_level", "3")
	fileHas(t, path, "Bound to auto-assigned port", "identity of")
	addr := "127.0.0.1:" + boundTo.FindStringSubmatch(readAll(t, path))[1]
	before := readAll(t, path)
	var full string
	clients := 0
	client := func() {
		c := mustDial(t, addr)
		c.mustAsk(t, "hello")
		c.Close()
		clients++
	}
	report := regexp.MustCompile(`log records were lost lost=(\d+) err="no space left on device"`)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", readAll(t, path))
		}
	})
	// Lines are written a while after their clients: on a busy machine none may
	// be lost before there is room again. Then it is tried once more.
	netservertest.Eventually(t, "the report", func() bool {
		fill(t, filepath.Join(dir, "fill"))
		for range 30 { // more than a block of lines
			client()
		}
		r.signal(syscall.SIGUSR2) // the supervisor has no room either
		full = readAll(t, path)
		os.Remove(filepath.Join(dir, "fill"))
		size := len(readAll(t, path))
		netservertest.Eventually(t, "a line", func() bool { client(); return len(readAll(t, path)) > size })
		return report.MatchString(readAll(t, path))
	})
	text := readAll(t, path)
	if !strings.HasPrefix(text, before) || !strings.HasPrefix(text, full) {
		t.Error("what was there before is not there any more")
	}
	n, _ := strconv.Atoi(report.FindStringSubmatch(text)[1])
	if n == 0 || n > 2*clients { // two lines a client
		t.Errorf("%d lines were lost of %d clients", n, clients)
	}
	if code := r.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// fill writes until there is no room.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 4096)
	for {
		if _, err := f.Write(b); err != nil {
			return
		}
	}
}

// A worker's user that owns the directory of the log cannot have root append
// to other files by a link there.
func TestLogFileCannotBePlanted(t *testing.T) {
	if os.Geteuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("for root on Linux")
	}
	const nobody = 65534
	base := logDir(t)
	dir := filepath.Join(base, "log")
	os.Mkdir(dir, 0o755)
	os.Chown(dir, nobody, nobody)
	secret := writeFile(t, filepath.Join(base, "secret"), "secret\n")
	path := filepath.Join(dir, "server.log")
	r := start(t, "--port", "127.0.0.1:0", "--log_file", path, "--user", strconv.Itoa(nobody))
	fileHas(t, path, "starting!")
	info, err := os.Stat(path)
	if err != nil || info.Sys().(*syscall.Stat_t).Uid != nobody {
		t.Errorf("the log is not the user's: %v", err)
	}
	// There is no moment without a file, in which the server could make one.
	plant := func(to string) {
		t.Helper()
		if err := errors.Join(os.Symlink(to, path+".next"), os.Rename(path+".next", path)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	plant(secret)
	fileHas(t, path+".1", "is a symbolic link of user root (0), and the directory "+dir+" belongs to user nobody (65534), so that it is not followed: ")
	r.signal(syscall.SIGUSR1)
	netservertest.Eventually(t, "another refusal", func() bool { return strings.Count(readAll(t, path+".1"), "symbolic link of user") >= 2 })
	plant(filepath.Join(base, "new"))
	r.signal(syscall.SIGUSR1)
	netservertest.Eventually(t, "another refusal", func() bool { return strings.Count(readAll(t, path+".1"), "symbolic link of user") >= 3 })
	os.Remove(path)
	fileHas(t, path, "log file reopened")
	if readAll(t, secret) != "secret\n" {
		t.Errorf("root wrote to another file: %q", readAll(t, secret))
	}
	if _, err := os.Stat(filepath.Join(base, "new")); err == nil {
		t.Error("root made another file")
	}
	if code := r.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d", code)
	}
	// With the link there at the start there is none.
	os.Remove(path)
	os.Symlink(secret, path)
	r = start(t, "--port", "127.0.0.1:0", "--log_file", path, "--user", strconv.Itoa(nobody))
	if code := r.status(); code != 2 || !strings.Contains(r.text(), "log_file "+path) {
		t.Errorf("exit status %d", code)
	}
}

// Nor can anybody else who may put a link where the log is to be, at the start
// or while it is rotated.
func TestLogFilePlantedByOthers(t *testing.T) {
	rooted(t)
	base := logDir(t)
	secret := writeFile(t, filepath.Join(base, "secret"), "secret\n")
	for name, mode := range map[string]os.FileMode{"theirs": 0o755, "sticky": 0o777 | os.ModeSticky} {
		dir := filepath.Join(base, name)
		owner := 0
		if name == "theirs" {
			owner = 12345
		}
		if err := errors.Join(os.Mkdir(dir, 0o755), os.Chown(dir, owner, owner), os.Chmod(dir, mode)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "log")
		next := path + ".next"
		plants := map[string]func() error{
			"is a symbolic link of user 12345": func() error {
				return errors.Join(os.Symlink(secret, next), os.Lchown(next, 12345, 12345), os.Rename(next, path))
			},
			"it has 2 names": func() error { return errors.Join(os.Link(secret, next), os.Rename(next, path)) },
		}
		for why, plant := range plants {
			if err := plant(); err != nil {
				t.Fatal(err)
			}
			r := start(t, "--port", "127.0.0.1:0", "--log_file", path)
			if code := r.status(); code != 2 || !strings.Contains(r.text(), "log_file "+path) || !strings.Contains(r.text(), why) {
				t.Errorf("%s: %s: exit status %d\n%s", name, why, code, r.text())
			}
		}
		os.Remove(path)
		r := start(t, "--port", "127.0.0.1:0", "--log_file", path)
		fileHas(t, path, "starting!")
		if err := os.Link(path, path+".1"); err != nil { // there is no moment without a file
			t.Fatal(err)
		}
		for why, plant := range plants {
			if err := plant(); err != nil {
				t.Fatal(err)
			}
			r.signal(syscall.SIGUSR1)
			fileHas(t, path+".1", why)
		}
		os.Remove(path)
		r.signal(syscall.SIGUSR1)
		fileHas(t, path, "log file reopened")
		if code := r.end(syscall.SIGTERM); code != 0 {
			t.Errorf("exit status %d", code)
		}
	}
	if got := readAll(t, secret); got != "secret\n" {
		t.Errorf("root wrote to another file: %q", got)
	}
}

// Where the journal reads standard error, lines have priorities and no time.
func TestJournalForm(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stderr")
	run := func(journal bool, args ...string) (stop func() int) {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, _ := f.Stat()
		st := info.Sys().(*syscall.Stat_t)
		cmd := exec.Command(os.Args[0], append([]string{"--port", "127.0.0.1:0", "--log_level", "3"}, rootToo(args)...)...)
		stream := fmt.Sprintf("%d:%d", st.Dev, st.Ino)
		if !journal {
			stream += "0"
		}
		cmd.Env = append(os.Environ(), programVar+"=command", "JOURNAL_STREAM="+stream)
		cmd.Stderr = f
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return func() int {
			if !slices.Contains(args, "--prot") { // that ends by itself, with a status of its own
				cmd.Process.Signal(syscall.SIGTERM)
			}
			cmd.Wait()
			return cmd.ProcessState.ExitCode()
		}
	}
	lines := func(form string) {
		t.Helper()
		for line := range strings.Lines(readAll(t, path)) {
			if !regexp.MustCompile(form).MatchString(line) {
				t.Errorf("line %q", line)
			}
		}
	}
	for _, supervisor := range []string{"0", "1"} {
		stop := run(true, "--supervisor", supervisor)
		fileHas(t, path, "Bound to auto-assigned port ")
		c := mustDial(t, "127.0.0.1:"+boundTo.FindStringSubmatch(readAll(t, path))[1])
		c.mustAsk(t, "hello")
		c.Close()
		fileHas(t, path, "<6>served client=1 ")
		if stop() != 0 {
			t.Error("it failed")
		}
		lines(`^<[56]>[^\d]`)
	}
	stop := run(true, "--log_file", "/dev/stderr")
	fileHas(t, path, "Bound to auto-assigned port ")
	stop()
	lines(`^<5>[^\d]`)

	stop = run(false)
	fileHas(t, path, "Bound to auto-assigned port ")
	stop()
	lines(`^\d{4}/`)

	stop = run(true, "--prot", "1")
	fileHas(t, path, "unknown key")
	if stop() != 2 {
		t.Error("it did not fail")
	}
	lines(`^<3>netserver: `)
}

// The log stays what it was at the start, for new generations too.
func TestReloadKeepsTheLog(t *testing.T) {
	dir := logDir(t)
	file := writeFile(t, filepath.Join(dir, "server.conf"), "syslog_ident one\nlog_level 3\n")
	r := &running{t: t}
	d := startSyslog(t, "unixgram", filepath.Join(dir, "log"), r)
	rest := start(t, "--port", "127.0.0.1:0", "--log_file", "Sys::Syslog", "--syslog_logsock", d.addr, "--conf_file", file)
	r.cmd, r.done = rest.cmd, rest.done
	r.serving()
	worker := rest.only()
	writeFile(t, file, "syslog_ident two\nsyslog_logopt nofatal\nlog_level 3\n")
	rest.signal(syscall.SIGHUP)
	r.wait("syslog_ident changed: takes effect only when the server is stopped", 1)
	r.wait("syslog_logopt changed: takes effect only when the server is stopped", 1)
	next := rest.only(worker)
	c := mustDial(t, r.addr(0))
	c.mustAsk(t, "hello")
	c.Close()
	r.wait(fmt.Sprintf("one[%d]: served client=", next), 1)
	if strings.Contains(r.text(), "two") {
		t.Error("the new name is used")
	}
	writeFile(t, file, "syslog_ident one\nsyslog_facility nonsense\n")
	rest.signal(syscall.SIGHUP)
	r.wait("unknown facility", 1)
}
