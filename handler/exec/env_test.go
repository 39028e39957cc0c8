//go:build unix

package exec_test

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"netserver"
	"netserver/handler/exec"
	"netserver/netservertest"
)

// environment runs a program that prints its environment.
func (s *server) environment(proto string) map[string]string {
	s.t.Helper()
	return splitEnv(s.run(proto, ""))
}

func splitEnv(out string) map[string]string {
	env := make(map[string]string)
	for _, kv := range strings.Split(strings.TrimRight(out, "\x00"), "\x00") {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	return env
}

// printEnv prints the environment exactly, NULs between variables.
func printEnv() *exec.Handler { return &exec.Handler{Path: "env", Args: []string{"-0"}} }

// want compares some variables; an empty value means that there is none.
func want(t *testing.T, env map[string]string, vars ...string) {
	t.Helper()
	for _, kv := range vars {
		k, v, _ := strings.Cut(kv, "=")
		if got, ok := env[k]; got != v || ok && v == "" {
			t.Errorf("%s=%q, want %q", k, got, v)
		}
	}
}

func TestEnvironmentOfTCP(t *testing.T) {
	s := serve(t, printEnv())
	env := s.environment("tcp")
	_, port, _ := net.SplitHostPort(s.addr["tcp"].String())
	_, from, _ := net.SplitHostPort(s.record().Peer.String())
	want(t, env, "PROTO=TCP", "TCPLOCALIP=127.0.0.1", "TCPLOCALPORT="+port, "TCPREMOTEIP=127.0.0.1", "TCPREMOTEPORT="+from,
		"REMOTE_ADDR=127.0.0.1", "REMOTE_PORT="+from, "REMOTE_HOST=127.0.0.1",
		"TCPREMOTEHOST=", "SSL_PROTOCOL=", "SSLREMOTEIP=", "UNIXLOCALPATH=", "UCSPI_ID=1")
}

// An IPv4 client of a dual-stack port has an IPv4 address.
func TestEnvironmentOfMappedAddress(t *testing.T) {
	l, err := net.Listen("tcp", "[::]:0")
	if err != nil {
		t.Skip(err)
	}
	s := serveOn(t, printEnv(), nil, l)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	s.addr["four"], _ = net.ResolveTCPAddr("tcp", "127.0.0.1:"+port)
	want(t, s.environment("four"), "PROTO=TCP", "TCPREMOTEIP=127.0.0.1", "TCPLOCALIP=127.0.0.1")
	if s.addr["six"], err = net.ResolveTCPAddr("tcp", "[::1]:"+port); err == nil {
		want(t, s.environment("six"), "PROTO=TCP", "TCPREMOTEIP=::1", "TCPLOCALIP=::1")
	}
}

// An entry names one variable, and none that is a client's or the server's own.
func TestEntriesOfTheEnvironment(t *testing.T) {
	for entry, want := range map[string]string{
		"A": "", "A=": "", "A=b=c": "", "A=b c;d": "", "LC_*": "", "PATH=/bin": "",
		"": "does not name a variable", "=x": "does not name a variable", "A B": "is not a variable name", "A,B": "is not a variable name", "A:B": "is not a variable name",
		"\x00A=b": "NUL", "A\x00=b": "NUL", "A=b\x00": "NUL", "A\x00": "NUL",
		"REMOTE_ADDR=1.2.3.4": "is set for each client", "REMOTE_ADDR": "is set for each client", "SSL_CLIENT_S_DN=x": "is set for each client",
		"TCPREMOTEIP=x": "is set for each client", "LISTEN_FDS=1": "is for the server only", "NETSERVER_PORT": "is for the server only",
	} {
		err := exec.CheckEnv(entry)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", entry, err, want)
		}
	}
}

func TestEnvironmentOfUNIX(t *testing.T) {
	s := serve(t, printEnv())
	env := s.environment("unix")
	want(t, env, "PROTO=UNIX", "UNIXLOCALPATH="+s.addr["unix"].String(), "TCPREMOTEIP=", "REMOTE_ADDR=")
	if env["UNIXREMOTEPID"] != "" || runtime.GOOS == "linux" {
		want(t, env, "UNIXREMOTEEUID="+strconv.Itoa(os.Geteuid()), "UNIXREMOTEEGID="+strconv.Itoa(os.Getegid()),
			"UNIXREMOTEPID="+strconv.Itoa(os.Getpid()))
	}
}

