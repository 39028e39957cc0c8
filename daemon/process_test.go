//go:build unix

package daemon_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// rooted skips a test unless this is root on Linux.
func rooted(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("needs root on Linux")
	}
}

// openDir makes a directory that everybody can reach.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func statusOf(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWorkersAreNobody(t *testing.T) {
	rooted(t)
	r := start(t, "--port", "127.0.0.1:0", "--limit_core", "0", "--limit_nofile", "777", "--umask", "027")
	mustDial(t, r.addr(0)).mustAsk(t, "hello")
	pid := r.only()
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if len(threads) == 0 {
		t.Fatal("no threads")
	}
	for _, name := range threads {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		for _, want := range []string{
			"Uid:\t65534\t65534\t65534\t65534", "Gid:\t65534\t65534\t65534\t65534", "Groups:\t65534 \n",
			"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000",
			"CapBnd:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Umask:\t0027",
		} {
			if !strings.Contains(string(b), want) {
				t.Errorf("%s: without %q", name, want)
			}
		}
	}
	limits, _ := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	for _, want := range []string{`Max core file size +0 +0`, `Max open files +777 +777`} {
		if !regexp.MustCompile(want).Match(limits) {
			t.Errorf("limits without %q:\n%s", want, limits)
		}
	}
	r.wait("identity of the serving processes: user nobody", 1)
}

func TestRootStaysRootWhenAsked(t *testing.T) {
	rooted(t)
	r := start(t, "--port", "127.0.0.1:0", "--user", "root")
	mustDial(t, r.addr(0)).mustAsk(t, "hello")
	if s := statusOf(t, r.only()); !strings.Contains(s, "Uid:\t0\t0\t0\t0") {
		t.Errorf("status:\n%s", s)
	}
	r.wait("stays root", 1)
}

