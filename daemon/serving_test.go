//go:build unix

package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver"
	"netserver/daemon"
	"netserver/internal/control"
	"netserver/netservertest"
)

// greeter answers each connection with a text, and ends it.
func greeter(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(nc, text)
			nc.Close()
		}
	}()
	return l.Addr().String()
}

// said returns what a server says to a client that sends text and no more.
func said(t *testing.T, path, text string) string {
	t.Helper()
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(nc, text)
	nc.(*net.UnixConn).CloseWrite()
	got, err := io.ReadAll(nc)
	if err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return string(got)
}

// Each port of a conf file has the handler that its block asks for; one whose
// block asks for none has the server's.
func TestHandlersByPort(t *testing.T) {
	dir := openDir(t)
	one, two := greeter(t, "one"), greeter(t, "two")
	file := writeFile(t, filepath.Join(dir, "server.toml"), fmt.Sprintf(`
proxy_to = %q
exec_env = "WORD=all"

[[backend]]
name = "both"
targets = [%[1]q, %q]

[[listen]]
port = "%[3]s/shared|unix"

[[listen]]
port = "%[3]s/raw|unix"
echo = "raw"

[[listen]]
port = ["%[3]s/all|unix", "%[3]s/all2|unix"]
program = ["sh", "-c", "echo $WORD"]

[[listen]]
port = "%[3]s/own|unix"
program = ["sh", "-c", "echo $WORD"]
exec_env = "WORD=own"

[[listen]]
port = "%[3]s/two|unix"
proxy_to = %[2]q

[[listen]]
port = "%[3]s/both|unix"
backend = "both"
`, one, two, dir))
	r := start(t, "--conf_file", file, "--user", "root", "--unix_mode", "666")
	r.serving()
	for name, want := range map[string]string{"shared": "one", "raw": "x", "all": "all\n", "all2": "all\n", "own": "own\n", "two": "two"} {
		if got := said(t, filepath.Join(dir, name), map[bool]string{true: "x"}[name == "raw"]); got != want {
			t.Errorf("port %s: %q, want %q", name, got, want)
		}
	}
	both := said(t, filepath.Join(dir, "both"), "") + said(t, filepath.Join(dir, "both"), "")
	if both != "onetwo" && both != "twoone" {
		t.Errorf("the backend of two targets: %q", both)
	}
}

// The n-th proxy_to goes with the n-th port.
func TestTargetByPosition(t *testing.T) {
	dir := openDir(t)
	one, two := greeter(t, "one"), greeter(t, "two")
	r := start(t, "--port", dir+"/1|unix", "--port", dir+"/2|unix", "--proxy_to", one, "--proxy_to", two, "--user", "root")
	r.serving()
	if got := said(t, dir+"/1", "") + said(t, dir+"/2", ""); got != "onetwo" {
		t.Errorf("%q", got)
	}
}

// check runs --check with a conf file.
func checkFile(t *testing.T, text string, args ...string) (code int, stdout, stderr string, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "f.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code = daemon.Command(append([]string{"--check", "--user=root", "--conf_file", file}, args...), nil, &out, &errs)
	return code, out.String(), strings.ReplaceAll(errs.String(), file, "f.toml"), file
}

