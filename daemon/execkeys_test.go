//go:build linux

package daemon_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"netserver/netservertest"
)

// answer connects, by TLS if cfg is not nil, and reads all that comes.
func answer(t *testing.T, addr string, cfg *tls.Config) string {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(30 * time.Second))
	if cfg != nil {
		nc = tls.Client(nc, cfg)
	}
	out, _ := io.ReadAll(nc)
	return string(out)
}

// The keys of programs hold in workers, which have no rights at all.
func TestExecKeysInWorkers(t *testing.T) {
	dir := openDir(t)
	r := start(t, "--port", "127.0.0.1:0", "--exec_dir", dir, "--exec_umask", "027", "--exec_nice", "3", "--exec_max_files", "21",
		"--exec_max_memory", "64M", "--exec_max_core", "none", "--exec_max_cpu", "5", "--exec_max_file_size", "1M", "--exec_substitute", "1",
		"--", "/bin/sh", "-c", "pwd; umask; ulimit -n; ulimit -v; ulimit -c; ulimit -t; ulimit -f; echo $1; exec nice", "sh", "%{peer}")
	want := dir + "\n0027\n21\n65536\n0\n5\n2048\n127.0.0.1\n"
	got := answer(t, r.addr(0), nil)
	if !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	own, err := exec.Command("nice").Output()
	var was, is int
	fmt.Sscan(string(own), &was)
	fmt.Sscan(strings.TrimPrefix(got, want), &is)
	if err != nil || is != min(was+3, 19) {
		t.Errorf("nice is %d, and %d without (%v)", is, was, err)
	}
}

// A size of 0 for core dumps is none, and not no limit.
func TestExecNoCore(t *testing.T) {
	r := start(t, "--port", "127.0.0.1:0", "--exec_max_core", "0", "--", "/bin/sh", "-c", "ulimit -Hc")
	if got := answer(t, r.addr(0), nil); got != "0\n" {
		t.Errorf("got %q", got)
	}
}

// A program may run for exec_timeout.
func TestExecTimeout(t *testing.T) {
	r := start(t, "--port", "127.0.0.1:0", "--exec_timeout", "0.3", "--", "/bin/sleep", "1000")
	answer(t, r.addr(0), nil)
	r.wait("the program ran too long: more than 300ms", 1)
}

// A terminal, in a worker that may do nothing.
func TestExecTerminal(t *testing.T) {
	r := start(t, "--port", "127.0.0.1:0", "--exec_pty", "1", "--exec_pty_size", "100x30", "--", "/bin/sh", "-c", "stty size; test -t 0 && echo terminal >/dev/tty")
	if got := answer(t, r.addr(0), nil); got != "30 100\r\nterminal\r\n" {
		t.Errorf("got %q", got)
	}
}

const identitiesFile = `
user = "root"
supervisor = %s

[[listen]]
port = "127.0.0.1:0/tcp"
program = ["/usr/bin/id", "-un"]
exec_user = "nobody"

[[listen]]
port = "127.0.0.1:0/ssl"
SSL_cert_file = %q
SSL_key_file = %q
SSL_verify_mode = 1
SSL_ca_file = %q
program = ["/usr/bin/id", "-un"]
exec_user = "daemon"

[[listen.route]]
cert_cn = "ann"
program = ["/usr/bin/id", "-un"]
exec_user = "games"

[[listen.route]]
sni = "localhost"
program = ["/usr/bin/id", "-un"]
exec_user = "bin"

[[listen.route]]
program = ["/usr/bin/id", "-un"]
`

// Each port, each name that clients ask for and each certificate can have a user
// of its own, where the serving processes are root.
func TestExecIdentities(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may start programs as others")
	}
	server := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	people := netservertest.NewCA(t, "people")
	ann, bob := people.Issue(t, netservertest.Leaf{Name: "ann", Client: true}), people.Issue(t, netservertest.Leaf{Name: "bob", Client: true})
	for _, supervisor := range []string{"0", "1"} {
		text := fmt.Sprintf(identitiesFile, supervisor, server.CertFile, server.KeyFile, people.File(t))
		text = strings.Replace(text, "program = [\"/usr/bin/id\", \"-un\"]\nexec_user = \"daemon\"\n", "exec_user = \"daemon\"\n", 1)
		r := start(t, "--conf_file", writeFile(t, filepath.Join(openDir(t), "server.toml"), text))
		if got := answer(t, r.addr(0), nil); got != "nobody\n" {
			t.Errorf("the port: %q", got)
		}
		for _, c := range []struct {
			sni  string
			cert *tls.Certificate
			want string
		}{
			{"localhost", nil, "bin\n"}, {"localhost", &bob.TLS, "bin\n"}, {"localhost", &ann.TLS, "games\n"}, {"other", nil, "daemon\n"},
		} {
			cfg := &tls.Config{ServerName: c.sni, InsecureSkipVerify: true}
			if c.cert != nil {
				cfg.Certificates = []tls.Certificate{*c.cert}
			}
			if got := answer(t, r.addr(1), cfg); got != c.want {
				t.Errorf("supervisor %s, %s: %q, want %q", supervisor, c.sni, got, c.want)
			}
		}
		r.end(os.Interrupt)
	}
}

