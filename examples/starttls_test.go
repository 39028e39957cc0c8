package examples_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"netserver/netservertest"
)

// mailServer starts the example with a certificate that clients can verify
// with ca.
func mailServer(t *testing.T) (p *program, at, ca string) {
	t.Helper()
	a := netservertest.CA(t)
	file := bothFile(t, a)
	at = free(t, 1)[0]
	p = run(t, build(t, "starttls"), "-port", at+"/ssl", "-cert", file)
	p.dial(t, at).Close() // until it listens
	return p, at, a.File(t)
}

// bothFile returns a file with a certificate of a and its key.
func bothFile(t *testing.T, a *netservertest.Authority) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "both.pem")
	a.Issue(t, netservertest.Leaf{}).WriteBoth(t, file, 0o600)
	return file
}

// client runs a mail client and returns what it prints.
func client(t *testing.T, input, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, netservertest.Peer(t, name), args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestStartTLSByOpenSSL(t *testing.T) {
	_, at, ca := mailServer(t)
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		out, err := client(t, "EHLO me\nQUIT\n", "openssl", "s_client", "-starttls", "smtp", "-connect", at, "-CAfile", ca,
			"-verify_return_error", "-crlf", "-ign_eof", version)
		if err != nil || !strings.Contains(out, "Verify return code: 0 (ok)") || !strings.Contains(out, "221 bye") || strings.Contains(out, "250-STARTTLS") {
			t.Errorf("%s: %v\n%s", version, err, out)
		}
	}
}

func TestStartTLSBySwaks(t *testing.T) {
	p, at, ca := mailServer(t)
	host, port, _ := net.SplitHostPort(at)
	base := []string{"--server", host, "--port", port, "--from", "a@example.org", "--to", "b@example.org", "--timeout", "20"}
	out, err := client(t, "", "swaks", append(base, "--tls", "--tls-verify", "--tls-ca-path", ca, "--tls-sni", "localhost")...)
	if err != nil || !strings.Contains(out, "<~  250 thrown away") {
		t.Errorf("with TLS: %v\n%s", err, out)
	}
	netservertest.Eventually(t, "the message's line in the log", func() bool { return strings.Contains(p.printed(), "bytes to 1 recipients") })
	out, err = client(t, "", "swaks", base...)
	if err == nil || !strings.Contains(out, "530 5.7.0") {
		t.Errorf("without TLS: %v\n%s", err, out)
	}
}

// Commands behind STARTTLS in plain text are not taken for ones under TLS,
// whether they come in one packet with it or later.
func TestStartTLSRefusesInjection(t *testing.T) {
	p, at, _ := mailServer(t)
	for name, send := range map[string]func(net.Conn, *bufio.Reader){
		"at once": func(c net.Conn, _ *bufio.Reader) { fmt.Fprint(c, "STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n") },
		"before the handshake": func(c net.Conn, r *bufio.Reader) {
			fmt.Fprint(c, "STARTTLS\r\n")
			r.ReadString('\n')
			fmt.Fprint(c, "MAIL FROM:<evil@example.org>\r\n")
		},
	} {
		c := p.dial(t, at)
		r := bufio.NewReader(c)
		r.ReadString('\n')
		send(c, r)
		tc := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		if err := tc.Handshake(); err == nil {
			t.Errorf("%s: there was a handshake", name)
		}
		io.Copy(io.Discard, c)
	}
	for _, want := range []string{"the client sent plain text beyond the command that starts TLS", "the client does not speak TLS"} {
		netservertest.Eventually(t, want, func() bool { return strings.Contains(p.printed(), want) })
	}
}