// What is wrong with handlers is said with its place, all of it at once.
func TestHandlerProblems(t *testing.T) {
	for _, c := range []struct {
		name, text string
		args       []string
		want       string
	}{
		{"two handlers", "[[listen]]\nport = 1\nproxy_to = '127.0.0.1:9'\necho = 'raw'\n", nil,
			"proxy_to and echo are both given: a client can be served by one of them (f.toml:4)"},
		{"two for all", "proxy_to = '127.0.0.1:9'\nprogram = ['cat']\nport = 1\n", nil,
			"program and proxy_to are both given: a client can be served by one of them (f.toml:1)"},
		{"two programs", "", []string{"--port=1", "--program=cat", "--", "cat"},
			"program is given, and a program after --: a client can be served by one of them (argument 6)"},
		{"unknown backend", "[[backend]]\nname = 'imap'\ntargets = '127.0.0.1:9'\n[[listen]]\nport = 1\nbackend = 'imp'\n", nil,
			"warning: no port and no route has the [[backend]] named \"imap\" (f.toml:1)\nport 1/tcp: there is no [[backend]] named \"imp\" (f.toml:6); did you mean imap?"},
		{"backend twice", "[[backend]]\nname = 'a'\ntargets = '127.0.0.1:9'\n[[backend]]\nname = 'a'\ntargets = '127.0.0.1:9'\n[[listen]]\nport = 1\nbackend = 'a'\n", nil,
			"a [[backend]] named \"a\" is there already, at f.toml:1 (f.toml:4)"},
		{"bad target", "[[backend]]\nname = 'a'\ntargets = ['127.0.0.1:9', 'x']\n[[listen]]\nport = 1\nbackend = 'a'\n", nil,
			"targets: \"x\": missing port in address: write host:port, [address]:port or a socket path (f.toml:3)"},
		{"several targets", "[[listen]]\nport = 1\nproxy_to = ['127.0.0.1:9', '127.0.0.1:8']\n", nil,
			"proxy_to: a port has one target (f.toml:3); write several as a [[backend]] of a TOML conf file"},
		{"targets without ports", "", []string{"--port=1", "--port=2", "--port=3", "--proxy_to=127.0.0.1:9", "--proxy_to=127.0.0.1:8"},
			"proxy_to: there are 2 targets for 3 ports: the n-th goes with the n-th port (argument 9); give one for all ports, or one for each; write several as a [[backend]] of a TOML conf file"},
		{"more targets than ports", "", []string{"--port=1", "--proxy_to=127.0.0.1:9", "--proxy_to=127.0.0.1:8"},
			"proxy_to: there are 2 targets for 1 ports: the n-th goes with the n-th port (argument 7); give one for all ports, or one for each; write several as a [[backend]] of a TOML conf file"},
		{"a block beside positions", "port = [1, 2]\nproxy_to = ['127.0.0.1:9', '127.0.0.1:8']\n[[listen]]\nport = 3\n", nil,
			"proxy_to: there are 2 targets, which go with as many ports of the key port, and port 3/tcp has none (f.toml:2); give its [[listen]] block its own"},
		{"port twice", "[[listen]]\nport = 1\necho = 'raw'\n[[listen]]\nport = 1\n", nil,
			"Duplicate configuration (TCP) on [::]:1 with IPv* and different settings: give the port once (f.toml:4)"},
		{"a program of no words", "[[listen]]\nport = 1\nprogram = []\n", nil,
			"program: it is an empty list (f.toml:1); give it a value, or leave it out"},
		{"a route from nowhere", "[[listen]]\nport = 1\n[[listen.route]]\nfrom = []\necho = 'raw'\n[[listen.route]]\nsni = []\necho = 'raw'\n", nil,
			"from: it is an empty list (f.toml:3); give it a value, or leave it out\nsni: it is an empty list (f.toml:6); give it a value, or leave it out"},
		{"a port to itself", "[[listen]]\nport = '127.0.0.1:1'\nproxy_to = 'localhost:1'\n[[listen]]\nport = 2\n[[listen.route]]\nsni = 'a'\nproxy_to = '[::1]:2'\n[[listen]]\nport = '3/udp'\nproxy_to = '127.0.0.1:3'\n", nil,
			"proxy_to localhost:1: the target is port 127.0.0.1:1 of this server itself (f.toml:3)\nproxy_to [::1]:2: the target is port [::]:2 of this server itself (f.toml:4)\nproxy_to 127.0.0.1:3: the target is port [::]:3/udp of this server itself (f.toml:11)"},
		{"a port to itself, by the server's target", "", []string{"--port=/tmp/x|unix", "--proxy_to=unix:/tmp/x"},
			"proxy_to unix:/tmp/x: the target is socket /tmp/x of this server itself (argument 6)"},
		{"settings of what is false", "[[backend]]\nname = 'a'\ntargets = '127.0.0.1:9'\nbackend_tls = false\nbackend_verify_name = 'x'\n[[listen]]\nport = 1\nbackend = 'a'\n", nil,
			"backend_verify_name has no effect without backend_tls (f.toml:5); give backend_tls too, or leave backend_verify_name out"},
		{"settings of others", "[[listen]]\nport = 1\nproxy_to = '127.0.0.1:9'\nexec_pipes = 1\necho_control = 1\n", nil,
			"exec_pipes has no effect without a program (f.toml:4); give one after --, or leave exec_pipes out\necho_control has no effect without the line echo (f.toml:5); leave it out"},
		{"spare programs with arguments of clients", "exec_spare = 1\nexec_substitute = 1\nport = 1\nprogram = ['cat']\n", nil,
			"exec_spare: spare programs have their arguments before their client is known, so that exec_substitute has nothing to put there (f.toml:4); leave one of them out"},
		{"spare programs at a terminal", "exec_spare = 1\nexec_pty = 1\nport = 1\nprogram = ['cat']\n", nil,
			"exec_spare: a spare program would wait at a terminal that nobody sits at (exec_pty) (f.toml:4); leave one of them out"},
		{"settings of nobody", "exec_kill_after = 3\necho = 'raw'\n[[listen]]\nport = 1\nproxy_to = '127.0.0.1:9'\n", nil,
			"echo has no effect: the clients are served by something else (f.toml:2); leave it out\nexec_kill_after has no effect without a program (f.toml:1); give one after --, or leave exec_kill_after out"},
		{"a handler for nobody", "proxy_to = '127.0.0.1:9'\n[[listen]]\nport = 1\necho = 'raw'\n", nil,
			"proxy_to has no effect: every port has a handler of its own (f.toml:1); leave it out"},
		{"datagrams", "[[listen]]\nport = 1\nproxy_to = '127.0.0.1:9'\nproxy_answers = 3\n[[listen]]\nport = '1/udp'\nproxy_to = '127.0.0.1:9'\nproxy_answers = 3\n", nil,
			"proxy_answers has no effect without a port for datagrams (f.toml:4); write the port as PORT/udp or PATH|unixdgram, or leave proxy_answers out"},
		{"on one line", "listen = [{port = 1, exec_pipes = 1, program = ['cat']}, {port = 2, exec_pipes = 1, proxy_to = '127.0.0.1:9'}]\n", nil,
			"exec_pipes has no effect without a program (f.toml:1); give one after --, or leave exec_pipes out"},
		{"routes on one line", "[[listen]]\nport = 1\nroute = [{from = '192.0.2.1', program = ['cat'], exec_pipes = 1}, {exec_kill_after = 3, echo = 'raw'}]\n", nil,
			"exec_kill_after has no effect without a program (f.toml:3); give one after --, or leave exec_kill_after out"},
		{"value", "[[listen]]\nport = 1\nproxy_to = '127.0.0.1:9'\nproxy_connect_timeout = 'soon'\n", nil,
			"proxy_connect_timeout: \"soon\" is not a time such as 10, 0.5 or 1m30s (f.toml:4)"},
	} {
		code, _, stderr, _ := checkFile(t, c.text, c.args...)
		if got := strings.TrimSpace(strings.ReplaceAll(stderr, "netserver: ", "")); code != 2 || got != c.want {
			t.Errorf("%s: status %d\n got %s\nwant %s", c.name, code, got, c.want)
		}
	}
}

