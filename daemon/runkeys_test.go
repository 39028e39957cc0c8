//go:build unix

package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"netserver"
	"netserver/conf"
	"netserver/daemon"
	"netserver/netservertest"
)

// keysProgram is a program on Run with keys of its own. It says what it read
// and does not serve.
func keysProgram() int {
	var motd string
	var loud bool
	h := daemon.Hooks{
		Keys: func(s *conf.Set) {
			s.Define(conf.Key{Name: "motd", Group: "greeter", Arg: "TEXT", Help: "what clients read first"}, conf.String(&motd))
			s.Define(conf.Key{Name: "loud", Group: "greeter", Help: "in capitals"}, conf.Bool(&loud))
		},
		Configured: func(res *conf.Result) error {
			var left []string
			for _, e := range res.Leftover {
				left = append(left, e.Key)
			}
			return fmt.Errorf("motd=%s loud=%v left=%v", motd, loud, left)
		},
	}
	c := daemon.Config{UnknownKeys: map[string]conf.Unknown{
		"": conf.RefuseUnknown, "keep": conf.KeepUnknown, "files": conf.KeepInFiles,
	}[os.Getenv("DAEMON_TEST_UNKNOWN")]}
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(context.Context, *netserver.Conn) error { return nil })}
	if err := daemon.Run(context.Background(), s, c, h, daemon.Layers(os.Args[1:], os.Environ())...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A program on Run answers, refuses and checks as the command does, with its
// own keys.
func TestRunHasTheCommandsKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.conf")
	if err := os.WriteFile(file, []byte("port 127.0.0.1:0\nmotd hello\nplugin x\nmax_conections 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tables, handlers := filepath.Join(t.TempDir(), "tables.toml"), filepath.Join(t.TempDir(), "handlers.toml")
	writeFile(t, tables, "port = '127.0.0.1:0'\n[[backend]]\nurl = 'x'\n")
	writeFile(t, handlers, "[[listen]]\nport = '127.0.0.1:0'\nproxy_to = '127.0.0.1:9'\n")
	const port = "--port=127.0.0.1:0"
	for _, c := range []struct {
		name    string
		unknown string
		args    []string
		env     string
		status  int
		want    []string
		not     []string
	}{
		{name: "help", args: []string{"--help"}, want: []string{"Usage: ", "--motd TEXT", "--port PORT", "--loud"}, not: []string{"--proxy_to", "--exec_pipes", "motd="}},
		{name: "help among keys", args: []string{port, "-h", "--motd=x"}, want: []string{"Usage: "}},
		{name: "version", args: []string{"--version"}, want: []string{"devel"}, not: []string{"motd="}},
		{name: "check", args: []string{port, "--check", "--motd=x"}, status: 1, want: []string{`"motd": "x"`, "motd=x"}},
		{name: "own keys", args: []string{port, "--motd", "-x", "--loud", "--log_level=1"}, status: 1, want: []string{"motd=-x loud=true left=[]"}},
		{name: "environment", args: []string{port}, env: "NETSERVER_MOTD=from outside", status: 1, want: []string{"motd=from outside"}},
		{name: "misspelt", args: []string{port, "--mtd=x"}, status: 1, want: []string{`unknown key "mtd" (argument 2); did you mean motd?`}, not: []string{"motd="}},
		{name: "misspelt in the environment", args: []string{port}, env: "NETSERVER_MTOD=x", status: 1, want: []string{"NETSERVER_MTOD", "did you mean NETSERVER_MOTD?"}},
		{name: "in the file", args: []string{"--conf_file", file}, status: 1, want: []string{`unknown key "plugin"`, `unknown key "max_conections"`}},
		{name: "kept in files", unknown: "files", args: []string{"--conf_file", file}, status: 1, want: []string{"left=[plugin max_conections]", "max_conections: it is not a key of the server, and ignored", "did you mean max_connections?"}},
		{name: "kept in files alone", unknown: "files", args: []string{"--conf_file", file, "--plugin=x"}, status: 1, want: []string{`unknown key "plugin" (argument 3)`}},
		{name: "no tables", unknown: "files", args: []string{"--conf_file", tables}, status: 1, want: []string{"backend: only [[listen]] can be repeated as a table (" + tables + ":2)"}},
		{name: "no handlers", args: []string{"--conf_file", handlers}, status: 1, want: []string{"proxy_to has no effect: this program serves its clients itself (" + handlers + ":3)"}},
		{name: "kept", unknown: "keep", args: []string{port, "--plugin=x"}, status: 1, want: []string{"left=[plugin]"}},
		{name: "a program", args: []string{port, "--", "cat"}, status: 1, want: []string{"nothing can follow --: this program serves its clients itself (argument 2)"}},
		{name: "a backend", args: []string{port, "--proxy_to=127.0.0.1:1"}, status: 1, want: []string{"proxy_to has no effect: this program serves its clients itself"}},
		{name: "empty", args: []string{port, "--motd="}, status: 1, want: []string{"motd: its value is empty"}},
		{name: "twice", args: []string{port, "--motd=x", "--motd=y"}, status: 1, want: []string{"motd: it is given twice, first at argument 2 (argument 3)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], c.args...)
			cmd.Env = append(os.Environ(), programVar+"=keys", "DAEMON_TEST_UNKNOWN="+c.unknown)
			if c.env != "" {
				cmd.Env = append(cmd.Env, c.env)
			}
			out, err := cmd.CombinedOutput()
			var ee *exec.ExitError
			status := 0
			if errors.As(err, &ee) {
				status = ee.ExitCode()
			}
			if status != c.status {
				t.Errorf("exit status %d", status)
			}
			for _, w := range c.want {
				if !bytes.Contains(out, []byte(w)) {
					t.Errorf("no %q in\n%s", w, out)
				}
			}
			for _, w := range c.not {
				if bytes.Contains(out, []byte(w)) {
					t.Errorf("%q in\n%s", w, out)
				}
			}
			if strings.Contains(string(out), "Binding to") {
				t.Errorf("a port was opened:\n%s", out)
			}
		})
	}
}

// --check exits with 1 for a client that no port lets in, and its parts agree.
func TestCheckStatusForAPeer(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "server.toml")
	text := `
cidr_allow = ["198.51.100.0/24"]
[[listen]]
port = "127.0.0.1:0/tcp"
[[listen]]
port = "127.0.0.1:1/tcp"
proxy_protocol = "require"
proxy_protocol_from = ["192.0.2.9"]
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		peer   string
		status int
		ports  []string
	}{
		{"198.51.100.1", 0, []string{"true", "false"}},
		{"192.0.2.1", 1, []string{"false", "false"}},
		{"192.0.2.9", 0, []string{"false", "true"}}, // what it forwards may come in
		{"192.0.2.x", 2, nil},
	} {
		var out, stderr bytes.Buffer
		if code := daemon.Command([]string{"--conf_file", file, "--check", "--peer", c.peer}, nil, &out, &stderr); code != c.status {
			t.Errorf("%s: status %d, %s", c.peer, code, &stderr)
		}
		_, ports, _ := strings.Cut(out.String(), `"ports": [`)
		var got []string
		for line := range strings.Lines(ports) {
			if _, v, ok := strings.Cut(strings.TrimSpace(line), `"allowed": `); ok {
				got = append(got, strings.TrimSuffix(v, ","))
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(c.ports) {
			t.Errorf("%s: ports %q, want %q", c.peer, got, c.ports)
		}
	}
}

// The certificate that --check is asked about counts for its status as well.
func TestCheckStatusForACertificate(t *testing.T) {
	server := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	people := netservertest.NewCA(t, "people")
	ann := people.Issue(t, netservertest.Leaf{Name: "ann", Client: true})
	bob := netservertest.NewCA(t, "others").Issue(t, netservertest.Leaf{Name: "bob", Client: true})
	args := []string{"--check", "--port", "127.0.0.1:0/ssl", "--SSL_cert_file", server.CertFile, "--SSL_key_file", server.KeyFile,
		"--SSL_verify_mode", "3", "--SSL_ca_file", people.File(t), "--cert"}
	for _, c := range []struct {
		cert   string
		more   []string
		status int
	}{
		{ann.CertFile, nil, 0},
		{ann.CertFile, []string{"--peer", "192.0.2.1"}, 0},
		{ann.CertFile, []string{"--peer", "192.0.2.1", "--cidr_deny", "192.0.2.1"}, 1},
		{bob.CertFile, nil, 1},
		{bob.CertFile, []string{"--peer", "192.0.2.1"}, 1},
		{bob.CertFile, []string{"--peer", "192.0.2.1", "--port", "127.0.0.1:0/tcp"}, 1}, // the certificate was asked for
	} {
		var out, stderr bytes.Buffer
		if code := daemon.Command(slices.Concat(args, []string{c.cert}, c.more), nil, &out, &stderr); code != c.status {
			t.Errorf("%s %q: status %d, %s%s", filepath.Base(c.cert), c.more, code, &stderr, &out)
		}
		denies := strings.Contains(out.String(), `"rule": "client certificate denied`)
		if want := c.cert == bob.CertFile && len(c.more) > 0; denies != want {
			t.Errorf("%s %q: the port's rule is the certificate's: %v\n%s", filepath.Base(c.cert), c.more, denies, &out)
		}
	}
}

// A host or protocol that serves no port is warned of: the port is open to all,
// or in plain text.
func TestHostsAndProtocolsWithoutAPort(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--port", "0.0.0.0:1", "--host", "127.0.0.1"}, "host: 127.0.0.1 has no effect: port 0.0.0.0:1 says itself where and how it listens (argument 4)"},
		{[]string{"--port", "127.0.0.1:1/tcp", "--proto", "ssl"}, "proto: ssl has no effect: port 127.0.0.1:1/tcp says"},
		{[]string{"--port", "1", "--host", "127.0.0.1", "--host", "127.0.0.2"}, "host: 127.0.0.2 has no effect: there are fewer ports (argument 6)"},
		{[]string{"--port", "1", "--port", "2", "--host", "127.0.0.1"}, ""},
	} {
		var out, stderr bytes.Buffer
		code := daemon.Command(append([]string{"--check"}, c.args...), nil, &out, &stderr)
		if code != 0 || !strings.Contains(stderr.String(), c.want) || c.want == "" && stderr.Len() > 0 {
			t.Errorf("%q: status %d, %s", c.args, code, &stderr)
		}
	}
}