func TestEnvironmentOfTLS(t *testing.T) {
	s := serve(t, printEnv())
	env := s.environment("tls")
	cert := parse(t, s.pki.client.Certificates[0].Certificate[0])
	want(t, env, "PROTO=SSL", "SSLLOCALIP=127.0.0.1", "SSLREMOTEIP=127.0.0.1", "TCPLOCALIP=127.0.0.1", "TCPREMOTEIP=127.0.0.1",
		"REMOTE_ADDR=127.0.0.1",
		"SSL_PROTOCOL=TLSv1.3", "SSL_TLS_SNI=localhost", "SSL_SESSION_RESUMED=Initial",
		"SSL_CLIENT_VERIFY=SUCCESS",
		"SSL_CLIENT_S_DN_CN=Jane Client", `SSL_CLIENT_S_DN=CN=Jane Client,O=Acme\, Inc.`,
		"SSL_CLIENT_I_DN=CN=Test CA", "SSL_CLIENT_I_DN_CN=Test CA", "SSL_CLIENT_M_SERIAL=ABCDEF", "SSL_CLIENT_M_VERSION=3",
		"SSL_CLIENT_V_START="+cert.NotBefore.UTC().Format("Jan _2 15:04:05 2006")+" GMT",
		"SSL_CLIENT_V_END="+cert.NotAfter.UTC().Format("Jan _2 15:04:05 2006")+" GMT",
		"SSL_CLIENT_SAN_DNS_0=jane.example", "SSL_CLIENT_SAN_Email_0=jane@example.org",
		fmt.Sprintf("SSL_PEER_CERT_HASH=SHA256:%x", sha256.Sum256(cert.Raw)))
	if c := env["SSL_CIPHER"]; !strings.HasPrefix(c, "TLS_") {
		t.Errorf("SSL_CIPHER=%s", c)
	}
}

func TestEnvironmentWithoutVerifiedCertificate(t *testing.T) {
	s := serve(t, printEnv())
	s.pki.server.ClientAuth = tls.RequestClientCert
	want(t, s.environment("tls"), "SSL_CLIENT_VERIFY=GENEROUS", "SSL_CLIENT_S_DN=", "SSL_CLIENT_S_DN_CN=", "SSL_CLIENT_SAN_DNS_0=",
		fmt.Sprintf("SSL_PEER_CERT_HASH=SHA256:%x", sha256.Sum256(s.pki.client.Certificates[0].Certificate[0])))
	s = serve(t, printEnv())
	s.pki.client.Certificates = nil
	s.pki.client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	want(t, s.environment("tls"), "SSL_CLIENT_VERIFY=NONE", "SSL_PEER_CERT_HASH=", "SSL_SESSION_RESUMED=Initial")
	want(t, s.environment("tls"), "SSL_CLIENT_VERIFY=NONE", "SSL_SESSION_RESUMED=Resumed")
}