// --check shows what serves each port, with the keys that it has for itself.
func TestCheckShowsHandlers(t *testing.T) {
	code, stdout, stderr, file := checkFile(t, `
port = "127.0.0.1:1"
exec_stderr = "drop"
[[backend]]
name = "b"
targets = ["127.0.0.1:9", "127.0.0.1:8"]
[[listen]]
port = "127.0.0.1:2"
backend = "b"
timeout_idle = 7
[[listen]]
port = "127.0.0.1:3"
program = ["cat", "-u"]
`)
	if code != 0 {
		t.Fatalf("status %d: %s", code, stderr)
	}
	var out struct {
		Services []struct {
			Port, Handler string
			Options       map[string]any
		}
		Backends []struct {
			Origin  string
			Options map[string]any
		}
	}
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range out.Services {
		got = append(got, fmt.Sprintf("%s %s %v", l.Port, l.Handler, l.Options))
	}
	want := []string{"127.0.0.1:1/tcp echo map[]", "127.0.0.1:2/tcp backend b map[backend:b timeout_idle:7]", "127.0.0.1:3/tcp program cat map[program:[cat -u]]"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
	if len(out.Backends) != 1 || out.Backends[0].Origin != file+":4" || out.Backends[0].Options["name"] != "b" {
		t.Errorf("%+v", out.Backends)
	}
}

// A backend that nobody names is pointed out.
func TestUnusedBackend(t *testing.T) {
	code, _, stderr, _ := checkFile(t, "port = 1\n[[backend]]\nname = 'a'\ntargets = '127.0.0.1:9'\n")
	if want := "no port and no route has the [[backend]] named \"a\" (f.toml:2)"; code != 0 || !strings.Contains(stderr, want) {
		t.Errorf("status %d: %s", code, stderr)
	}
}

// A reload that gives one port another handler, or other targets, leaves the
// clients of the others alone.
func TestReloadOfOneHandler(t *testing.T) {
	dir := openDir(t)
	one, two := greeter(t, "one"), greeter(t, "two")
	conf := func(target, echo string) string {
		return fmt.Sprintf("unix_mode = '666'\n[[backend]]\nname = 'b'\ntargets = %q\n[[listen]]\nport = '127.0.0.1:0'\n[[listen]]\nport = '%s/b|unix'\nbackend = 'b'\n"+
			"[[listen]]\nport = '%[2]s/e|unix'\n%[3]s\n", target, dir, echo)
	}
	file := writeFile(t, filepath.Join(dir, "server.toml"), conf(one, ""))
	r, socket := startCtl(t, "--conf_file", file, "--user", "root")
	stays := mustDial(t, r.addr(0))
	stays.mustAsk(t, "hello")
	if got := said(t, dir+"/b", ""); got != "one" {
		t.Errorf("%q", got)
	}
	writeFile(t, file, conf(two, "proxy_to = '"+one+"'"))
	var done control.Reload
	mustCtl(t, socket, &done, "reload")
	var changed []string
	for _, c := range done.Plan.Changed {
		changed = append(changed, filepath.Base(c.Port)+": "+c.Why)
	}
	if got := strings.Join(changed, "; "); got != "b|unix: backend b; e|unix: proxy_to" || len(done.Plan.Kept) != 1 || len(done.Plan.Handler) != 0 {
		t.Errorf("%+v", done.Plan)
	}
	stays.mustAsk(t, "still here")
	// For a moment the old generation still takes clients.
	for name, want := range map[string]string{"b": "two", "e": "one"} {
		netservertest.Eventually(t, "port "+name+" after the reload: "+want, func() bool { return said(t, filepath.Join(dir, name), "") == want })
	}
}

// --check --peer goes by a port's own rules where it has some.
func TestCheckPeerByPort(t *testing.T) {
	const text = "cidr_allow = '192.0.2.0/24'\n[[listen]]\nport = '127.0.0.1:1'\n[[listen]]\nport = '127.0.0.1:2'\ncidr_deny = '192.0.2.1'\n" +
		"[[listen]]\nport = '127.0.0.1:3'\ncidr_allow = '198.51.100.0/24'\n"
	for peer, want := range map[string]string{
		"192.0.2.1":    "1 true, 2 false, 3 false",
		"192.0.2.2":    "1 true, 2 true, 3 false",
		"198.51.100.1": "1 false, 2 false, 3 true",
		"203.0.113.1":  "1 false, 2 false, 3 false",
	} {
		code, stdout, stderr, _ := checkFile(t, text, "--peer", peer)
		var out struct {
			Peer struct {
				Ports []struct {
					Port    string
					Allowed bool
					Access  *struct{ Allowed bool }
				}
			}
		}
		if err := json.Unmarshal([]byte(stdout), &out); err != nil {
			t.Fatalf("%v: %s", err, stderr)
		}
		var got []string
		for i, p := range out.Peer.Ports {
			got = append(got, fmt.Sprintf("%d %t", i+1, p.Allowed))
			if (p.Access == nil) != (i == 0) {
				t.Errorf("port %d: rules of its own: %v", i+1, p.Access)
			}
		}
		if got := strings.Join(got, ", "); got != want {
			t.Errorf("%s: %s, want %s", peer, got, want)
		}
		if wantCode := map[bool]int{true: 0, false: 1}[strings.Contains(want, "true")]; code != wantCode {
			t.Errorf("%s: status %d: %s", peer, code, stderr)
		}
	}
}

// portsProgram is a program on Run whose ports have handlers of their own.
func portsProgram() int {
	says := func(text string) netserver.Handler {
		return netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
			_, err := io.WriteString(c, text)
			return err
		})
	}
	dir := os.Getenv("DAEMON_TEST_DIR")
	s := &netserver.Server{Handler: says("all"), Handlers: map[string]netserver.Handler{dir + "/one|unix": says("one")}}
	if err := daemon.Run(context.Background(), s, daemon.Config{}, daemon.Hooks{}, daemon.Layers(os.Args[1:], os.Environ())...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A Go program's Server.Handlers hold under a supervisor, before and after a
// reload.
func TestHandlersOfAProgram(t *testing.T) {
	dir := openDir(t)
	t.Setenv("DAEMON_TEST_DIR", dir)
	file := writeFile(t, filepath.Join(dir, "server.toml"), fmt.Sprintf("unix_mode = '666'\n[[listen]]\nport = '%s/one|unix'\ntimeout_idle = 99\n[[listen]]\nport = '%[1]s/two|unix'\n", dir))
	r := startProgram(t, os.Args[0], "by port", "--conf_file", file, "--user", "root")
	r.serving()
	for range 2 {
		if got := said(t, dir+"/one", "") + said(t, dir+"/two", ""); got != "oneall" {
			t.Errorf("%q", got)
		}
		pid := r.only()
		r.signal(syscall.SIGHUP)
		r.only(pid)
	}
	// A handler for a port that is not there would serve nobody.
	writeFile(t, file, "[[listen]]\nport = '"+dir+"/two|unix'\n")
	r.signal(syscall.SIGHUP)
	r.wait(`Server.Handlers has "`+dir+`/one|unix", which is no port`, 1)
}

// Both words mean Net::Server's echo.
func TestEchoOfNetServer(t *testing.T) {
	dir := openDir(t)
	file := writeFile(t, filepath.Join(dir, "server.toml"), fmt.Sprintf("[[listen]]\nport = \"%[1]s/a|unix\"\necho = \"net-server\"\n[[listen]]\nport = \"%[1]s/b|unix\"\necho = \"lines\"\n", dir))
	r := start(t, "--conf_file", file, "--user", "root")
	r.serving()
	for _, name := range []string{"a", "b"} {
		if got := said(t, filepath.Join(dir, name), "hello\n"); !strings.Contains(got, `You said "hello"`) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Ports that lead to each other are refused, however many they are; a chain
// that ends is not.
func TestPortsThatLeadToEachOther(t *testing.T) {
	listen := func(port, to string) string {
		return fmt.Sprintf("[[listen]]\nport = '%s'\nproxy_to = '%s'\n", port, to)
	}
	for _, c := range []struct{ name, text, want string }{
		{"two", listen("127.0.0.1:1", "127.0.0.1:2") + listen("127.0.0.1:2", "127.0.0.1:1"), "port 127.0.0.1:1/tcp leads to port 127.0.0.1:2/tcp of this server, which leads back to it"},
		{"datagrams", listen("127.0.0.1:1/udp", "127.0.0.1:2") + listen("127.0.0.1:2/udp", "localhost:1"), "port 127.0.0.1:1/udp leads to port 127.0.0.1:2/udp"},
		{"behind another", listen("127.0.0.1:9", "127.0.0.1:1") + listen("127.0.0.1:1", "127.0.0.1:2") + listen("127.0.0.1:2", "127.0.0.1:3") + listen("127.0.0.1:3", "127.0.0.1:1"), "port 127.0.0.1:1/tcp leads to port 127.0.0.1:2/tcp"},
		{"every address", listen("*:1", "127.0.0.1:2") + listen("*:2", "[::1]:1"), "port 1/tcp leads to port 2/tcp"},
		{"sockets", listen("/tmp/a|unix", "unix:/tmp/b") + listen("/tmp/b|unix", "/tmp/a"), "leads back to it"},
		{"a chain", listen("127.0.0.1:1", "127.0.0.1:2") + listen("127.0.0.1:2", "127.0.0.1:3"), ""},
		{"other protocols", listen("127.0.0.1:1", "127.0.0.1:2") + listen("127.0.0.1:2/udp", "127.0.0.1:1"), ""},
		{"other addresses", listen("127.0.0.1:1", "127.0.0.9:2") + listen("127.0.0.1:2", "127.0.0.1:1"), ""},
	} {
		code, _, stderr, _ := checkFile(t, c.text)
		if c.want == "" && code != 0 || c.want != "" && (code != 2 || !strings.Contains(stderr, c.want)) {
			t.Errorf("%s: status %d: %s", c.name, code, stderr)
		}
	}
}
