package daemon_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netserver/netservertest"
)

// talk takes one of an admin process's ways to the control protocol, and stops
// the process.
func talk(t *testing.T, pid int) *os.File {
	t.Helper()
	h := seize(t, pid)
	h.settle()
	h.hold()
	list := h.sockets(func(fd int) bool { return isPair(fd) && option(fd, unix.SO_PASSRIGHTS) == 0 })
	if len(list) != 4 {
		t.Skipf("%d sockets could be those of the control protocol", len(list))
	}
	return list[0]
}

// A compromised admin process can ask what its listener shows. It cannot end the
// server, nor reload it, change targets, or, without admin_write, end a client
// or ban a network.
func TestAttackAdmin(t *testing.T) {
	rooted(t)
	r, _ := startAdmin(t, "--port", "127.0.0.1:0")
	c := mustDial(t, r.addr(0))
	c.mustAsk(t, "hello")
	f := talk(t, r.adminPID(1))
	answers := bufio.NewReader(f)
	ask := func(line string) string {
		t.Helper()
		if _, err := fmt.Fprintln(f, line); err != nil {
			t.Fatal(err)
		}
		all := ""
		for {
			got, err := answers.ReadString('\n')
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if all += got; strings.Contains(got, `"end":true`) || strings.HasPrefix(got, `{"errors"`) {
				return all
			}
		}
	}
	if got := ask(`{"verb":"conns"}`); !strings.Contains(got, `"1.1"`) {
		t.Fatalf("conns: %s", got)
	}
	for _, line := range []string{
		`{"verb":"stop"}`, `{"verb":"drain"}`, `{"verb":"stop","wait":true}`, `{"verb":"reload"}`, `{"verb":"reload","dry_run":true}`,
		`{"verb":"target","change":"add","backend":"b","target":"127.0.0.1:1"}`, `{"verb":"kill","id":"1.1"}`, `{"verb":"ban","network":"127.0.0.1"}`, `{"verb":"lift","network":"127.0.0.1"}`,
		`{"verb":"Stop"}`, `{"verb":"status","verb":"stop"}`, `stop`, ``, `[]`, `{"verb":"status"}{"verb":"stop"}`,
	} {
		if got := ask(line); !strings.HasPrefix(got, `{"errors"`) {
			t.Errorf("%s: %s", line, got)
		}
	}
	c.mustAsk(t, "still here")
	began := time.Now()
	for range 100 {
		ask(`{"verb":"health"}`)
	}
	if d := time.Since(began); d < 300*time.Millisecond {
		t.Errorf("100 questions in %v: nothing slows it down", d)
	}
	fmt.Fprintln(f, `{"verb":"`+strings.Repeat("x", 8<<10)+`"}`)
	r.wait("violates the supervisor's protocol; killing it: a request of more than", 1)
	mustDial(t, r.addr(0)).mustAsk(t, "served")
}

// It may not say what workers say, and has no file read for it that its own TLS
// does not name.
func TestAttackFromAdmin(t *testing.T) {
	rooted(t)
	secret := writeFile(t, filepath.Join(openDir(t), "secret"), "secret")
	for _, m := range []object{
		{"Op": "exit"}, {"Op": "status", "Status": object{}}, {"Op": "counts", "Counts": object{}}, {"Op": "plan", "Plan": object{}},
		{"Op": "answer", "ID": 1, "Answer": object{}},
	} {
		r, _ := startAdmin(t, "--port", "127.0.0.1:0/ssl", "--SSL_cert_file", "self-signed")
		pid := r.adminPID(1)
		h := seize(t, pid)
		h.settle()
		l := h.link()
		l.say(object{"Op": "read", "ID": 7, "Path": secret})
		l.say(m)
		r.wait("violates the supervisor's protocol; killing it: it sent", 1)
		r.adminPID(2) // another is started
	}
}

// It has the workers' user, no capability, no way to gain any, and the sandbox.
func TestAdminProcessIsConfined(t *testing.T) {
	rooted(t)
	r, _ := startAdmin(t, "--port", "127.0.0.1:0")
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.adminPID(1)))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t65534\t65534", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is not so:\n%s", want, b)
		}
	}
	r.wait(`sandbox="Landlock`, 1)
}

// It neither has nor gets the keys of the ports: nothing of TLS reaches the
// process of a listener without TLS.
func TestAdminProcessHasNoKeys(t *testing.T) {
	rooted(t)
	r, _ := startAdmin(t, "--port", "127.0.0.1:0/ssl", "--SSL_cert_file", "self-signed", "--key_isolation", "0")
	h := seize(t, r.adminPID(1))
	netservertest.Eventually(t, "it serves", func() bool { return len(h.descriptors()) > 4 })
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", h.pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", h.pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var from, to int64
		var mode string
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); n != 3 || !strings.HasPrefix(mode, "rw") || to-from > 256<<20 {
			continue
		}
		page := make([]byte, to-from)
		// The key is one of P-256. Tests that use httptest bring an RSA key into
		// every process.
		if n, _ := mem.ReadAt(page, from); strings.Contains(string(page[:n]), "PRIVATE KEY-----\nMIGHAgEA") || strings.Contains(string(page[:n]), "BEGIN PRIVATE KEY-----\\nMIGHAgEA") {
			t.Errorf("a private key is in its memory, at %x", from)
		}
	}
}
