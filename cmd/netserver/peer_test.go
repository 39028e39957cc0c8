package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// need skips the test where a program is missing; under CI it fails.
func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			missing(t, name)
		}
	}
}

// needPerl is need for perl with the given modules.
func needPerl(t testing.TB, modules ...string) {
	t.Helper()
	need(t, "perl")
	for _, m := range modules {
		if exec.Command("perl", "-M"+m, "-e", "1").Run() != nil {
			missing(t, "the Perl module "+m)
		}
	}
}

func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing, and CI=true", what)
	}
	t.Skipf("%s is missing", what)
}

// A peer is a client program, driven like a person at a terminal would.
type peer struct{ *process }

// run starts a client program.
func run(t testing.TB, name string, args ...string) *peer {
	t.Helper()
	need(t, name)
	cmd := exec.Command(name, args...)
	cmd.Env = environment()
	return &peer{launch(t, name, cmd)}
}

// say writes text to the program's standard input.
func (p *peer) say(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, text); err != nil {
		p.t.Fatalf("%s: %v; it wrote:\n%s%s", p.name, err, &p.out, &p.log)
	}
}

// hear waits until the program has printed text.
func (p *peer) hear(text string) {
	p.t.Helper()
	p.out.await(p.t, text, p.ended, func(got string) bool { return strings.Contains(got, text) })
}

// hangUp ends the program's standard input.
func (p *peer) hangUp() { p.stdin.Close() }

// all hangs up, waits for the program's end and returns what it printed.
func (p *peer) all() string {
	p.t.Helper()
	p.hangUp()
	if status := p.wait(); status != 0 {
		p.t.Errorf("%s: exit status %d; it wrote:\n%s%s", p.name, status, &p.out, &p.log)
	}
	return p.out.String()
}

// echoes holds a conversation with the line echo, and leaves with quit.
func (p *peer) echoes() {
	p.t.Helper()
	p.hear(`Welcome to "netserver" (`)
	p.say("hello from " + p.name + "\r\n")
	p.hear(`: You said "hello from ` + p.name + `"`)
	p.say("second line\n")
	p.hear(`: You said "second line"`)
	p.say("quit\n")
	p.hear(`: You said "quit"`)
}

// certificate makes a self-signed certificate for 127.0.0.1 and localhost,
// which clients can verify with its own file as the authority.
func certificate(t testing.TB) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "localhost"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePEM(t, certFile, "CERTIFICATE", cert)
	writePEM(t, keyFile, "PRIVATE KEY", private)
	return certFile, keyFile
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	write(t, file, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// dial connects from the test itself. The connection gives up after patience.
func dial(t testing.TB, network, address string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout(network, address, patience)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	return c
}

// dialTLS is dial with a handshake that verifies nothing.
func dialTLS(t testing.TB, address string) *tls.Conn {
	t.Helper()
	c := tls.Client(dial(t, "tcp", address), &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

// readAll returns what the server sends until it ends the connection.
func readAll(t testing.TB, c net.Conn) string {
	t.Helper()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("after %q: %v", b, err)
	}
	return string(b)
}
