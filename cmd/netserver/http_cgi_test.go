//go:build unix

package main_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// cgiScript writes a program that anybody may run.
func cgiScript(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && len(d) > 1; d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	file := filepath.Join(dir, "script.cgi")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

const plain = `printf 'Content-Type: text/plain\n\n'; `

// What bounds programs bounds those of HTTP as well, in workers that may do
// nothing.
func TestCGILimits(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("limits need Linux")
	}
	script := cgiScript(t, plain+"pwd; umask; ulimit -n; ulimit -v; ulimit -c; ulimit -t; ulimit -f")
	dir := filepath.Dir(script)
	s := start(t, "HTTP", "--port", "127.0.0.1:0", "--exec_dir", dir, "--exec_umask", "027", "--exec_nice", "3", "--exec_max_files", "21",
		"--exec_max_memory", "64M", "--exec_max_core", "none", "--exec_max_cpu", "5", "--exec_max_file_size", "1M", "--app", "/="+script)
	if got, want := bodyOf(askHTTP(t, s.addr(0), "GET / HTTP/1.0\r\n\r\n")), dir+"\n0027\n21\n65536\n0\n5\n2048\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	s.stop()
}

// A program that runs too long is ended: with status 500, or in the middle of its
// answer.
func TestCGITimeout(t *testing.T) {
	script := cgiScript(t, `test "$PATH_INFO" = /begun && printf 'Content-Type: text/plain\nContent-Length: 9\n\npart'; sleep 1000`)
	s := start(t, "HTTP", "--port", "127.0.0.1:0", "--exec_timeout", "0.3", "--app", "/="+script)
	if got := askHTTP(t, s.addr(0), "GET / HTTP/1.0\r\n\r\n"); statusOf(got) != "500" || !strings.Contains(got, "Server Timeout on process") {
		t.Error(got)
	}
	if got := askHTTP(t, s.addr(0), "GET /begun HTTP/1.0\r\n\r\n"); statusOf(got) != "200" || !strings.HasSuffix(got, "\r\npart") {
		t.Error(got)
	}
	s.awaitLog("the program ran too long: more than 300ms")
	s.stop()
}

// Programs of HTTP can have a user of their own, where the processes that serve
// are root; elsewhere that is refused.
func TestCGIUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may start programs as others")
	}
	script := cgiScript(t, plain+"id -un")
	s := start(t, "HTTP", "--port", "127.0.0.1:0", "--user", "root", "--exec_user", "daemon", "--", script)
	if got := bodyOf(askHTTP(t, s.addr(0), "GET / HTTP/1.0\r\n\r\n")); got != "daemon\n" {
		t.Error(got)
	}
	s.stop()
}

// A request that net/http refuses has a line in the access log.
func TestAccessLogOfRefusedRequests(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.log")
	s := start(t, "HTTP", "--port", "127.0.0.1:0", "--access_log_file", file, "--access_log_format", `%h %a %A %H %s %b %O "%r" %U %m %{X}i %v %I`)
	addr := s.addr(0)
	var want []string
	for _, c := range []struct{ status, request string }{
		{"400", "GET / HTTP/1.1\r\n\r\n"}, {"400", "\x16\x03\x01 what\r\n\r\n"}, {"431", "GET / HTTP/1.0\r\nX: " + strings.Repeat("x", 120000)},
		{"501", "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: y\r\n\r\n"}, {"505", "GET / HTTP/3.0\r\n\r\n"}, {"417", "GET / HTTP/1.0\r\nExpect: x\r\n\r\n"}, {"200", "OPTIONS * HTTP/1.0\r\n\r\n"},
	} {
		got := ask(t, addr, c.request, 20*time.Second)
		if statusOf(got) != c.status {
			t.Errorf("%.100q: %s", c.request, got)
		}
		_, body, _ := strings.Cut(got, "\r\n\r\n")
		size := "-"
		if len(body) > 0 {
			size = strconv.Itoa(len(body))
		}
		want = append(want, "127.0.0.1 127.0.0.1 127.0.0.1 http "+c.status+" "+size+" "+strconv.Itoa(len(got))+` "-" - - - 127.0.0.1 0`)
	}
	// A whole request, and then a bad one: a line each.
	ask(t, addr, "GET /simple HTTP/1.1\r\nHost: x\r\n\r\nBAD\r\n\r\n", 20*time.Second)
	defer func() {
		if t.Failed() {
			b, _ := os.ReadFile(file)
			t.Logf("%s\nwant %s", b, strings.Join(want, "\n"))
		}
	}()
	netservertest.Eventually(t, "the lines", func() bool {
		b, _ := os.ReadFile(file)
		for _, line := range want {
			if !strings.Contains("\n"+string(b), "\n"+line+"\n") {
				return false
			}
		}
		return strings.Count(string(b), "\n") == len(want)+2 && strings.Contains(string(b), `"GET /simple HTTP/1.1" /simple GET`)
	})
	s.stop()
}

// A program that is at work when the configuration is read again, or the server
// ends, answers whole.
func TestCGIInFlight(t *testing.T) {
	gate := filepath.Join(t.TempDir(), "gate")
	os.Chmod(filepath.Dir(gate), 0o755)
	os.Chmod(filepath.Dir(filepath.Dir(gate)), 0o755)
	script := cgiScript(t, plain+"echo begun; while ! test -e "+gate+"; do sleep 0.02; done; head -c 100000 /dev/zero | tr '\\0' x; echo; echo end")
	for _, how := range []syscall.Signal{syscall.SIGHUP, syscall.SIGQUIT} {
		os.Remove(gate)
		s := start(t, "HTTP", "--port", "127.0.0.1:0", "--app", "/="+script)
		c, err := net.Dial("tcp", s.addr(0))
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(30 * time.Second))
		io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
		var all []byte
		b := make([]byte, 4096)
		for !strings.Contains(string(all), "begun") {
			n, err := c.Read(b)
			if err != nil {
				t.Fatal(err, string(all))
			}
			all = append(all, b[:n]...)
		}
		s.signal(how)
		if how == syscall.SIGHUP {
			s.awaitLog("ports kept")
		} else {
			s.awaitLog("SIG QUIT")
		}
		os.WriteFile(gate, nil, 0o644)
		rest, err := io.ReadAll(c)
		all = append(all, rest...)
		c.Close()
		if got := string(all); err != nil || !strings.HasSuffix(got, "x\nend\n") || len(bodyOf(got)) != len("begun\n")+100000+len("\nend\n") {
			t.Errorf("%v: %d bytes, %v", how, len(got), err)
		}
		if how == syscall.SIGHUP {
			s.stop()
		}
	}
}
