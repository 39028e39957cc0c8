//go:build unix

package main_test

import (
	"fmt"
	"io"
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

// askHTTP sends a request and returns the answer, without what differs each
// time.
func askHTTP(t *testing.T, addr, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, request)
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// statusOf is the status of an answer.
func statusOf(answer string) string {
	fields := strings.Fields(answer)
	if len(fields) < 2 {
		return ""
	}
	return fields[1]
}

// bodyOf is the body of an answer, without the server's port and the client's.
func bodyOf(answer string) string {
	_, body, _ := strings.Cut(answer, "\r\n\r\n")
	return regexp.MustCompile(`((REMOTE|SERVER)_PORT\W+)\d+`).ReplaceAllString(body, "$1")
}

// httpPaths are requests for the table of httpApps.
var httpPaths = []string{"/env", "/env/", "/env/x%20y?a=b&c", "/envx", "/", "/zzz?", "/status", "/loc", "/nost", "/a/b/c", "/a/b", "/x/z/q", "/up/x?", "/env%2f", "/env;x", "/env//a/../b", "/exit5", "/bad"}

// httpApps makes programs, and returns the values of app.
func httpApps(t *testing.T, dir string) (list []string) {
	script := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := netservertest.WriteProgram(file, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return file
	}
	env := script("env.cgi", "printf 'Content-type: text/plain\\n\\n'; env | sort")
	for _, path := range []string{"/env ", "/a/b/ ", "//x/./y/../z=", "../../up "} {
		list = append(list, path+env)
	}
	return append(list, "/status="+script("status.cgi", `printf 'Status: 404 X\nX-Foo: bar\n\nbody'`),
		"/loc="+script("loc.cgi", `printf 'Location: /x\n\nbody'`), "/nost="+script("nost.cgi", `printf 'X-Foo: 1\n\nbody'`),
		"/exit5="+script("exit5.cgi", `printf 'Content-type: text/plain\n\npart'; exit 5`),
		"/bad="+script("bad.cgi", `printf 'Status: abc\nContent-type: text/plain\n\nbody'`))
}

const httpFormat = `%h %l %u "%r" %s %>s %b %B "%{Referer}i" "%{User-Agent}i" %a %A %{foo}C %{HTTP_COOKIE}e %{SCRIPT_NAME}e %{PATH_INFO}e %f %H %{hOsT}i %{x}n %{X-foo}o %I %q %U %T %v %V %X %m %200s %!200s %404,200{Host}i %y %% %200,404U %{%Y}t`

// TestHTTPBesideTheOriginal runs a Net::Server::HTTP program and this one with
// the same table of programs: environments, answers and lines of the access log
// are the same, byte by byte.
func TestHTTPBesideTheOriginal(t *testing.T) {
	perl, err := exec.LookPath("perl")
	if err == nil {
		err = exec.Command(perl, "-MNet::Server::HTTP", "-e", "1").Run()
	}
	if err != nil {
		skipWithoutPerl(t, err)
	}
	dir := t.TempDir()
	apps := httpApps(t, dir)
	ours, theirs := filepath.Join(dir, "ours.log"), filepath.Join(dir, "theirs.log")
	original := "127.0.0.1:" + netservertest.FreePort(t)
	quoted := make([]string, len(apps))
	for i, a := range apps {
		quoted[i] = "'" + a + "'"
	}
	program := fmt.Sprintf(`package P; use base 'Net::Server::HTTP';
		sub initialize_logging { my $s = shift; $s->{server}{access_log_format} = '%s'; $s->SUPER::initialize_logging(@_) }
		P->run(port => '%s', server_type => 'Fork', log_level => 0, server_revision => 'rev', access_log_file => '%s', app => [%s])`,
		httpFormat, original, theirs, strings.Join(quoted, ", "))
	cmd := exec.Command(perl, "-e", program)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() }()
	netservertest.Eventually(t, "the original serves", func() bool {
		c, err := net.Dial("tcp", original)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	args := []string{"HTTP", "--server_type", "Fork", "--port", "127.0.0.1:0", "--user", "root", "--server_revision", "rev", "--access_log_file", ours, "--access_log_format", httpFormat}
	if os.Geteuid() != 0 {
		args = append(args[:5], args[7:]...)
	}
	for _, a := range apps {
		args = append(args, "--app", a)
	}
	cmd2 := exec.Command(binary, args...)
	cmd2.Env, cmd2.Dir = serverEnvironment(), dir
	s := startCmd(t, cmd2)
	addr := s.addr(0)
	const head = " HTTP/1.0\r\nHost: h:1\r\nCookie: foo=1; bar=2\r\ncookies: bar=9\r\nX-A: 1\r\nX-a: 2\r\nReferer: a\"b\\\\c\tq\r\nUser-Agent: caf\xe9\r\nConnection: close\r\n\r\n"
	for _, path := range httpPaths {
		got, want := askHTTP(t, addr, "GET "+path+head), ""
		for range 20 { // the original loses what a program writes that ends at once
			if want = askHTTP(t, original, "GET "+path+head); bodyOf(got) == bodyOf(want) {
				break
			}
		}
		if bodyOf(got) != bodyOf(want) || statusOf(got) != statusOf(want) {
			t.Errorf("%s: %s\nwant %s", path, got, want)
		}
	}
	var missing string
	defer func() {
		if missing != "" {
			b, _ := os.ReadFile(theirs)
			t.Logf("not logged by the original: %sbut %s", missing, b)
		}
	}()
	seconds := regexp.MustCompile(` \d+ h:1 h:1 `) // %T %v %V: on a very busy machine one may take a second
	read := func(name string) []byte {
		b, _ := os.ReadFile(name)
		return seconds.ReplaceAll(b, []byte(" 0 h:1 h:1 "))
	}
	netservertest.Eventually(t, "the lines, the same in both", func() bool {
		mine, other := read(ours), read(theirs)
		missing = ""
		for line := range strings.Lines(string(mine)) {
			if !strings.Contains("\n"+string(other), "\n"+line) {
				missing = line
			}
		}
		return missing == "" && strings.Count(string(mine), "\n") == len(httpPaths)
	})
	s.stop()
}

func skipWithoutPerl(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// The access log is opened again when it was moved.
func TestAccessLogIsRotated(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "access.log")
	s := start(t, "HTTP", "--port", "127.0.0.1:0", "--access_log_file", file)
	addr := s.addr(0)
	has := func(name, text string) func() bool {
		return func() bool { b, _ := os.ReadFile(name); return strings.Contains(string(b), text) }
	}
	askHTTP(t, addr, "GET /one HTTP/1.0\r\n\r\n")
	netservertest.Eventually(t, "the first line", has(file, `"GET /one HTTP/1.0" 200 `))
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	s.awaitLog(`access log file reopened`)
	askHTTP(t, addr, "GET /two HTTP/1.0\r\n\r\n")
	netservertest.Eventually(t, "the second line", has(file, `"GET /two HTTP/1.0" 200 `))
	if has(file+".1", "/two")() || has(file, "/one")() {
		t.Error("lines are in the wrong file")
	}
	s.stop()
}

// A disk that is full under the access log costs lines, which are counted, and
// no client.
func TestAccessLogOnAFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	s := start(t, "HTTP", "--port", "127.0.0.1:0", "--access_log_file", "/dev/full")
	addr := s.addr(0)
	if got := askHTTP(t, addr, "GET /simple HTTP/1.0\r\n\r\n"); !strings.HasSuffix(got, "Simple") {
		t.Error(got)
	}
	s.awaitLog(`lines of the access log were lost lost=1 err="?.*no space left`)
	s.stop()
}
