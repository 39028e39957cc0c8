package main_test

import (
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"netserver/netservertest"
)

// takeDatagram returns the next datagram that matches.
func takeDatagram(t *testing.T, c net.PacketConn, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	b := make([]byte, 64<<10)
	c.SetReadDeadline(time.Now().Add(time.Minute))
	for {
		n, _, err := c.ReadFrom(b)
		if err != nil {
			t.Fatalf("nothing like %s: %v", pattern, err)
		}
		if re.Match(b[:n]) {
			return string(b[:n])
		}
	}
}

func listenDatagrams(t *testing.T, socket string) net.PacketConn {
	t.Helper()
	c, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Lines of the access log go to syslog and to the journal, there with a field for
// each of theirs, from the processes of a supervisor and without one.
func TestAccessLogToSyslogAndJournal(t *testing.T) {
	for _, c := range []struct{ name, to, want string }{
		{"syslog", "Sys::Syslog", `^<134>\w{3} [ \d]\d \S+ test\[\d+\]: id=\d+ port=\S+/ssl peer=127\.0\.0\.1:\d+ tls="TLS 1\.3" .* outcome=served `},
		{"journal", "journal:", `(?s)^PRIORITY=6\nSYSLOG_FACILITY=16\nSYSLOG_IDENTIFIER=test\nMESSAGE=id=\d+ port=.*\nNETSERVER_EVENT=connection\n.*\nNETSERVER_PEER=127\.0\.0\.1:\d+\n.*\nNETSERVER_SNI=a%0AMESSAGE=%E2%80%AE\.example\n.*NETSERVER_JA4=t13\w+\n.*NETSERVER_OUTCOME=served\n.*\nNETSERVER_HANDLER_MS=[\d.]+\n$`},
	} {
		for _, supervisor := range []string{"0", "1"} {
			t.Run(c.name+supervisor, func(t *testing.T) {
				socket := filepath.Join(t.TempDir(), "s")
				d := listenDatagrams(t, socket)
				args := []string{"--port", "127.0.0.1:0/ssl", "--SSL_cert_file", "self-signed", "--echo", "raw", "--user", "root", "--supervisor", supervisor, "--syslog_ident", "test", "--syslog_facility", "local0"}
				if c.name == "syslog" {
					args = append(args, "--access_log_file", c.to, "--syslog_logsock", socket)
				} else {
					args = append(args, "--access_log_file", c.to+socket)
				}
				if os.Getuid() != 0 {
					args = append(args, "--user", "")
				}
				s := start(t, args...)
				nc, err := tls.Dial("tcp", s.addr(0), &tls.Config{InsecureSkipVerify: true, ServerName: "a\nMESSAGE=\u202e.example"})
				if err != nil {
					t.Fatal(err)
				}
				talk(t, nc)
				takeDatagram(t, d, c.want)
				s.stop()
			})
		}
	}
}

// Requests go there too: an object's members are fields.
func TestRequestsToJournal(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	d := listenDatagrams(t, socket)
	s := start(t, "HTTP", "--port", "127.0.0.1:0", "--access_log_file", "journal:"+socket, "--access_log_format", "json")
	askHTTP(t, s.addr(0), "GET /simple HTTP/1.0\r\n\r\n")
	takeDatagram(t, d, `(?s)\nMESSAGE=\{"event":"request",.*\}\nNETSERVER_EVENT=request\n.*NETSERVER_STATUS=200\n`)
	s.stop()
}

// What takes no lines is refused at the start.
func TestAccessLogToNobody(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	refuses(t, 2, `access_log_file journal:`+none+`: .*no such file`, "--port", "127.0.0.1:0", "--access_log_file", "journal:"+none)
	refuses(t, 2, `access_log_file: journal:x: .*path of a socket`, "--port", "127.0.0.1:0", "--access_log_file", "journal:x")
	refuses(t, 2, `access_log_file Sys::Syslog: the syslog daemon at .*no such file`, "--port", "127.0.0.1:0", "--access_log_file", "Sys::Syslog", "--syslog_logopt", "pid", "--syslog_logsock", none)
	refuses(t, 2, `syslog_logsock: console`, "--port", "127.0.0.1:0", "--access_log_file", "Sys::Syslog", "--syslog_logsock", "console")
}

// journalScript runs systemd's own journal, alone in a mount namespace, and asks
// it for the connections that were denied.
const journalScript = `
set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
mkdir -p /run/systemd/journal /var/log/journal
"$1" >/run/out 2>&1 &
J=$!
N=
trap 'kill $J $N; wait' EXIT
i=0
while [ ! -S /run/systemd/journal/socket ]; do i=$((i+1)); [ $i -lt 300 ] || { cat /run/out; echo NOJOURNAL; exit 0; }; sleep 0.1; done
"$2" --port 127.0.0.1:0 --user nobody --echo raw --deny 127.0.0.1 --access_log_file journal --log_file /run/netserver.out &
N=$!
i=0
while ! grep -q 'auto-assigned port' /run/netserver.out 2>/dev/null; do i=$((i+1)); [ $i -lt 300 ] || { cat /run/netserver.out; exit 1; }; sleep 0.1; done
PORT=$(sed -n 's/.*auto-assigned port //p' /run/netserver.out)
exec 3<>/dev/tcp/127.0.0.1/$PORT
cat <&3 || true
i=0
while ! journalctl -q --no-pager -o verbose NETSERVER_OUTCOME=denied | grep NETSERVER_PEER; do i=$((i+1)); [ $i -lt 300 ] || exit 1; sleep 0.1; done
journalctl -q --no-pager -o cat NETSERVER_OUTCOME=denied
journalctl -q --no-pager -o cat NETSERVER_OUTCOME=served
`

// systemd's journal finds connections by their fields.
func TestAccessLogInSystemdsJournal(t *testing.T) {
	const journald = "/lib/systemd/systemd-journald"
	netservertest.Peer(t, "journalctl")
	if _, err := os.Stat(journald); err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	} else if err != nil || os.Getuid() != 0 {
		t.Skip("needs root and systemd-journald: ", err)
	}
	if err := exec.Command("unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt").Run(); err != nil {
		t.Skip("no mount namespaces: ", err)
	}
	cmd := exec.Command("unshare", "-m", "bash", "-c", journalScript, "-", journald, binary)
	cmd.Env = serverEnvironment()
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "NOJOURNAL") {
		t.Skipf("systemd-journald does not run here: %s", out)
	}
	if err != nil || !regexp.MustCompile(`(?m)^ *NETSERVER_PEER=127\.0\.0\.1:\d+$[^§]*^id=\d+ port=127\.0\.0\.1:\d+/tcp peer=127\.0\.0\.1:\d+ outcome=denied `).Match(out) || strings.Contains(string(out), "outcome=served") {
		t.Errorf("%v:\n%s", err, out)
	}
}
