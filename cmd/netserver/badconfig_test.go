//go:build unix

package main_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"netserver/netservertest"
)

// loopback are the arguments for a server that only this machine reaches.
func loopback(args ...string) []string { return append([]string{"--host", "127.0.0.1"}, args...) }

// refuses checks that the command ends with status and a single line that
// matches want. The line must say what is wrong, where, and what to do.
func refuses(t *testing.T, status int, want string, args ...string) {
	t.Helper()
	stderr, got := refusal(t, args...)
	checkRefusal(t, stderr, got, status, want)
}

func checkRefusal(t *testing.T, stderr string, got, status int, want string) {
	t.Helper()
	if got != status {
		t.Errorf("exit status %d, want %d", got, status)
	}
	var lines []string
	for line := range strings.Lines(stderr) {
		if !strings.Contains(line, "starting! pid(") {
			lines = append(lines, line)
		}
	}
	if len(lines) != 1 {
		t.Errorf("%d lines instead of one:\n%s", len(lines), stderr)
	}
	if !regexp.MustCompile(want).MatchString(stderr) {
		t.Errorf("got  %swant %s", stderr, want)
	}
}

func TestBadCertificates(t *testing.T) {
	cert, key := certificate(t)
	otherCert, otherKey := certificate(t)
	dir := t.TempDir()
	garbage, empty, cut := filepath.Join(dir, "garbage"), filepath.Join(dir, "empty"), filepath.Join(dir, "cut")
	write(t, garbage, "this is no certificate\n")
	write(t, empty, "")
	whole, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	write(t, cut, string(whole[:len(whole)/4]))
	none := filepath.Join(dir, "none")
	q := regexp.QuoteMeta
	for _, tt := range []struct{ name, cert, key, want string }{
		{"mismatch", cert, otherKey, `SSL_key_file ` + q(otherKey) + ` does not match the certificate ` + q(cert)},
		{"other mismatch", otherCert, key, `SSL_key_file ` + q(key) + ` does not match the certificate ` + q(otherCert)},
		{"missing certificate", none, key, `SSL_cert_file ` + q(none) + ` does not exist; give the path`},
		{"missing key", cert, none, `SSL_key_file ` + q(none) + ` does not exist; give the path`},
		{"directory as certificate", dir, key, `SSL_cert_file ` + q(dir) + ` is a directory; name a file`},
		{"directory as key", cert, dir, `SSL_key_file ` + q(dir) + ` is a directory; name a file`},
		{"garbage as certificate", garbage, key, `SSL_cert_file ` + q(garbage) + ` holds no certificate in PEM`},
		{"garbage as key", cert, garbage, `SSL_key_file ` + q(garbage) + ` holds no private key`},
		{"empty certificate", empty, key, `SSL_cert_file ` + q(empty) + ` (is empty|holds no certificate)`},
		{"empty key", cert, empty, `SSL_key_file ` + q(empty) + ` (is empty|holds no private key)`},
		{"truncated certificate", cut, key, `SSL_cert_file ` + q(cut) + ` .*`},
		{"key as certificate", key, key, `SSL_cert_file ` + q(key) + ` holds .*certificate`},
		{"certificate as key", cert, otherCert, `SSL_key_file ` + q(otherCert) + ` holds a certificate but no private key`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refuses(t, 2, `^netserver: port 127.0.0.1:0/ssl: `+tt.want+`.*\(command line\)\n$`,
				loopback("--port", "0/ssl", "--SSL_cert_file", tt.cert, "--SSL_key_file", tt.key)...)
		})
	}
	t.Run("no key at all", func(t *testing.T) {
		refuses(t, 2, q(cert)+` holds no private key; .*SSL_key_file`, loopback("--port", "0/ssl", "--SSL_cert_file", cert)...)
	})
	t.Run("none beyond loopback", func(t *testing.T) {
		refuses(t, 2, `port 0\.0\.0\.0:0/ssl: .*SSL_cert_file`, "--host", "0.0.0.0", "--port", "0/ssl")
	})
	t.Run("in a file, with its line", func(t *testing.T) {
		file := filepath.Join(dir, "server.toml")
		write(t, file, "host = \"127.0.0.1\"\n[[listen]]\nport = \"0/tcp\"\n\n[[listen]]\nport = \"0/ssl\"\n"+
			"SSL_cert_file = \""+cert+"\"\nSSL_key_file = \""+otherKey+"\"\n")
		refuses(t, 2, `/ssl: SSL_key_file \S+ does not match .*\(`+q(file)+`:\d+\)`, "--conf_file", file)
	})
}