// What is wrong is said at once, with the reason.
func TestCheckOfExecKeys(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"--exec_nice", "20", "--exec_max_files", "2", "--exec_umask", "1777", "--exec_max_memory", "1k", "--exec_timeout", "0", "--exec_pty", "1", "--exec_pty_size", "80x0"},
			[]string{`exec_pty_size: "80x0" is not a size such as 80x24`, "exec_nice: ", "exec_max_files: ", "exec_umask: ", "exec_max_memory: ", "exec_timeout: "}},
		{[]string{"--user", "root", "--exec_user", "no-such-user", "--exec_dir", "/no/such/dir"},
			[]string{`no such user as "no-such-user"`, "/no/such/dir: no such file or directory"}},
		{[]string{"--exec_user", "daemon"},
			[]string{"exec_user: only root can start a program as another user, and the serving processes are user nobody; have one server for each such user (user daemon)"}},
		{[]string{"--user", "root", "--exec_group", "daemon"}, []string{"exec_group has no effect"}},
		{[]string{"--exec_substitute", "1"}, []string{"there is no %{http_code}; there are peer, "}},
	} {
		if os.Getuid() != 0 && tt.want[0][0] == 'e' && strings.Contains(tt.want[0], "nobody") {
			continue
		}
		cmd := exec.Command(os.Args[0], append(append([]string{"--check", "--port", "127.0.0.1:0"}, tt.args...), "--", "/bin/echo", "%{http_code}")...)
		cmd.Env = append(os.Environ(), programVar+"=command")
		out, err := cmd.CombinedOutput()
		for _, want := range tt.want {
			if err == nil || !strings.Contains(string(out), want) {
				t.Errorf("%v: %v, without %q\n%s", tt.args, err, want, out)
			}
		}
	}
}

// What a program's arguments name of TLS is nothing on a port without it, and
// HTTP nothing on one for datagrams: one error says so.
func TestCheckOfWhatAPortCannotHave(t *testing.T) {
	for _, tt := range []struct {
		args string
		want string
	}{
		{"--port 127.0.0.1:9000 --exec_substitute 1 -- /bin/echo %{peer} %{sni}", "port 127.0.0.1:9000/tcp: its clients have no %{sni}, which TLS brings"},
		{"--port 127.0.0.1:9000 --exec_substitute 1 -- /bin/echo %{peer} %%{sni}", ""},
		{"--port 127.0.0.1:9000 -- /bin/echo %{sni}", ""},
		{"--port 127.0.0.1:9000/ssl --SSL_cert_file self-signed --exec_substitute 1 -- /bin/echo %{cert_cn}", ""},
		{"--port 127.0.0.1:9000 --exec_max_processes 9 -- /bin/echo", "exec_max_processes: the program runs as root, to whom the kernel does not apply this limit"},
		{"--port 127.0.0.1:9000 --exec_max_processes 9 --exec_user root -- /bin/echo", "exec_max_processes: the program runs as root"},
		{"--port 127.0.0.1:9000 --exec_max_processes 9 --exec_user nobody -- /bin/echo", ""},
		{"--host 127.0.0.1 HTTP --port 9000", "the type of server comes first: HTTP"},
		{"HTTP --port 127.0.0.1:9000/udp", "port 127.0.0.1:9000/udp: datagrams cannot carry HTTP: it is for ports with connections"},
	} {
		if os.Getuid() != 0 && strings.Contains(tt.args, "exec_max_processes") {
			continue // the program runs as whoever this is
		}
		args := strings.Fields(tt.args)
		i := 0
		if args[0] == "HTTP" {
			i = 1
		}
		args = slices.Insert(args, i, "--check", "--user", "root")
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), programVar+"=command")
		var stderr strings.Builder
		cmd.Stderr = &stderr
		err := cmd.Run()
		said := strings.TrimSpace(stderr.String())
		if (err == nil) != (tt.want == "") || !strings.Contains(said, tt.want) || tt.want != "" && strings.Contains(said, "\n") {
			t.Errorf("%s: %v\n%s", tt.args, err, said)
		}
	}
}
