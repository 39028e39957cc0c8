// Package examples_test builds the programs below this folder, runs them and
// talks to them.
package examples_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// patience bounds what must happen at once; only a failure uses it up.
const patience = time.Minute

// A program is a running example.
type program struct {
	cmd   *exec.Cmd
	ended chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// Write keeps what the program prints.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *program) printed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// build compiles an example, with each text of replace in its main.go replaced
// by the next one: an example names a port, and a test must take a free one.
func build(t *testing.T, name string, replace ...string) string {
	t.Helper()
	dir := t.TempDir()
	source, err := filepath.Abs(filepath.Join(name, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	changed, overlay, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "overlay"), filepath.Join(dir, "example.exe")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{source: changed}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		os.WriteFile(changed, []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o600),
		os.WriteFile(overlay, list, 0o600),
	); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", binary, "./"+name).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// run starts a program that was built, until the end of the test.
func run(t *testing.T, binary string, args ...string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(binary, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.reap()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("%s printed:\n%s", filepath.Base(filepath.Dir(binary)), p.printed())
		}
	})
	return p
}

func (p *program) reap() {
	p.cmd.Wait()
	close(p.ended)
}

// dial connects to p, which may not listen yet.
func (p *program) dial(t *testing.T, address string) net.Conn {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.SetDeadline(end)
			t.Cleanup(func() { c.Close() })
			return c
		}
		select {
		case <-p.ended:
			t.Fatalf("it ended:\n%s", p.printed())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// free returns n loopback addresses with ports that nothing listens on.
func free(t *testing.T, n int) (addresses []string) {
	t.Helper()
	for range n {
		addresses = append(addresses, "127.0.0.1:"+netservertest.FreePort(t))
	}
	return addresses
}

func number(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// ask sends a line and returns the one that comes back.
func ask(t *testing.T, c net.Conn, r *bufio.Reader, line string) string {
	t.Helper()
	if _, err := io.WriteString(c, line); err != nil {
		t.Fatal(err)
	}
	answer, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("after %q: %v", answer, err)
	}
	return answer
}

func TestHello(t *testing.T) {
	at := free(t, 2)
	p := run(t, build(t, "hello", "20203", number(at[0]), "20204", number(at[1])))
	plain := p.dial(t, at[0])
	secret := tls.Client(p.dial(t, at[1]), &tls.Config{InsecureSkipVerify: true})
	for _, c := range []net.Conn{plain, secret} {
		if got := ask(t, c, bufio.NewReader(c), "Ann\r\n"); got != "Hello, Ann!\n" {
			t.Errorf("got %q", got)
		}
	}
}

func TestHelloIsShort(t *testing.T) {
	text, err := os.ReadFile("hello/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("\n")); n >= 20 {
		t.Errorf("hello/main.go has %d lines; it must stay under 20", n)
	}
}

func TestDoorman(t *testing.T) {
	at := free(t, 1)[0]
	p := run(t, build(t, "doorman"), "-port", at)
	come := func() (net.Conn, *bufio.Reader) {
		c := p.dial(t, at)
		return c, bufio.NewReader(c)
	}
	a, ar := come()
	b, br := come()
	for range 2 {
		if ask(t, a, ar, "x\n") != "x\n" || ask(t, b, br, "y\n") != "y\n" {
			t.Fatal("no echo")
		}
	}
	_, cr := come()
	if got, err := cr.ReadString('\n'); got != "Come back later.\r\n" || err != nil {
		t.Errorf("a third client got %q, %v", got, err)
	}
	a.Close()
	netservertest.Eventually(t, "the first client's record", func() bool {
		return strings.Contains(p.printed(), "client 1 stayed for ") && strings.Contains(p.printed(), "and sent 4 bytes")
	})
	d, dr := come()
	if ask(t, d, dr, "z\n") != "z\n" {
		t.Error("the place was not freed")
	}
}

func TestToken(t *testing.T) {
	binary := build(t, "token")
	t.Setenv("TOKEN", "short")
	if out, err := exec.Command(binary, "-port", "127.0.0.1:0/token").CombinedOutput(); err == nil || !strings.Contains(string(out), "set TOKEN") {
		t.Errorf("without a good token: %v\n%s", err, out)
	}
	t.Setenv("TOKEN", "correct horse battery staple")
	at := free(t, 1)[0]
	p := run(t, binary, "-port", at+"/token")
	for line, want := range map[string]string{
		"correct horse battery staple\n": "You are in by port " + at + "/token.\n",
		"correct horse battery stable\n": "",
	} {
		c := p.dial(t, at)
		io.WriteString(c, line)
		if got, err := io.ReadAll(c); string(got) != want || err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after %q: %q, %v", line, got, err)
		}
	}
}

func TestSum(t *testing.T) {
	at := free(t, 1)[0]
	p := run(t, build(t, "sum"), "-port", at)
	c := p.dial(t, at)
	r := bufio.NewReader(c)
	for question, want := range map[string]string{"sum 1 2 3\n": "6\n", "sum\r\n": "0\n", "sum -5 5\n": "0\n"} {
		if got := ask(t, c, r, question); got != want {
			t.Errorf("%q is %q over TCP, want %q", question, got, want)
		}
	}
	u, err := net.Dial("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	u.SetDeadline(time.Now().Add(patience))
	// Only the second is a question; the third asks twice.
	for _, question := range []string{"6\n", "sum 20 22", "sum 1\nsum 2\n", "sum 3 4"} {
		fmt.Fprint(u, question)
	}
	var got []string
	for range 3 {
		b := make([]byte, 100)
		n, err := u.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(b[:n]))
	}
	for _, want := range []string{"42\n", "1\n", "7\n"} {
		if !strings.Contains(strings.Join(got, ""), want) {
			t.Errorf("got %q over UDP, want %q in it", got, want)
		}
	}
}

func TestKeys(t *testing.T) {
	binary := build(t, "keys")
	out, err := exec.Command(binary, "--help").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--greeting TEXT") || !strings.Contains(string(out), "--timeout_idle SECONDS") {
		t.Errorf("--help: %v\n%s", err, out)
	}
	out, err = exec.Command(binary, "--greting", "x", "--max_servers", "y").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "did you mean greeting?") || !strings.Contains(string(out), "max_servers") {
		t.Errorf("two mistakes: %v\n%s", err, out)
	}
	at := free(t, 1)[0]
	file := filepath.Join(t.TempDir(), "keys.conf")
	if err := os.WriteFile(file, []byte("port "+at+"/tcp\ngreeting Good day\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ environment, argument, want string }{
		{"", "", "Good day, client 1\n"},
		{"Moin", "", "Moin, client 1\n"},
		{"Moin", "Servus", "Servus, client 1\n"},
	} {
		args := []string{"--conf_file", file}
		if tt.environment != "" {
			t.Setenv("NETSERVER_GREETING", tt.environment)
		}
		if tt.argument != "" {
			args = append(args, "--greeting="+tt.argument)
		}
		p := run(t, binary, args...)
		if got, err := io.ReadAll(p.dial(t, at)); string(got) != tt.want || err != nil {
			t.Errorf("%+v: got %q, %v", tt, got, err)
		}
		if runtime.GOOS == "windows" {
			p.cmd.Process.Kill()
		} else {
			p.cmd.Process.Signal(os.Interrupt)
		}
		<-p.ended
		if runtime.GOOS != "windows" && !p.cmd.ProcessState.Success() {
			t.Errorf("after an interrupt: %v", p.cmd.ProcessState)
		}
	}
}
