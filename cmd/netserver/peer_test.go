package main_test

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"netserver/netservertest"
)

// A peer is a client program, driven like a person at a terminal would.
type peer struct{ *process }

// run starts a client program.
func run(t testing.TB, name string, args ...string) *peer {
	t.Helper()
	cmd := exec.Command(netservertest.Peer(t, name), args...)
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

// certificate issues one for localhost, which clients can verify with
// authority.
func certificate(t testing.TB) (certFile, keyFile string) {
	t.Helper()
	p := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	return p.CertFile, p.KeyFile
}

// authority is the file of the authority that issued certificate.
func authority(t testing.TB) string { return netservertest.CA(t).File(t) }

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
