//go:build unix

package main_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"netserver/netservertest"
)

// talk sends x to an echo and reads it back.
func talk(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := fmt.Fprint(c, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func dialEcho(t *testing.T, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	talk(t, c)
}

// has returns what waits for a file to match a pattern.
func awaitFile(t *testing.T, file, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(`(?m)` + pattern)
	var found []string
	netservertest.Eventually(t, pattern, func() bool {
		b, _ := os.ReadFile(file)
		found = re.FindStringSubmatch(string(b))
		return found != nil
	})
	return found
}

// The access log has a line for each connection at its end, in each form.
func TestConnectionLog(t *testing.T) {
	for _, c := range []struct{ format, want string }{
		{"", `^\d{4}/\S+ id=\d+ port=\S+/ssl peer=127\.0\.0\.1:\d+ tls="TLS 1\.3" cipher=TLS_\S+ group=X25519\S* sni="?a%E2%80%AE\.example"? outcome=served stage=handler in=1 out=1 duration_ms=[\d.]+$`},
		{`%{ja4} "%{sni}" %{handshake_ms} %{outcome} %{exit}`, `^t13d\w{6}_\w{12}_\w{12} "a\\xE2\\x80\\xAE\.example" [\d.]+ served -$`},
		{"json", `^(\{"event":"connection".*"sni":"a\\u202E.example".*"in":1,"out":1.*\})$`},
	} {
		t.Run(c.format, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "access.log")
			args := []string{"--port", "127.0.0.1:0/ssl", "--SSL_cert_file", "self-signed", "--echo", "raw", "--access_log_file", file}
			if c.format != "" {
				args = append(args, "--access_log_format", c.format)
			}
			s := start(t, args...)
			probe, err := net.Dial("tcp", s.addr(0))
			if err != nil {
				t.Fatal(err)
			}
			probe.Close()
			nc, err := tls.Dial("tcp", s.addr(0), &tls.Config{InsecureSkipVerify: true, ServerName: "a\u202e.example"})
			if err != nil {
				t.Fatal(err)
			}
			talk(t, nc)
			found := awaitFile(t, file, c.want)
			if c.format == "json" {
				var v map[string]any
				if err := json.Unmarshal([]byte(found[1]), &v); err != nil || v["event"] != "connection" || v["tls"] != "TLS 1.3" {
					t.Errorf("%v: %s", err, found[1])
				}
			}
			b, _ := os.ReadFile(file)
			if n := strings.Count(string(b), "\n"); n != 1 {
				t.Errorf("%d lines: a probe has none:\n%s", n, b)
			}
			s.stop()
		})
	}
}

// One access log has requests of the ports of HTTP and connections of the others,
// each in the form that is for it.
func TestAccessLogOfBoth(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ name, top, own, request, connection string }{
		{"defaults", "", "", `"GET /simple HTTP/1\.0" 200`, ` outcome=served stage=handler `},
		{"json", "json", "", `^\{"event":"request",.*"method":"GET",.*"uri":"/simple",.*"status":200,.*\}$`, `^\{"event":"connection",`},
		{"of requests", `%m of requests`, "", `^GET of requests$`, ` outcome=served stage=handler `},
		{"of connections", `%{outcome}!`, "", `"GET /simple HTTP/1\.0" 200`, `^served!$`},
		{"both", `%m of requests`, `%{outcome}!`, `^GET of requests$`, `^served!$`},
	} {
		t.Run(c.name, func(t *testing.T) {
			log, file := filepath.Join(dir, c.name+".log"), filepath.Join(dir, c.name+".toml")
			text := fmt.Sprintf("access_log_file = %q\n", log)
			if c.top != "" {
				text += fmt.Sprintf("access_log_format = %q\n", c.top)
			}
			text += "[[listen]]\nport = \"127.0.0.1:0\"\nhttp = true\n[[listen]]\nport = \"127.0.0.1:0/tcp\"\nipv = \"4\"\nhost = \"127.0.0.2\"\necho = \"raw\"\n"
			text = strings.Replace(text, "127.0.0.1:0/tcp", "0", 1)
			if c.own != "" {
				text += fmt.Sprintf("access_log_format = %q\n", c.own)
			}
			write(t, file, text)
			s := start(t, "--conf_file", file)
			askHTTP(t, s.addr(0), "GET /simple HTTP/1.0\r\n\r\n")
			awaitFile(t, log, c.request)
			dialEcho(t, net.JoinHostPort("127.0.0.2", s.port(1)))
			awaitFile(t, log, c.connection)
			if b, _ := os.ReadFile(log); strings.Count(string(b), "\n") != 2 {
				t.Errorf("%s", b)
			}
			s.stop()
		})
	}
}

// A format that fits none of the ports is refused.
func TestAccessLogFormatsThatDoNotFit(t *testing.T) {
	log := filepath.Join(t.TempDir(), "access.log")
	refuses(t, 2, `access_log_format: "%h x" is none of a connection; %\{NAME\} is, with one of: id time .* \(argument \d\)`, "--port", "127.0.0.1:0", "--access_log_file", log, "--access_log_format", "%h x")
	refuses(t, 2, `access_log_format: .*is for connections, and every port logs requests \(argument \d\)`, "HTTP", "--port", "127.0.0.1:0", "--access_log_file", log, "--access_log_format", "%{peer} x")
	refuses(t, 2, `access_log_limit: "x=1".*no outcome|access_log_limit: "x" is no outcome`, "--port", "127.0.0.1:0", "--access_log_file", log, "--access_log_limit", "x=1")
}

// Lines that a limit leaves out are counted in the log; a full disk costs lines,
// which are counted, and no client.
func TestConnectionLogLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.log")
	s := start(t, "--port", "127.0.0.1:0", "--echo", "raw", "--access_log_file", file, "--access_log_limit", "served=2")
	for range 5 {
		dialEcho(t, s.addr(0))
	}
	netservertest.Eventually(t, "two lines", func() bool { b, _ := os.ReadFile(file); return strings.Count(string(b), "outcome=served") == 2 })
	s.stop()
	s.awaitLog(`lines left out of the access log, by outcome served=3`)

	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	s = start(t, "--port", "127.0.0.1:0", "--echo", "raw", "--access_log_file", "/dev/full")
	dialEcho(t, s.addr(0))
	s.awaitLog(`lines of the access log were lost lost=1 err="?.*no space left`)
	s.stop()
}
