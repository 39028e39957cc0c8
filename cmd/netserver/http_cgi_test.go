//go:build unix

package main_test

import (
	"io"
	"net"
	"os"
	"os/exec"
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
	if err := netservertest.WriteProgram(file, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
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
	s := start(t, "HTTP", "--port", "127.0.0.1:0", "--exec_timeout", "4", "--app", "/="+script)
	begun := make(chan string)
	go func() { begun <- ask(t, s.addr(0), "GET /begun HTTP/1.0\r\n\r\n", patience) }()
	if got := askHTTP(t, s.addr(0), "GET / HTTP/1.0\r\n\r\n"); statusOf(got) != "500" || !strings.Contains(got, "Server Timeout on process") {
		t.Error(got)
	}
	if got := <-begun; statusOf(got) != "200" || !strings.HasSuffix(got, "\r\npart") {
		t.Error(got)
	}
	s.awaitLog("the program ran too long: more than 4s")
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
		got := ask(t, addr, c.request, patience)
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
	ask(t, addr, "GET /simple HTTP/1.1\r\nHost: x\r\n\r\nBAD\r\n\r\n", patience)
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
		s := start(t, "HTTP", "--port", "127.0.0.1:0", "--grace", "120", "--app", "/="+script)
		c, err := net.Dial("tcp", s.addr(0))
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
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

// HTTP works on every type of server that takes many clients.
func TestHTTPOnServerTypes(t *testing.T) {
	script := cgiScript(t, plain+`echo $NET_SERVER_TYPE`)
	for _, typ := range []string{"Single", "Fork", "PreFork", "PreForkSimple", "Multiplex"} {
		args := []string{"HTTP", "--server_type", typ, "--port", "127.0.0.1:0", "--app", "/=" + script}
		if typ == "PreForkSimple" { // it starts all that it may have
			args = append(args, "--max_servers", "4")
		}
		s := start(t, args...)
		for range 3 {
			if got := bodyOf(askHTTP(t, s.addr(0), "GET / HTTP/1.0\r\n\r\n")); got != "Net::Server::"+typ+"\n" {
				t.Errorf("%s: %q", typ, got)
			}
		}
		s.stop()
	}
}

// CGI.pm understands what programs are given: fields of forms in the query and
// in the body, cookies, and the address that the client asked for.
func TestCGIPerl(t *testing.T) {
	if err := exec.Command("perl", "-MCGI", "-e", "1").Run(); err != nil {
		skipWithoutPerl(t, err) // of Debian: libcgi-pm-perl
	}
	dir := filepath.Dir(cgiScript(t, ""))
	file := filepath.Join(dir, "form.pl")
	text := "#!/usr/bin/perl\nuse CGI; my $q = CGI->new; print $q->header(-type => 'text/plain', -cookie => $q->cookie(-name => 'n', -value => 'v'));\n" +
		`print join('|', $q->request_method, map({ "$_=" . $q->param($_) } sort $q->param), $q->cookie('foo'), $q->path_info, $q->url(-path_info => 1)), "\n";` + "\n"
	if err := netservertest.WriteProgram(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	s := start(t, "HTTP", "--port", "127.0.0.1:0", "--app", "/form="+file)
	for request, want := range map[string]string{
		"GET /form/x?a=1&b=%20y HTTP/1.0\r\nHost: h:8\r\nCookie: foo=bar\r\n\r\n":                                                                       "GET|a=1|b= y|bar|/x|http://h:8/form/x\n",
		"POST /form HTTP/1.0\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\nCookie: foo=b; x=y\r\n\r\nc=d&e=%41": "POST|c=d|e=A|b||http://h/form\n",
	} {
		got := askHTTP(t, s.addr(0), request)
		if bodyOf(got) != want || !strings.Contains(got, "Set-Cookie: n=v; path=/\r\n") {
			t.Errorf("%q: %s\nwant %q", request, got, want)
		}
	}
	s.stop()
}

// Type INET answers the requests of the one client that it was started for.
func TestHTTPForInetd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	answered := make(chan string)
	go func() { answered <- ask(t, l.Addr().String(), "GET /simple HTTP/1.0\r\n\r\n", patience) }()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	cmd := exec.Command(binary, "HTTP", "--server_type", "INET")
	cmd.Env, cmd.Stdin, cmd.Stdout = serverEnvironment(), f, f
	err = cmd.Run()
	f.Close()
	if got := <-answered; err != nil || !strings.HasSuffix(got, "\r\n\r\nSimple") {
		t.Errorf("%v, %q", err, got)
	}
}

// A program that writes for ever ends with its client, and 200 MiB pass both
// ways.
func TestCGIWithoutEnd(t *testing.T) {
	pid := filepath.Join(filepath.Dir(cgiScript(t, "")), "pid")
	if err := os.WriteFile(pid, nil, 0o666); err != nil || os.Chmod(pid, 0o666) != nil {
		t.Fatal(err)
	}
	s := start(t, "HTTP", "--port", "127.0.0.1:0", "--app", "/yes="+cgiScript(t, plain+"echo $$ >"+pid+"; exec yes"), "--app", "/="+cgiScript(t, plain+"exec cat"))
	c, err := net.Dial("tcp", s.addr(0))
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET /yes HTTP/1.0\r\n\r\n")
	if n, err := io.CopyN(io.Discard, c, 10<<20); err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	c.Close()
	netservertest.Eventually(t, "the end of the program", func() bool {
		b, _ := os.ReadFile(pid)
		n, err := strconv.Atoi(strings.TrimSpace(string(b)))
		return err == nil && syscall.Kill(n, 0) == syscall.ESRCH
	})
	const size = 200 << 20
	if c, err = net.Dial("tcp", s.addr(0)); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	go func() {
		io.WriteString(c, "POST / HTTP/1.0\r\nContent-Length: "+strconv.Itoa(size)+"\r\n\r\n")
		io.CopyN(c, zeros{}, size)
	}()
	if n, err := io.Copy(io.Discard, c); err != nil || n < size {
		t.Errorf("%d bytes, %v", n, err)
	}
	s.stop()
}

// zeros are bytes without end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }
