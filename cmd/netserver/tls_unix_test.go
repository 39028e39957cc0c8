//go:build unix

package main_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"netserver/netservertest"
)

// unixClient lets openssl come to a UNIX socket, say text, and returns all it
// prints.
func unixClient(t testing.TB, path, text string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, netservertest.Peer(t, "openssl"), append([]string{"s_client", "-unix", path, "-ign_eof"}, args...)...)
	cmd.Stdin = strings.NewReader(text)
	out, _ := cmd.CombinedOutput() // a refused client ends with a failure
	if ctx.Err() != nil {
		t.Errorf("openssl %q hangs:\n%s", args, out)
	}
	return string(out)
}

// TestTLSOnUnixSocket has a real client come to the command by a UNIX socket,
// with and without a certificate, before and after a reload, and by its user.
func TestTLSOnUnixSocket(t *testing.T) {
	b, dir := newTLSBed(t), shortDir(t)
	path, conf := filepath.Join(dir, "s.sock"), filepath.Join(dir, "server.conf")
	if err := os.Chmod(b.one.file, 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(b.args("SSL_cert_file|ONE SSL_verify_mode|3 SSL_ca_file|CA SSL_allow_cn|ann log_level|3 unix_mode|0666 key_isolation|auto"), "\n") + "\n"
	write(t, conf, strings.ReplaceAll(text, "|", " ")+"port "+path+"|unixssl\n")
	args := []string{"--conf_file", conf}
	if os.Getuid() == 0 {
		args = append(args, "--user", "nobody", "--group", "nogroup")
	}
	s := start(t, args...)
	s.awaitLog(`identity of the serving processes`)
	ann := []string{"-cert", b.ann.file, "-key", b.ann.file, "-CAfile", netservertest.CA(t).File(t), "-verify_return_error", "-servername", "one.example.com"}
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		if out := unixClient(t, path, "hello\nquit\n", append(ann, version)...); !strings.Contains(out, `You said "hello"`) || !strings.Contains(out, "CN = one.example.com") && !strings.Contains(out, "CN=one.example.com") {
			t.Errorf("%s: %s", version, out)
		}
	}
	if out := unixClient(t, path, "hello\nquit\n"); strings.Contains(out, "You said") {
		t.Error("a client without a certificate comes in:", out)
	}
	s.awaitLog(`(denied|failed) .*port=\S+unixssl.*certificate`)
	s.awaitLog(`served .*port=\S+unixssl.* tls="TLS 1.3".*sni=one.example.com`)

	// A reload keeps the socket and shows another certificate.
	write(t, conf, strings.ReplaceAll(strings.ReplaceAll(text, "|", " "), b.one.file, b.two.file)+"port "+path+"|unixssl\nunix_allow_user root\n")
	s.signal(syscall.SIGHUP)
	out := ""
	netservertest.Eventually(t, "the other certificate", func() bool {
		out = unixClient(t, path, "hello\nquit\n", "-cert", b.ann.file, "-key", b.ann.file)
		return os.Getuid() != 0 || strings.Contains(out, "two.example.com")
	})
	if root := os.Getuid() == 0; strings.Contains(out, `You said "hello"`) != root { // only root is allowed now
		t.Error("after a reload:", out)
	}
	s.stop()
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket's file is left behind")
	}
}

// mailServer answers as SMTP servers do until QUIT.
func mailServer(t testing.TB) (address string) {
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
			fmt.Fprint(nc, "220 mail.example.com ESMTP\r\n")
			b := make([]byte, 512)
			for {
				n, err := nc.Read(b)
				if err != nil {
					break
				}
				fmt.Fprintf(nc, "250 mail.example.com has read %q\r\n", b[:n])
			}
			nc.Close()
		}
	}()
	return l.Addr().String()
}

const unixBlocks = `
proxy_protocol = "off"

[[listen]]
port = "%[1]s/routes|unixssl"

[[listen.route]]
sni = "one.example.com"
program = ["sh", "-c", "echo one; read x; echo got $x"]

[[listen.route]]
sni = "two.example.com"
passthrough = true
proxy_to = "unix:%[1]s/behind"

[[listen.route]]
refuse = true

[[listen]]
port = "%[1]s/behind|unixssl"
SSL_cert_file = %[3]q
program = ["sh", "-c", "echo behind; read x"]

[[listen]]
port = "%[1]s/mail"
proto = "unixtls"
starttls = "smtp"
proxy_to = %[4]q

[[listen]]
port = "%[1]s/headed|unixssl"
proxy_protocol = "require"
proxy_protocol_from = "unix"
cidr_allow = "192.0.2.0/24"
program = ["sh", "-c", "echo from $REMOTE_ADDR"]
`

