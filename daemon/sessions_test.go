//go:build unix

package daemon_test

import (
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// A reload leaves the sessions of datagrams to the old processes: what the
// target still sends reaches the client. What the client sends next begins a
// session in the new ones.
func TestDatagramSessionsOverReload(t *testing.T) {
	target, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	target.SetDeadline(time.Now().Add(2 * time.Minute))
	file := filepath.Join(openDir(t), "server.toml")
	conf := "port = '127.0.0.1:0/udp'\nproxy_to = '" + target.LocalAddr().String() + "'\nproxy_answer_timeout = 60\n"
	writeFile(t, file, conf)
	r := start(t, "--conf_file", file)
	r.serving()
	c, err := net.Dial("udp", r.addr(0))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	b := make([]byte, 100)
	up := func(text string) net.Addr {
		t.Helper()
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		n, from, err := target.ReadFrom(b)
		if err != nil || string(b[:n]) != text {
			t.Fatalf("the target got %q, %v; want %q", b[:n], err, text)
		}
		return from
	}
	down := func(to net.Addr, text string) {
		t.Helper()
		if _, err := target.WriteTo([]byte(text), to); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(b); err != nil || string(b[:n]) != text {
			t.Fatalf("the client got %q, %v; want %q", b[:n], err, text)
		}
	}
	old := up("before")
	down(old, "answer")
	if up("again").String() != old.String() {
		t.Error("the second datagram has another session")
	}
	writeFile(t, file, conf+"proxy_session_timeout = 20\n")
	r.signal(syscall.SIGHUP)
	next := old
	netservertest.Eventually(t, "new processes take what comes", func() bool {
		down(old, "late answer")
		next = up("more")
		return next.String() != old.String()
	})
	down(next, "answer")
	down(old, "very late answer")
	if strings.Contains(r.text(), "ERROR") {
		t.Error("the log has an error")
	}
}