// A listener whose connections shake hands at their first byte gives the same
// environment.
func TestEnvironmentOfLazyHandshake(t *testing.T) {
	p := newPKI(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := serveOn(t, printEnv(), p, tls.NewListener(l, p.server))
	s.addr["tls"] = l.Addr()
	want(t, s.environment("tls"), "PROTO=SSL", "SSL_PROTOCOL=TLSv1.3", "SSL_CLIENT_S_DN_CN=Jane Client")
}

// Of the server's own environment a program has a short list and what the
// operator names, and never what says something of a client or is for the
// server alone.
func TestEnvironmentIsClean(t *testing.T) {
	for k, v := range map[string]string{
		"NETSERVER_SSL_PASSWD": "secret", "TCPREMOTEHOST": "forged", "SSL_CLIENT_S_DN": "CN=root", "SSL_CLIENT_VERIFY": "SUCCESS",
		"LISTEN_FDS": "1", "NOTIFY_SOCKET": "/run/x", "SSL_CERT_FILE": "/etc/ca.pem", "KEPT": "yes", "GIVEN": "no",
		"AWS_SECRET_ACCESS_KEY": "secret", "LC_ALL": "C", "TZ": "UTC", "PERL5LIB": "/lib/p", "PERL_X": "1", "SSL_CLIENT_I_DN": "CN=CA",
	} {
		t.Setenv(k, v)
	}
	h := printEnv()
	h.Env = []string{"GIVEN=old", "GIVEN=yes", "EMPTY=", "KEPT", "SSL_CERT_FILE", "PERL*", "ABSENT", "SSL_*"}
	s := serve(t, h)
	out := s.run("tcp", "")
	env := splitEnv(out)
	want(t, env, "NETSERVER_SSL_PASSWD=", "TCPREMOTEHOST=", "SSL_CLIENT_S_DN=", "SSL_CLIENT_VERIFY=", "LISTEN_FDS=", "NOTIFY_SOCKET=",
		"SSL_CERT_FILE=/etc/ca.pem", "KEPT=yes", "GIVEN=yes", "AWS_SECRET_ACCESS_KEY=", "LC_ALL=C", "TZ=UTC", "PATH="+os.Getenv("PATH"),
		"PERL5LIB=/lib/p", "PERL_X=1", "ABSENT=", "SSL_CLIENT_I_DN=", "EXEC_TEST=")
	if strings.Count(out, "GIVEN=") != 1 {
		t.Error("GIVEN is there twice")
	}
	if v, ok := env["EMPTY"]; !ok || v != "" {
		t.Error("EMPTY is lost")
	}
}

// Names from a certificate that could mislead a program are left out.
func TestUnsafeValuesAreLeftOut(t *testing.T) {
	for v, ok := range map[string]bool{
		"plain": true, "Zoë": true, "": false, "a\nb": false, "a\x00b": false, "\x1b[31m": false, "\xff": false, "a\u0085b": false,
		strings.Repeat("x", 4096): true, strings.Repeat("x", 4097): false,
	} {
		if got := len(exec.SetVar("X", v)) == 1; got != ok {
			t.Errorf("%q: %v", v, got)
		}
	}
}

func TestCipherNames(t *testing.T) {
	for id, want := range map[uint16]string{
		tls.TLS_AES_128_GCM_SHA256:                        "TLS_AES_128_GCM_SHA256",
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:         "ECDHE-RSA-AES128-GCM-SHA256",
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA:          "ECDHE-ECDSA-AES256-SHA",
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256:         "ECDHE-RSA-AES128-SHA256",
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:   "ECDHE-RSA-CHACHA20-POLY1305",
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
		tls.TLS_RSA_WITH_AES_128_CBC_SHA:                  "AES128-SHA",
		tls.TLS_RSA_WITH_AES_256_GCM_SHA384:               "AES256-GCM-SHA384",
		tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA:                 "DES-CBC3-SHA",
		tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA:           "ECDHE-RSA-DES-CBC3-SHA",
		tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA:                "ECDHE-RSA-RC4-SHA",
		0xFFFF:                                            "0xFFFF",
	} {
		if got := exec.CipherName(id); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		h    *exec.Handler
		want string
	}{
		{&exec.Handler{}, "exec: no program is given"},
		{&exec.Handler{Path: "/no/such"}, "exec: /no/such: no such file or directory"},
		{&exec.Handler{Path: "no-such-program"}, "exec: no-such-program: not found in $PATH"},
		{&exec.Handler{Path: plain}, "exec: " + plain + ": permission denied: it is not executable; chmod +x makes it so"},
		{&exec.Handler{Path: dir}, "exec: " + dir + ": is a directory"},
		{&exec.Handler{Path: "cat", Dir: "/no/dir"}, "exec: working directory /no/dir: no such file or directory"},
		{&exec.Handler{Path: "cat", Dir: plain}, "exec: working directory " + plain + ": not a directory"},
		{&exec.Handler{Path: "cat", Args: []string{"a", "b\x00"}}, "exec: cat: argument 2 contains a NUL byte"},
		{&exec.Handler{Path: "cat", Env: []string{"=X"}}, `exec: environment: "=X" does not name a variable; write NAME or NAME=VALUE`},
		{&exec.Handler{Path: "cat", Env: []string{"A, B"}}, `exec: environment: "A, B" is not a variable name; give each variable its own entry`},
		{&exec.Handler{Path: "cat", Env: []string{"LISTEN_FDS=3"}}, "exec: environment: LISTEN_FDS is for the server only and cannot be given"},
		{&exec.Handler{Path: "cat", Env: []string{"PROTO=TCP"}}, "exec: environment: PROTO is set for each client and cannot be given"},
		{&exec.Handler{Path: "cat", Stderr: "nowhere"}, `exec: invalid destination "nowhere" for standard error: write log, client, drop or inherit`},
		{&exec.Handler{Path: "cat", KillGrace: 1e10}, "exec: 10s between TERM and KILL is too long: it must be less than 10s"},
		{&exec.Handler{Path: "/no/such", Dir: "/no/dir"}, "exec: /no/such: no such file or directory\nexec: working directory /no/dir: no such file or directory"},
	} {
		if err := c.h.Check(); err == nil || err.Error() != c.want {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
}

// Paths are those of the start, wherever the server or the program is later.
func TestRelativePaths(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	if err := netservertest.WriteProgram(filepath.Join(dir, "prog"), []byte("#!/bin/sh\npwd; echo $0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	h := &exec.Handler{Path: "./prog", Dir: elsewhere}
	if err := h.Check(); err != nil {
		t.Fatal(err)
	}
	t.Chdir("/")
	s := serve(t, h)
	if got := s.run("tcp", ""); got != elsewhere+"\n"+filepath.Join(dir, "prog")+"\n" {
		t.Fatalf("%q", got)
	}
}

// A program that vanishes after the start, or cannot be run, fails its client
// with a reason.
func TestProgramThatCannotStart(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "prog")
	for _, c := range []struct {
		what, text, err string
		remove          bool
	}{
		{"interpreter", "#!/no/such/interpreter\n", "the interpreter /no/such/interpreter that its first line names: no such file or directory", false},
		{"garbage", "\x00\x01", "neither a program for this system nor a script that begins with #!: exec format error", false},
		{"gone", "#!/bin/sh\n", "no such file or directory", true},
	} {
		if err := netservertest.WriteProgram(path, []byte(c.text), 0o755); err != nil {
			t.Fatal(err)
		}
		s := serve(t, &exec.Handler{Path: path})
		if c.remove {
			os.Remove(path)
		}
		for _, proto := range []string{"tcp", "tls", "unix"} {
			if got := s.run(proto, ""); got != "" {
				t.Errorf("%q", got)
			}
			r := s.record()
			if want := "cannot start " + path + ": " + c.err; r.Err == nil || !strings.HasSuffix(r.Err.Error(), want) {
				t.Errorf("%s over %s: %v", c.what, proto, r.Err)
			}
		}
	}
}

var _ netserver.Handler = (*exec.Handler)(nil)
