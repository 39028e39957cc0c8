//go:build unix

package daemon_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// Every line of a busy life is one JSON object in which no key stands twice.
func TestJSONLogIsStrict(t *testing.T) {
	conf := writeFile(t, filepath.Join(openDir(t), "conf"), "grace 0.2\ntimeout_life 60\n")
	r := start(t, "--conf_file", conf, "--log_format", "json", "--log_level", "4", "--port", "127.0.0.1:0", "--port", "127.0.0.1:0/ssl", "--port", "127.0.0.1:0/udp",
		"--cidr_allow", "127.0.0.1/32", "--", "sh", "-c", `read x; echo "got $x"; echo "bad \"$x\"" >&2; test "$x" != wait || sleep 100; exit 3`)
	plain, ssl, udp := r.addr(0), r.addr(1), r.addr(2)
	r.serving()
	// Clients of all kinds of ends.
	send := func(network, addr, text string, from string) {
		t.Helper()
		d := net.Dialer{}
		if from != "" {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
		}
		c, err := d.Dial(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(30 * time.Second))
		io.WriteString(c, text)
		io.ReadFull(c, make([]byte, 1))
	}
	send("tcp", plain, "hello\n", "")
	send("udp", udp, "hello\n", "")
	send("tcp", ssl, "GET / HTTP/1.1\r\n\r\n", "")
	send("tcp", plain, "x\n", "127.0.0.9")
	for _, config := range []*tls.Config{{InsecureSkipVerify: true}, {ServerName: "no\"such\x7fname"}, {InsecureSkipVerify: true, NextProtos: []string{"x"}}} {
		if c, err := tls.Dial("tcp", ssl, config); err == nil {
			fmt.Fprint(c, "hello\n")
			io.ReadAll(c)
			c.Close()
		}
	}
	c := mustDial(t, plain)
	c.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprint(c, "wait\n")
	c.Close()
	r.wait(`"outcome":"denied"`, 1)
	r.wait(`"outcome":"not tls"`, 1)
	r.wait(`"exit":3`, 3)
	// What happens to the server.
	for sig, done := range map[syscall.Signal]string{syscall.SIGUSR2: "state: worker", syscall.SIGHUP: "restart: "} {
		r.signal(sig)
		r.wait(done, 1)
	}
	writeFile(t, conf, "grace nonsense\n")
	r.signal(syscall.SIGHUP)
	r.wait("nonsense", 1)
	pid := r.only()
	syscall.Kill(pid, syscall.SIGKILL)
	r.only(pid)
	d := mustDial(t, plain)
	fmt.Fprint(d, "wait\n")
	if _, err := d.r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if code := r.end(syscall.SIGQUIT); code != 0 {
		t.Errorf("exit status %d", code)
	}
	n := 0
	for line := range strings.Lines(r.text()) {
		n++
		if err := netservertest.StrictJSON([]byte(line)); err != nil {
			t.Errorf("%v: %s", err, line)
		}
	}
	if n < 30 || !strings.Contains(r.text(), `"outcome":"cut"`) || !strings.Contains(r.text(), `"duration_ms":`) {
		t.Errorf("only %d lines", n)
	}
}