// asNobody makes cmd run without root's rights. It skips where the test
// cannot arrange that.
func asNobody(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir = "/"
	try := exec.Command(binary, "--version")
	try.SysProcAttr, try.Dir = cmd.SysProcAttr, "/"
	if err := try.Run(); err != nil {
		t.Skipf("nobody cannot run the command: %v", err)
	}
}

func TestUnreadableKey(t *testing.T) {
	cert, key := certificate(t)
	if err := os.Chmod(filepath.Dir(cert), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(filepath.Dir(cert)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(cert, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(key, 0); err != nil {
		t.Fatal(err)
	}
	stderr, status := refusalCmd(t, func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, binary, loopback("--port", "0/ssl", "--SSL_cert_file", cert, "--SSL_key_file", key)...)
		asNobody(t, cmd)
		return cmd
	})
	checkRefusal(t, stderr, status, 2, `port 127.0.0.1:0/ssl: SSL_key_file `+regexp.QuoteMeta(key)+`.*(permission|may not|read)`)
}

func TestPrivilegedPort(t *testing.T) {
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); err == nil && strings.TrimSpace(string(b)) == "0" {
		t.Skip("every port is free for everyone here")
	}
	stderr, status := refusalCmd(t, func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, binary, loopback("--port", "0", "--port", "81")...)
		asNobody(t, cmd)
		return cmd
	})
	checkRefusal(t, stderr, status, 1, `TCP port 81 on 127\.0\.0\.1 \[permission denied\]: .*root or CAP_NET_BIND_SERVICE`)
}

// A port that is taken is named, and no other port of the server stays open.
func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, number, _ := net.SplitHostPort(taken.Addr().String())
	dir := t.TempDir()
	before, after := filepath.Join(dir, "before"), filepath.Join(dir, "after")
	free := netservertest.FreePort(t)
	refuses(t, 1, `TCP port `+number+` on 127\.0\.0\.1 \[address already in use\]: .*`+number,
		loopback("--port", before+"|unix", "--port", free, "--port", number, "--port", after+"|unixdgram")...)
	for _, path := range []string{before, after} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was left behind", path)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+free)
	if err != nil {
		t.Errorf("the other port is not free: %v", err)
	} else {
		l.Close()
	}
}

func TestUDPPortInUse(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, number, _ := net.SplitHostPort(taken.LocalAddr().String())
	refuses(t, 1, `UDP port `+number+` on 127\.0\.0\.1 \[address already in use\]: .*`+number, loopback("--port", number+"/udp")...)
}