// Ports below 1024 and a key that root alone can read, which is renewed.
func TestLowPortAndRootsKey(t *testing.T) {
	rooted(t)
	dir := filepath.Join(openDir(t), "private")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ca := netservertest.CA(t)
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write := func() {
		t.Helper()
		p := ca.Issue(t, netservertest.Leaf{})
		for from, to := range map[string]string{p.CertFile: cert, p.KeyFile: key} {
			b, err := os.ReadFile(from)
			if err == nil {
				err = os.WriteFile(to+".new", b, 0o600)
			}
			if err == nil {
				err = os.Rename(to+".new", to)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	write()
	p := lowPort(t)
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(p))
	r := start(t, "--port", addr+"/ssl", "--SSL_cert_file", cert, "--SSL_key_file", key)
	r.serving()
	first := leafOf(t, addr)
	if s := statusOf(t, r.only()); !strings.Contains(s, "CapEff:\t0000000000000000") {
		t.Errorf("status:\n%s", s)
	}
	write()
	r.signal(syscall.SIGHUP)
	netservertest.Eventually(t, "the renewed certificate", func() bool { return leafOf(t, addr) != first })
	second := leafOf(t, addr)
	// Without a restart too: the supervisor reads for the worker.
	write()
	deadline := time.Now().Add(90 * time.Second)
	for leafOf(t, addr) == second {
		if time.Now().After(deadline) {
			t.Fatal("a renewed certificate is not picked up")
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func lowPort(t *testing.T) int {
	t.Helper()
	for range 1000 { // any: tests of another package may look for one at the same time
		p := 600 + rand.IntN(1024-600)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
		if err == nil {
			l.Close()
			return p
		}
	}
	t.Skip("no low port is free")
	return 0
}

func leafOf(t *testing.T, addr string) string {
	t.Helper()
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestChroot(t *testing.T) {
	rooted(t)
	if out, err := exec.Command("ldd", os.Args[0]).CombinedOutput(); err == nil && !strings.Contains(string(out), "not a dynamic") {
		t.Skip("this test binary needs shared libraries")
	}
	dir := openDir(t)
	r := start(t, "--port", "127.0.0.1:0", "--chroot", dir)
	c := mustDial(t, r.addr(0))
	c.mustAsk(t, "hello")
	pid := r.only()
	for _, link := range []string{"root", "cwd"} {
		if got, _ := os.Readlink(fmt.Sprintf("/proc/%d/%s", pid, link)); got != dir {
			t.Errorf("%s is %s", link, got)
		}
	}
	c.Close()
	r.signal(syscall.SIGHUP)
	r.wait("restart:", 1)
	r.only(pid)
}

func TestPIDFileAndBackground(t *testing.T) {
	dir := openDir(t)
	pidFile, logFile := filepath.Join(dir, "pid"), filepath.Join(dir, "log")
	args := []string{"--port", "127.0.0.1:0", "--pid_file", pidFile, "--log_file", logFile, "--setsid"}
	front := start(t, args...)
	if code := front.status(); code != 0 {
		t.Fatalf("exit status %d", code)
	}
	b, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	t.Cleanup(func() {
		syscall.Kill(pid, syscall.SIGTERM)
		netservertest.Eventually(t, "the end", func() bool { return !alive(pid) })
		if _, err := os.Stat(pidFile); err == nil {
			t.Error("the pid file is left")
		}
	})
	var m []string
	netservertest.Eventually(t, "the port in the log", func() bool { // which is written a moment later
		log, _ := os.ReadFile(logFile)
		m = boundTo.FindStringSubmatch(string(log))
		return m != nil
	})
	// It serves from the moment the front ended.
	mustDial(t, "127.0.0.1:"+m[1]).mustAsk(t, "hello")
	if s, _ := syscall.Getpgid(pid); s != pid {
		t.Errorf("the session is %d", s)
	}
	for fd := range 3 {
		got, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
		if runtime.GOOS == "linux" && got != "/dev/null" {
			t.Errorf("descriptor %d is %s", fd, got)
		}
	}
	second := start(t, args...)
	if code := second.status(); code != 1 || !strings.Contains(second.text(), "already running as process "+strconv.Itoa(pid)) {
		t.Errorf("a second one: exit status %d\n%s", code, second.text())
	}
	// The log is moved away and opened again.
	os.Rename(logFile, logFile+".1")
	syscall.Kill(pid, syscall.SIGUSR1)
	netservertest.Eventually(t, "a new log", func() bool { b, _ := os.ReadFile(logFile); return len(b) > 0 })
}

func TestBackgroundTellsWhatFailed(t *testing.T) {
	taken := start(t, "--port", "127.0.0.1:0")
	front := start(t, "--port", taken.addr(0), "--background", "--log_file", filepath.Join(openDir(t), "log"))
	if code := front.status(); code != 1 || !strings.Contains(front.text(), "in use") {
		t.Errorf("exit status %d", code)
	}
}

func TestPreForkScales(t *testing.T) {
	r := start(t, "PreFork", "--port", "127.0.0.1:0", "--min_servers", "2", "--max_servers", "4",
		"--min_spare_servers", "1", "--max_spare_servers", "2", "--check_for_waiting", "1", "--min_child_ttl", "1", "--timeout_idle", "600")
	addr := r.addr(0)
	count := func(n int) {
		t.Helper()
		netservertest.Eventually(t, fmt.Sprintf("%d workers", n), func() bool { return len(r.children()) == n })
	}
	count(2)
	var busy []*client
	for i, want := range []int{2, 3, 4, 4} {
		c := mustDial(t, addr)
		c.mustAsk(t, strconv.Itoa(i))
		busy = append(busy, c)
		count(want)
	}
	// A fifth waits in the backlog until one leaves.
	fifth := mustDial(t, addr)
	busy[0].Close()
	fifth.mustAsk(t, "at last")
	r.signal(syscall.SIGTTIN)
	r.wait("Increasing max server count (5)", 1)
	count(5)
	fifth.Close()
	for _, c := range busy {
		c.Close()
	}
	count(3) // min_servers is 3 now
}

// A handshake that stalls takes no worker.
func TestStalledHandshakesTakeNoWorker(t *testing.T) {
	r := start(t, "PreForkSimple", "--port", "127.0.0.1:0/ssl", "--max_servers", "2")
	addr := r.addr(0)
	r.serving()
	for range 20 {
		mustDial(t, addr) // says nothing
	}
	leafOf(t, addr)
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	for range 4 {
		nc, err := d.DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(20 * time.Second))
		if n, err := nc.Read(make([]byte, 100)); n == 0 {
			t.Error(err)
		}
		nc.Close()
	}
}

func TestWorkerEndsAfterMaxRequests(t *testing.T) {
	r := start(t, "PreForkSimple", "--port", "127.0.0.1:0", "--max_servers", "1", "--max_requests", "3")
	addr := r.addr(0)
	r.serving()
	first := r.only()
	seen := make(map[int]int)
	for range 9 {
		c := mustDial(t, addr)
		line, err := c.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`\((\d+)\)`).FindStringSubmatch(line)
		pid, _ := strconv.Atoi(m[1])
		seen[pid]++
		c.Close()
	}
	if seen[first] != 3 || len(seen) != 3 {
		t.Errorf("clients by process: %v", seen)
	}
	if strings.Contains(r.text(), "starting a replacement") {
		t.Error("counted as a crash")
	}
}

func TestForkTTIN(t *testing.T) {
	r := start(t, "--port", "127.0.0.1:0", "--max_servers", "1")
	addr := r.addr(0)
	mustDial(t, addr).mustAsk(t, "hello")
	second := mustDial(t, addr)
	r.signal(syscall.SIGTTIN)
	r.wait("Increasing max server count (2)", 1)
	second.mustAsk(t, "let in")
}

func TestINET(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := mustDial(t, l.Addr().String())
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	f, err := nc.(*net.TCPConn).File()
	nc.Close()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "INET")
	cmd.Env = append(os.Environ(), programVar+"=command")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = f, f, f // as inetd does
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	c.mustAsk(t, "hello")
	if got, err := c.ask("quit"); got != `netserver:`+strconv.Itoa(cmd.Process.Pid)+`: You said "quit"` || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if b, err := c.r.ReadString('\n'); b != "" {
		t.Errorf("after the end: %q, %v", b, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestINETWithoutClient(t *testing.T) {
	r := start(t, "INET")
	if code := r.status(); code != 1 || !strings.Contains(r.text(), "standard input") {
		t.Errorf("exit status %d", code)
	}
}

func TestINETBySocat(t *testing.T) {
	socat := netservertest.Peer(t, "socat")
	p := freePort(t)
	addr := net.JoinHostPort("127.0.0.1", p)
	cmd := exec.Command(socat, "TCP-LISTEN:"+p+",bind=127.0.0.1,reuseaddr", "EXEC:"+os.Args[0]+" INET,nofork")
	cmd.Env = append(os.Environ(), programVar+"=command")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	var c *client
	netservertest.Eventually(t, "socat listens", func() (ok bool) {
		var err error
		c, err = dial(addr)
		return err == nil
	})
	defer c.Close()
	c.mustAsk(t, "hello")
}

// The order of hooks, for each type.
func TestHooksInOrder(t *testing.T) {
	for _, tc := range []struct {
		args    []string
		workers int
	}{
		{nil, 1},
		{[]string{"Single"}, 1},
		{[]string{"PreForkSimple", "--max_servers", "2"}, 2},
		{[]string{"PreFork", "--max_servers", "2", "--min_servers", "2"}, 2},
	} {
		r := startProgram(t, os.Args[0], "library", tc.args...)
		addr := r.addr(0)
		r.wait("hook serving", 1)
		c := mustDial(t, addr)
		fmt.Fprintf(c, "hello\n")
		if got, err := c.r.ReadString('\n'); !strings.HasSuffix(got, " said hello\n") || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		c.Close()
		r.signal(syscall.SIGHUP)
		r.wait("hook serving", 2)
		r.wait("hook worker-stop", tc.workers)
		if code := r.end(syscall.SIGTERM); code != 0 {
			t.Errorf("%q: exit status %d", tc.args, code)
		}
		var got []string
		workers := make(map[string][]string)
		for _, m := range regexp.MustCompile(`(?m)^hook (.*) pid=(\d+)$`).FindAllStringSubmatch(r.text(), -1) {
			if m[2] == strconv.Itoa(r.pid()) {
				got = append(got, m[1])
			} else {
				workers[m[2]] = append(workers[m[2]], m[1])
			}
		}
		if s := strings.Join(got, ", "); s != "bound 1, serving, restarting, bound 1, serving, ending, ended" {
			t.Errorf("%q: supervisor: %s", tc.args, s)
		}
		handled := 0
		for pid, did := range workers {
			s := strings.Join(did, ", ")
			if s == "worker-start, handler, worker-stop" {
				handled++
			} else if s != "worker-start, worker-stop" {
				t.Errorf("%q: worker %s: %s", tc.args, pid, s)
			}
		}
		if handled != 1 || len(workers) != 2*tc.workers {
			t.Errorf("%q: %d workers, %d of them had the client", tc.args, len(workers), handled)
		}
	}
}

// A serving process reaches no file but those that the configuration names.
func TestLandlock(t *testing.T) {
	rooted(t)
	dir := openDir(t)
	secret := writeFile(t, filepath.Join(dir, "secret"), "for everybody to read\n")
	// The program of a client shows what a process in force of it can do.
	r := start(t, "--port", "127.0.0.1:0", "--landlock", "1", "--user", "root", "--landlock_write", dir,
		"--", "/bin/sh", "-c", "cat "+secret+"; echo x > "+dir+"/new && echo written; echo x > /tmp/netserver-not-allowed || echo refused")
	c := mustDial(t, r.addr(0))
	var got []string
	for range 3 {
		line, err := c.r.ReadString('\n')
		if err != nil {
			break
		}
		got = append(got, strings.TrimSpace(line))
	}
	r.serving() // which has been said, but need not be here yet
	if !strings.Contains(r.text(), "Landlock is in force") {
		if strings.Contains(r.text(), "no Landlock") {
			t.Skip("the kernel has none")
		}
		t.Error("the log does not tell")
	}
	if s := strings.Join(got, "; "); s != "for everybody to read; written; refused" {
		t.Errorf("got %s", s)
	}
}

// A service manager is told of the start, a restart and the end.
func TestServiceManagerIsTold(t *testing.T) {
	name := filepath.Join(openDir(t), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", "200000")
	r := start(t, "--port", "127.0.0.1:0", "--", "/usr/bin/env")
	hear := func(want string) {
		t.Helper()
		b := make([]byte, 1000)
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		for {
			n, err := c.Read(b)
			if err != nil {
				t.Fatalf("no %s: %v", want, err)
			}
			if strings.HasPrefix(string(b[:n]), want) {
				return
			}
		}
	}
	hear("READY=1\nMAINPID=" + strconv.Itoa(r.pid()))
	hear("WATCHDOG=1")
	r.signal(syscall.SIGHUP)
	hear("RELOADING=1\nMONOTONIC_USEC=")
	hear("READY=1")
	for conn := mustDial(t, r.addr(0)); ; {
		line, err := conn.r.ReadString('\n')
		if strings.Contains(line, "NOTIFY_SOCKET") || strings.Contains(line, "WATCHDOG") || strings.Contains(line, "NETSERVER__") {
			t.Errorf("a program has %s", line)
		}
		if err != nil {
			break
		}
	}
	r.signal(syscall.SIGTERM)
	hear("STOPPING=1")
}

// Sockets that a service manager opened are served, not opened again.
func TestSocketActivation(t *testing.T) {
	sh := netservertest.Peer(t, "sh")
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // as systemd's sockets are
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	f, err := l.(*net.TCPListener).File()
	l.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	early := mustDial(t, addr) // before the server is started
	for _, port := range []string{addr, "127.0.0.1:1"} {
		cmd := exec.Command(sh, "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"`, "sh", os.Args[0], "--port", port)
		cmd.Env = append(os.Environ(), programVar+"=command")
		cmd.ExtraFiles = []*os.File{f}
		log := new(running)
		cmd.Stderr = log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Signal(syscall.SIGTERM)
			if t.Failed() {
				t.Logf("log:\n%s", log.text())
			}
		})
		if port == addr {
			early.mustAsk(t, "hello")
			mustDial(t, addr).mustAsk(t, "hello")
			cmd.Process.Signal(syscall.SIGTERM)
		}
		err := cmd.Wait()
		if port == addr && err != nil || port != addr && (err == nil || !strings.Contains(log.text(), "which no port uses")) {
			t.Errorf("port %s: %v\n%s", port, err, log.text())
		}
	}
}

// A certificate that was spoilt after the start does not keep a worker from
// taking the place of another.
func TestReplacementServesWhatWasGood(t *testing.T) {
	dir := openDir(t)
	p := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	file := filepath.Join(dir, "both.pem")
	cert, err := os.ReadFile(p.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(p.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, string(cert)+string(key))
	r := start(t, "--port", "127.0.0.1:0/ssl", "--SSL_cert_file", file)
	addr := r.addr(0)
	r.serving()
	first := leafOf(t, addr)
	old := r.only()
	writeFile(t, file, "garbage\n")
	syscall.Kill(old, syscall.SIGKILL)
	r.only(old)
	if leafOf(t, addr) != first {
		t.Error("another certificate")
	}
	r.signal(syscall.SIGHUP)
	r.wait("new configuration rejected; the current one stays", 1)
	if leafOf(t, addr) != first {
		t.Error("another certificate")
	}
}
