package daemon_test

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netserver/netservertest"
)

type object = map[string]any

// A worker that says what no worker says ends, with a line in the log; the
// supervisor and its other workers do not.
func TestAttackMessages(t *testing.T) {
	rooted(t)
	long := strings.Repeat("x", 5000)
	for name, m := range map[string]any{
		"first port far away":        object{"Op": "counts", "Counts": object{"First": math.MaxInt64, "Ports": []object{{}, {}}}},
		"first port below none":      object{"Op": "counts", "Counts": object{"First": -1, "Ports": []object{{}}}},
		"more ports than there are":  object{"Op": "counts", "Counts": object{"First": 1, "Ports": []object{{}, {}, {}}}},
		"counter that would wrap":    object{"Op": "counts", "Counts": object{"Ports": []object{{"Outcomes": object{"served": ^uint64(0)}}}}},
		"counter's name":             object{"Op": "counts", "Counts": object{"Ports": []object{{"Refused": object{"\x1b[2J": 1}}}}},
		"family of its own":          object{"Op": "metrics", "Metrics": []object{{"Family": "netserver_mine_total", "Value": 1}}},
		"label of its own":           object{"Op": "metrics", "Metrics": []object{{"Family": "netserver_connections", "Port": 1, "Labels": []string{"mine"}}}},
		"bucket of its own":          object{"Op": "metrics", "Metrics": []object{{"Family": "netserver_handler_seconds", "Port": 1, "Hist": object{"Index": []int{1000}, "N": []int{1}}}}},
		"clients below none":         object{"Op": "status", "Status": object{"Clients": -1}},
		"clients that would wrap":    object{"Op": "status", "Status": object{"Total": ^uint64(0)}},
		"status without one":         object{"Op": "status"},
		"path that is too long":      object{"Op": "read", "ID": 1, "Path": long},
		"path with NUL":              object{"Op": "read", "ID": 1, "Path": "/a\x00b"},
		"digest that is none":        object{"Op": "load", "ID": 1, "Have": make([]byte, 100)},
		"ready again":                object{"Op": "ready"},
		"answer to nothing":          object{"Op": "answer", "ID": 77, "Answer": object{"Count": 1}},
		"plan from a worker":         object{"Op": "plan", "Plan": object{"Program": []string{"/bin/sh"}}},
		"no JSON":                    "hello",
		"two messages in one":        `{"Op":"status","Status":{}}{"Op":"exit"}`,
		"field twice":                `{"Op":"status","op":"exit","Status":{}}`,
		"nested too deep":            `{"Op":"status","Status":{},"X":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
		"longer than a message":      string(make([]byte, 70<<10)),
		"end of the server (no echo": object{"Op": "exit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, "PreForkSimple", "--max_servers", "2", "--port", "127.0.0.1:0", "--port", "127.0.0.1:0", "--", "/bin/cat")
			r.serving()
			netservertest.Eventually(t, "two workers", func() bool { return len(r.children()) == 2 })
			two := r.children()
			seize(t, two[0]).link().try(m)
			r.wait("violates the supervisor's protocol; killing it", 1)
			netservertest.Eventually(t, "another in its place", func() bool {
				now := r.children()
				return len(now) == 2 && !alive(two[0])
			})
			if !alive(two[1]) {
				t.Error("the other worker ended too")
			}
			if strings.Contains(r.text(), "panic") || strings.Contains(r.text(), "\x1b") {
				t.Error("see the log")
			}
		})
	}
}

// A job may say why it failed, and nothing else.
func TestAttackFromJob(t *testing.T) {
	rooted(t)
	r := start(t, jobArgs("sleep 1000", "--max_dequeue", "1")...)
	r.wait("job 1 started, pid", 1)
	var pid int
	if _, err := fmt.Sscanf(r.text()[strings.Index(r.text(), "job 1 started, pid"):], "job 1 started, pid %d", &pid); err != nil {
		t.Fatal(err)
	}
	netservertest.Eventually(t, "the job runs its program", func() bool { return len(childrenOf(t, pid)) > 0 })
	seize(t, pid).link().say(object{"Op": "status", "Status": object{}})
	r.wait("job 1 (pid "+fmt.Sprint(pid)+") violates the supervisor's protocol; killing it: it sent \"status\", which a job may not", 1)
	r.wait("it violated the protocol", 1)
	mustDial(t, r.addr(0)).mustAsk(t, "clients are served")
}

// Messages that this version does not know, and fields, are of a later one.
func TestLaterWorkerIsUnderstood(t *testing.T) {
	rooted(t)
	r := start(t, "--port", "127.0.0.1:0")
	r.serving()
	h := seize(t, r.only())
	l := h.link()
	l.say(object{"Op": "of a later version", "Plan": object{"Program": []string{"x"}}})
	l.say(object{"Op": "status", "Status": object{"Clients": 0, "Later": []int{1}}, "Later": object{"A": 1}})
	mustDial(t, r.addr(0)).mustAsk(t, "served")
	l.say("{") // it has read the two before
	r.wait("violates the supervisor's protocol", 1)
	if !strings.Contains(r.text(), "not a message of this protocol") {
		t.Error("killed for another reason")
	}
}

// The echo's clients may end the server, and only they.
func TestAttackExit(t *testing.T) {
	rooted(t)
	r := start(t, "--port", "127.0.0.1:0")
	r.serving()
	seize(t, r.only()).link().say(object{"Op": "exit"})
	r.wait("a client requested shutdown", 1)
	if code := r.status(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	// TestAttackMessages has the program's.
	proxied := start(t, "--port", "127.0.0.1:0", "--proxy_to", "127.0.0.1:1")
	proxied.serving()
	seize(t, proxied.only()).link().say(object{"Op": "exit"})
	proxied.wait("clients of this server may not shut it down", 1)
}

// stuckSocket makes a connection whose close waits for its peer, which takes
// nothing, for an hour.
func stuckSocket(t *testing.T) *os.File {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.(*net.TCPConn).File()
	c.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.SetsockoptLinger(int(f.Fd()), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{}); f.Close() })
	fd := int(f.Fd())
	unix.SetNonblock(fd, true)
	for b := make([]byte, 1<<16); ; {
		if _, err := unix.Write(fd, b); err != nil {
			break
		}
	}
	if err := unix.SetsockoptLinger(int(f.Fd()), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 3600}); err != nil {
		t.Fatal(err)
	}
	return f
}

// A descriptor whose close takes for ever does not hang the supervisor: the
// worker is reaped and replaced, and TERM ends the server.
func TestAttackDescriptors(t *testing.T) {
	rooted(t)
	r := start(t, "--port", "127.0.0.1:0")
	r.serving()
	pid := r.only()
	l := seize(t, pid).link()
	f := stuckSocket(t)
	err := l.raw(frame([]byte(`{"Op":"later"}`)), int(f.Fd()))
	b := frame([]byte(`{"Op":"later"}`))
	if err == nil { // an older kernel
		l.raw(b[:9])
		l.raw(b[9:], int(f.Fd()))
		r.wait("it sent descriptors", 1)
	} else if !errors.Is(err, syscall.EPERM) {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGKILL)
	r.only(pid)
	mustDial(t, r.addr(0)).mustAsk(t, "hello")
	if code := r.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// A worker that leaves its link open in a process that outlives it is reaped
// all the same.
func TestAttackLinkLeftOpen(t *testing.T) {
	rooted(t)
	r := start(t, "--port", "127.0.0.1:0")
	r.serving()
	h := seize(t, r.only())
	link := h.link()
	left := exec.Command("/bin/sleep", "1000")
	left.ExtraFiles = []*os.File{link.File}
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { left.Process.Kill(); left.Wait() }()
	syscall.Kill(h.pid, syscall.SIGKILL)
	r.only(h.pid)
	mustDial(t, r.addr(0)).mustAsk(t, "hello")
	if code := r.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// A worker that reads nothing, and asks for as much as it can, does not keep
// the supervisor from its other work.
func TestAttackNeverReads(t *testing.T) {
	rooted(t)
	dir := openDir(t)
	ctl := dir + "/ctl"
	cert := newKeyed(t, "P-256")
	certFile := writeFile(t, dir+"/cert.pem", string(cert.certPEM()))
	names := writeFile(t, dir+"/names", strings.Repeat("cn somebody or other\n", 50_000))
	keyFile := writeFile(t, dir+"/key.pem", string(cert.pem))
	r := start(t, "PreForkSimple", "--max_servers", "2", "--port", "127.0.0.1:0", "--control_socket", ctl, "--user", "nobody", "--worker_timeout", "0",
		"--SSL_cert_file", certFile, "--SSL_key_file", keyFile, "--port", "127.0.0.1:0/ssl",
		"--SSL_verify_mode", "1", "--SSL_ca_file", certFile, "--SSL_allow_file", names)
	r.serving()
	netservertest.Eventually(t, "two workers", func() bool { return len(r.children()) == 2 })
	h := seize(t, r.children()[0])
	h.hold()
	l := h.link()
	fd := int(l.Fd())
	unix.SetNonblock(fd, true)
	for i := range 10 {
		unix.Write(fd, frame(fmt.Appendf(nil, `{"Op":"read","ID":%d,"Path":%q}`, i+1, names)))
	}
	begin := time.Now()
	r.wait("violates the supervisor's protocol", 1)
	if d := time.Since(begin); d > 50*time.Second {
		t.Errorf("after %v", d)
	}
	netservertest.Eventually(t, "another in its place", func() bool { return h.gone() && len(r.children()) == 2 })
}

// A worker that floods the supervisor is slowed down, and no one else.
func TestAttackFlood(t *testing.T) {
	rooted(t)
	ctl := openDir(t) + "/ctl"
	r := start(t, "PreForkSimple", "--max_servers", "2", "--port", "127.0.0.1:0", "--control_socket", ctl, "--worker_timeout", "0")
	r.serving()
	netservertest.Eventually(t, "two workers", func() bool { return len(r.children()) == 2 })
	two := r.children()
	h := seize(t, two[0])
	l := h.link()
	h.hold()
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := frame([]byte(`{"Op":"status","Status":{"Clients":1}}`))
		for {
			select {
			case <-stop:
				return
			default:
			}
			if l.raw(b) != nil {
				return
			}
		}
	}()
	defer func() { close(stop); h.release(); <-done }()
	syscall.Kill(two[1], syscall.SIGKILL)
	r.wait("starting a replacement", 1)
}
