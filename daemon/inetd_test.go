//go:build unix

package daemon_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// A superserver starts a command for what comes to an address.
type superserver struct {
	program string
	service func(t *testing.T, dir, network, addr, user string, command []string) *exec.Cmd
	once    bool // it has one client for a port that waits
}

// superservers are those that Debian has.
var superservers = map[string]superserver{
	"openbsd-inetd": {program: "inetd", service: func(t *testing.T, dir, network, addr, user string, command []string) *exec.Cmd {
		kind := map[string]string{"tcp": "stream tcp nowait", "udp": "dgram udp wait"}[network]
		conf := writeFile(t, filepath.Join(dir, "inetd.conf"),
			fmt.Sprintf("%s %s %s %s %s\n", addr, kind, user, command[0], strings.Join(append([]string{filepath.Base(command[0])}, command[1:]...), " ")))
		return exec.Command(systemProgram(t, "inetd"), "-i", conf)
	}},
	"xinetd": {program: "xinetd", service: func(t *testing.T, dir, network, addr, user string, command []string) *exec.Cmd {
		kind := map[string]string{"tcp": "socket_type = stream\n wait = no", "udp": "socket_type = dgram\n wait = yes"}[network]
		host, number, _ := net.SplitHostPort(addr)
		conf := writeFile(t, filepath.Join(dir, "xinetd.conf"), fmt.Sprintf(
			"service test\n{\n type = UNLISTED\n protocol = %s\n %s\n bind = %s\n port = %s\n user = %s\n server = %s\n server_args = %s\n}\n",
			network, kind, host, number, user, command[0], strings.Join(command[1:], " ")))
		return exec.Command(systemProgram(t, "xinetd"), "-dontfork", "-f", conf, "-pidfile", filepath.Join(dir, "xinetd.pid"), "-filelog", "/dev/stderr")
	}},
	// As systemd does for a socket unit: with Accept=yes for connections, and
	// with StandardInput=socket.
	"systemd": {program: "systemd-socket-activate", once: true, service: func(t *testing.T, _, network, addr, _ string, command []string) *exec.Cmd {
		how := map[string]string{"tcp": "--accept", "udp": "--datagram"}[network]
		return exec.Command(systemProgram(t, "systemd-socket-activate"), append([]string{how, "--inetd", "--listen", addr}, command...)...)
	}},
}

// systemProgram returns a program that may not be in everybody's path.
func systemProgram(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return netservertest.Peer(t, filepath.Join("/usr/sbin", name))
}

// startSuperserver has a superserver start type INET for the clients of an
// address, which it returns.
func startSuperserver(t *testing.T, s superserver, network string, args ...string) (addr string, p *running) {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	addr = freeAddr(t)
	_, number, _ := net.SplitHostPort(addr)
	conf := writeFile(t, filepath.Join(t.TempDir(), "server.conf"), strings.ReplaceAll(strings.Join(args, "\n"), "PORT", number)+"\n")
	command := []string{"/usr/bin/env", programVar + "=command", os.Args[0], "INET", "--conf_file", conf}
	p = &running{t: t, done: make(chan struct{})}
	p.cmd = s.service(t, t.TempDir(), network, addr, me.Username, command)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.cmd.Process.Signal(syscall.SIGTERM)
		<-p.done
		if t.Failed() {
			t.Logf("%s:\n%s", s.program, p.text())
		}
	})
	return addr, p
}

func script(t *testing.T, text string) string {
	return writeFile(t, filepath.Join(t.TempDir(), "script"), text+"\n")
}

// everySuperserver runs test with each of them that there is.
func everySuperserver(t *testing.T, test func(t *testing.T, s superserver)) {
	for name, s := range superservers {
		t.Run(name, func(t *testing.T) {
			systemProgram(t, s.program)
			test(t, s)
		})
	}
}

// dialSoon connects to a superserver as soon as it listens.
func dialSoon(t *testing.T, addr string) (c *client) {
	t.Helper()
	netservertest.Eventually(t, "the superserver listens", func() bool {
		var err error
		c, err = dial(addr)
		return err == nil
	})
	t.Cleanup(func() { c.Close() })
	return c
}

func TestINETBySuperservers(t *testing.T) {
	everySuperserver(t, func(t *testing.T, s superserver) {
		addr, _ := startSuperserver(t, s, "tcp", "program /bin/cat")
		for range 3 {
			bothWays(t, dialSoon(t, addr))
		}
	})
}

// The handler of a [[listen]] block serves the clients of its port.
func TestINETServesByBlocks(t *testing.T) {
	conf := func(t *testing.T, number string) string {
		return writeFile(t, filepath.Join(t.TempDir(), "server.toml"), fmt.Sprintf(`
[[listen]]
port = "%s/tcp"
program = ["/bin/echo", "the first"]

[[listen]]
port = "1/tcp"
program = ["/bin/echo", "the second"]
`, number))
	}
	c, f := accepted(t)
	_, number, _ := net.SplitHostPort(c.RemoteAddr().String())
	wait := inet(t, f, f, "--conf_file", conf(t, number))
	f.Close()
	if got, _ := io.ReadAll(c); string(got) != "the first\n" {
		log, err := wait()
		t.Errorf("got %q; %v\n%s", got, err, log)
	}
	c, f = accepted(t)
	wait = inet(t, f, f, "--conf_file", conf(t, "2"))
	f.Close()
	if log, err := wait(); err == nil || !strings.Contains(log, "configure only the one") {
		t.Errorf("a client of neither: %v\n%s", err, log)
	}
	c.Close()
}