// TestRoutesOnUnixSocket is a conf file with routes, STARTTLS and PROXY headers
// on UNIX sockets that speak TLS.
func TestRoutesOnUnixSocket(t *testing.T) {
	b, dir := newTLSBed(t), shortDir(t)
	conf := filepath.Join(dir, "server.toml")
	write(t, conf, fmt.Sprintf("SSL_cert_file = %[2]q\n"+unixBlocks, dir, b.one.file, b.two.file, mailServer(t)))
	s := start(t, "--conf_file", conf, "--user", me(t))
	s.awaitLog(`identity of the serving processes`)
	if out := unixClient(t, dir+"/routes", "hi\n", "-servername", "one.example.com"); !strings.Contains(out, "one\ngot hi") {
		t.Error("decrypted:", out)
	}
	if out := unixClient(t, dir+"/routes", "hi\n", "-servername", "two.example.com"); !strings.Contains(out, "two.example.com") || !strings.Contains(out, "behind") {
		t.Error("passed through:", out)
	}
	if out := unixClient(t, dir+"/routes", "hi\n", "-servername", "three.example.com"); strings.Contains(out, "got hi") || strings.Contains(out, "behind") {
		t.Error("refused:", out)
	}
	if out := unixClient(t, dir+"/mail", "NOOP\r\n", "-starttls", "smtp", "-no_ign_eof"); !strings.Contains(out, "BEGIN CERTIFICATE") {
		t.Error("STARTTLS:", out)
	}
	for from, want := range map[string]string{"192.0.2.7": "from 192.0.2.7", "198.51.100.1": ""} {
		nc := dial(t, "unix", dir+"/headed")
		fmt.Fprintf(nc, "PROXY TCP4 %s 192.0.2.1 7 443\r\n", from)
		c := tls.Client(nc, &tls.Config{RootCAs: netservertest.CA(t).Pool(), ServerName: "one.example.com"})
		got, err := io.ReadAll(c)
		if text := strings.TrimSpace(string(got)); text != want || want != "" && err != nil {
			t.Errorf("from %s: %q, %v; want %q", from, text, err, want)
		}
	}
	s.stop()
}

// What leads back to its own socket, and what the port cannot have, is refused.
func TestUnixSSLRefused(t *testing.T) {
	b, dir := newTLSBed(t), shortDir(t)
	path := dir + "/s.sock"
	for _, c := range []struct{ args, want string }{
		{"--port " + path + "|unixssl --proxy_to " + path, "of this server itself"},
		{"--port " + path + "|ssl", "write " + path + "|unixssl for TLS on a UNIX socket"},
		{"--port " + path + "|unixssl --tcp_keepalive 60", "has no effect without a TCP port"},
		{"--port " + path + "|unixssl --cidr_allow_file " + path, "has no effect on UNIX sockets"},
		{"--port " + path + "|unix --SSL_version TLSv1_3", "PATH|unixssl"},
	} {
		_, stderr, status := both(t, append(b.args(c.args), "--check", "--SSL_cert_file", b.one.file)...)
		if status == 0 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: status %d, %s", c.args, status, stderr)
		}
	}
	if stdout, stderr, status := both(t, "--check", "--user", me(t), "--port", path+"|unixssl"); status != 0 || !strings.Contains(stdout, `"unixssl"`) {
		t.Errorf("without a certificate: status %d, %s", status, stderr)
	}
}

// Rules for users by name hold for workers under Landlock, which have to look
// the numbers up.
func TestUnixUserByName(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	for user, want := range map[string]string{"root": "got hello", "daemon": ""} {
		path := filepath.Join(shortDir(t), "s.sock")
		s := start(t, "--port", path+"|unix", "--user", "nobody", "--group", "nogroup", "--unix_allow_user", user, "--unix_allow_group", "nogroup", "--echo", "raw")
		s.awaitLog(`identity of the serving processes.*Landlock`)
		nc := dial(t, "unix", path)
		io.WriteString(nc, "got hello")
		nc.(*net.UnixConn).CloseWrite()
		if got, _ := io.ReadAll(nc); string(got) != want {
			t.Errorf("%s: %q", user, got)
		}
		s.stop()
	}
}