func TestBadArguments(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for _, tt := range []struct {
		name, want string
		args       []string
	}{
		{"unknown key", `^netserver: unknown key "prot" \(argument 1\); did you mean port\?\n$`, []string{"--prot", "1"}},
		{"unknown TLS key", `unknown key "SSL_cert_fil" \(argument 1\); did you mean SSL_cert_file\?`, []string{"--SSL_cert_fil", "x"}},
		{"number too large", `port number from host \[\*\]:99999: the highest port is 65535 \(argument 1\)`, []string{"--port", "99999"}},
		{"too many parts", `abc/xx/yy.*write HOST:PORT \(argument 1\)`, []string{"--port", "abc/xx/yy/zz"}},
		{"unknown protocol", `port \S*: no protocol is called "sctp"; there are ssl, tcp, udp, unix, unixdgram`, []string{"--port", "0/sctp"}},
		{"unknown service", `nosuchservice.*\(argument 1\)`, []string{"--port", "nosuchservice"}},
		{"unclosed bracket", `\[::1.*\(argument 1\)`, []string{"--port", "[::1:80"}},
		{"no number", `max_servers: "many" is not a whole number \(argument 1\)`, []string{"--max_servers", "many"}},
		{"out of range", `log_level: "9" is out of range: it must be from 0 to 4 \(argument 1\)`, []string{"--log_level", "9"}},
		{"missing file", `conf_file: .*no such file.*` + regexp.QuoteMeta(missing), []string{"--conf_file", missing}},
		{"type of Perl", `server_type: type PSGI runs Perl applications`, []string{"PSGI"}},
		{"key of code", `access_log_function: .*Hooks\.Closed.* \(argument 1\)`, []string{"--access_log_function", "x"}},
		{"program missing", `nosuchprogram\b.*PATH`, loopback("--port", "0", "--", "nosuchprogram")},
		{"program not executable", regexp.QuoteMeta(os.DevNull) + `.*`, loopback("--port", "0", "--", os.DevNull)},
		{"program with a wrong path", regexp.QuoteMeta(missing) + `.*no such file`, loopback("--port", "0", "--", missing)},
		{"two handlers", `program and proxy_to are both given: a client can be served by one of them`, loopback("--port", "0", "--proxy_to", "127.0.0.1:1", "--", "cat")},
		{"target without a port", `proxy_to "?nowhere"?.*port`, loopback("--port", "0", "--proxy_to", "nowhere")},
	} {
		t.Run(tt.name, func(t *testing.T) { refuses(t, 2, tt.want, tt.args...) })
	}
}

func TestTLSKeyOnAPlainPort(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.toml")
	write(t, file, "[[listen]]\nhost = \"127.0.0.1\"\nport = \"0/tcp\"\nSSL_cert_file = \"x\"\n")
	refuses(t, 2, `port 0/tcp: SSL_cert_file was given, but the port is tcp and not ssl: .* \(`+regexp.QuoteMeta(file)+`:\d+\)`, "--conf_file", file)
}

// Parameters of TLS on a server of plain ports, where nothing starts TLS, have
// no effect.
func TestTLSKeyOfNoPort(t *testing.T) {
	refuses(t, 2, `netserver: SSL_cert_file has no effect without a TLS port \(argument 5\); write the port as PORT/ssl`, loopback("--port", "0/tcp", "--SSL_cert_file", "/none.pem")...)
}

func TestAllProblemsAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.conf")
	write(t, file, "port 20203/tcp\nprot tcp\nmax_servers lots\ntimeout_idle 5 apples\nlock_file 3\n")
	stderr, status := refusal(t, "--conf_file", file, "--log_level", "x")
	if status != 2 {
		t.Errorf("exit status %d, want 2", status)
	}
	for _, want := range []string{"prot", file + ":2", "max_servers", file + ":3", "timeout_idle", file + ":4", "lock_file", file + ":5", "log_level", "argument 3"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("nothing of %s in:\n%s", want, stderr)
		}
	}
	if n := strings.Count(stderr, "\n"); n != 5 {
		t.Errorf("%d lines for 5 problems:\n%s", n, stderr)
	}
}

func TestSocketPathTooLong(t *testing.T) {
	long := "/tmp/" + strings.Repeat("x", 103) // 108 bytes
	for _, kind := range []string{"unix", "unixdgram"} {
		refuses(t, 2, `socket path "`+long+`" has 108 bytes; the system takes 107 \(argument 1\)`, "--port", long+"|"+kind)
	}
	if _, err := os.Stat(long); err == nil {
		t.Error("there is a file at the path")
	}
}

func TestSocketFileIsNoSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "precious")
	refuses(t, 1, regexp.QuoteMeta(path), "--port", path+"|unix")
	if b, err := os.ReadFile(path); string(b) != "precious" {
		t.Errorf("the file now holds %q, %v", b, err)
	}
}

func TestCheckRefusesAsTheStartDoes(t *testing.T) {
	cert, _ := certificate(t)
	_, key := certificate(t)
	cmd := exec.Command(binary, loopback("--check", "--port", "0/ssl", "--SSL_cert_file", cert, "--SSL_key_file", key)...)
	cmd.Env = environment()
	p := launch(t, "netserver", cmd)
	if status := p.wait(); status != 2 || !strings.Contains(p.log.String(), "does not match the certificate") {
		t.Errorf("status %d: %s", status, &p.log)
	}
}
