package main_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"netserver/netservertest"
)

// Health checks from quiet_from have no line in the log and the access log,
// whatever access_log_limit asks for, and are counted; others' have, and so has
// all else that comes from there. A port's own networks go before the server's.
func TestQuietFrom(t *testing.T) {
	dir := openDir(t)
	access, socket := filepath.Join(dir, "access"), filepath.Join(t.TempDir(), "ctl")
	text := fmt.Sprintf(`echo = "raw"
log_level = 3
access_log_file = %q
access_log_limit = "probe=all"
control_socket = %q
quiet_from = "127.0.0.1"
[[listen]]
port = "127.0.0.1:0"
[[listen]]
port = "127.0.0.2:0"
quiet_from = ["192.0.2.0/24", "2001:db8::/32"]
[[listen]]
port = "127.0.0.3:0/ssl"
SSL_cert_file = "self-signed"
defer_accept = 0
`, access, socket)
	file := filepath.Join(dir, "quiet.toml")
	write(t, file, text)
	s := start(t, "--conf_file", file)
	dial := func(i int, reset bool) {
		port, err := strconv.Atoi(s.port(i))
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.DialTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(i+1)), Port: port})
		if err != nil {
			t.Fatal(err)
		}
		if reset {
			c.SetLinger(0)
		}
		c.Close()
	}
	for _, reset := range []bool{false, true} {
		dial(0, reset)
		dial(2, reset)
	}
	counted := func() bool {
		out, err := exec.Command(binary, "ctl", "--socket", socket, "status").CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return strings.Count(string(out), "probe=2") == 2
	}
	netservertest.Eventually(t, "two probes of each port", counted)
	dial(1, false)
	awaitFile(t, access, `port=127\.0\.0\.2:\d+/tcp .*outcome=probe`)
	dialEcho(t, "127.0.0.1:"+s.port(0))
	awaitFile(t, access, `port=127\.0\.0\.1:\d+/tcp .*outcome=served .*in=1`)
	s.stop()
	b, err := os.ReadFile(access)
	if n := strings.Count(string(b), "\n"); n != 2 || err != nil {
		t.Errorf("%d lines, want those of the other's probe and of the client (%v):\n%s", n, err, b)
	}
	if log := s.log.String(); strings.Contains(log, "outcome=") {
		t.Errorf("the log:\n%s", log)
	}
}