// What is wrong with the configuration is not the client's business.
func TestINETBySuperserversTellsTheClientNothing(t *testing.T) {
	everySuperserver(t, func(t *testing.T, s superserver) {
		addr, _ := startSuperserver(t, s, "tcp", "SSL_key_file /somewhere/secret.key", "no_such_key 1")
		if got, _ := io.ReadAll(dialSoon(t, addr)); len(got) > 0 {
			t.Errorf("the client was told %q", got)
		}
	})
}

// Several clients at once have a process each, which knows who its client is.
func TestINETBySuperserversTellsTheAddress(t *testing.T) {
	everySuperserver(t, func(t *testing.T, s superserver) {
		addr, _ := startSuperserver(t, s, "tcp", "program /bin/sh", "program "+script(t, "echo $REMOTE_PORT; read x; echo $PPID"))
		var clients []*client
		for range 3 {
			clients = append(clients, dialSoon(t, addr))
		}
		pids := make(map[string]bool)
		for _, c := range clients {
			_, number, _ := net.SplitHostPort(c.LocalAddr().String())
			if got, err := c.r.ReadString('\n'); strings.TrimSpace(got) != number {
				t.Errorf("REMOTE_PORT is %q, not %s (%v)", got, number, err)
			}
		}
		for _, c := range clients {
			fmt.Fprintln(c)
			got, _ := io.ReadAll(c.r)
			pids[string(got)] = true
		}
		if len(pids) != len(clients) {
			t.Errorf("%d clients had the processes %v", len(clients), pids)
		}
	})
}

// A port that the configuration gives to TLS speaks that, and nothing else.
func TestINETBySuperserversOverTLS(t *testing.T) {
	server := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	everySuperserver(t, func(t *testing.T, s superserver) {
		addr, _ := startSuperserver(t, s, "tcp", "port PORT/ssl", "SSL_cert_file "+server.CertFile, "SSL_key_file "+server.KeyFile, "program /bin/cat")
		for range 2 {
			c := dialSoon(t, addr)
			tc := tls.Client(c, &tls.Config{ServerName: "localhost", RootCAs: netservertest.CA(t).Pool()})
			fmt.Fprint(tc, "over TLS\n")
			tc.CloseWrite()
			if got, err := io.ReadAll(tc); string(got) != "over TLS\n" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		}
		c := dialSoon(t, addr)
		fmt.Fprint(c, "in plain text\n")
		if got, _ := io.ReadAll(c); strings.Contains(string(got), "plain text") {
			t.Errorf("plain text got %q", got)
		}
	})
}

// A port for datagrams is handed over whole, and a process serves it until
// nobody comes any more. What comes then gets the next one.
func TestINETBySuperserversDatagrams(t *testing.T) {
	everySuperserver(t, func(t *testing.T, s superserver) {
		addr, p := startSuperserver(t, s, "udp", "program /bin/sh", "program "+script(t, "read x; echo $x $PPID"))
		var first string
		for range 5 { // on a busy machine it may have ended before the second client comes
			begin := time.Now()
			first = askDatagram(t, addr, "one")
			if again := askDatagram(t, addr, "one"); again == first {
				break
			} else if time.Since(begin) < time.Second || s.once { // half of what it waits for the next one
				t.Errorf("a client at the same time had %q, after %q", again, first)
			}
		}
		if s.once { // it has become that process
			select {
			case <-p.done:
			case <-time.After(30 * time.Second):
				t.Error("the process does not end")
			}
			return
		}
		netservertest.Eventually(t, "another process serves", func() bool { return !processRuns(first) })
		if next := askDatagram(t, addr, "one"); next == first {
			t.Errorf("the next process is the first one: %q", next)
		}
	})
}

// processRuns reports whether the process at the end of a line runs.
func processRuns(line string) bool {
	var word string
	var pid int
	if _, err := fmt.Sscan(line, &word, &pid); err != nil {
		return false
	}
	return syscall.Kill(pid, 0) == nil
}

// askDatagram sends a line in a datagram until it is answered.
func askDatagram(t *testing.T, addr, line string) (answer string) {
	t.Helper()
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 512)
	netservertest.Eventually(t, "an answer", func() bool {
		fmt.Fprintln(c, line)
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := c.Read(buf)
		answer = string(buf[:n])
		return err == nil
	})
	if !strings.HasPrefix(answer, line+" ") {
		t.Errorf("the answer to %q is %q", line, answer)
	}
	return answer
}
