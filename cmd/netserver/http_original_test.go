//go:build unix

package main_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"netserver/netservertest"
)

// A pair is a Net::Server::HTTP program and this one with the same
// configuration.
type pair struct {
	original, addr string // where they listen
	theirs, ours   string // their access logs

	asked, refused int // requests
	lost           int // of them, to which the original has given no answer
}

// startPair starts both, with further keys and their values.
func startPair(t *testing.T, serverType, format string, apps []string, more ...string) *pair {
	t.Helper()
	perl, err := exec.LookPath("perl")
	if err == nil {
		err = exec.Command(perl, "-MNet::Server::HTTP", "-e", "1").Run()
	}
	if err != nil {
		skipWithoutPerl(t, err)
	}
	dir := t.TempDir()
	p := &pair{ours: filepath.Join(dir, "ours.log"), theirs: filepath.Join(dir, "theirs.log")}
	p.original = "127.0.0.1:" + netservertest.FreePort(t)
	quoted := make([]string, len(apps))
	for i, a := range apps {
		quoted[i] = "'" + a + "'"
	}
	var keys strings.Builder
	for i := 0; i < len(more); i += 2 {
		fmt.Fprintf(&keys, "%s => '%s', ", more[i], more[i+1])
	}
	program := fmt.Sprintf(`package P; use base 'Net::Server::HTTP';
		sub initialize_logging { my $s = shift; $s->{server}{access_log_format} = '%s'; $s->SUPER::initialize_logging(@_) }
		P->run(port => '%s', server_type => '%s', log_level => 0, min_servers => 1, min_spare_servers => 1, max_spare_servers => 2, max_servers => 3, server_revision => 'rev', access_log_file => '%s', %s app => [%s])`,
		strings.ReplaceAll(format, `\`, `\\`), p.original, serverType, p.theirs, keys.String(), strings.Join(quoted, ", "))
	cmd := exec.Command(perl, "-e", program)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() })
	netservertest.Eventually(t, "the original serves", func() bool {
		c, err := net.Dial("tcp", p.original)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	args := []string{"HTTP", "--server_type", serverType, "--port", "127.0.0.1:0", "--server_revision", "rev", "--access_log_file", p.ours, "--access_log_format", format}
	if os.Geteuid() == 0 {
		args = append(args, "--user", "root")
	}
	if serverType == "PreForkSimple" { // it starts all that it may have
		args = append(args, "--max_servers", "4")
	}
	for i := 0; i < len(more); i += 2 {
		args = append(args, "--"+more[i], more[i+1])
	}
	for _, a := range apps {
		args = append(args, "--app", a)
	}
	cmd2 := exec.Command(binary, args...)
	cmd2.Env, cmd2.Dir = serverEnvironment(), dir
	s := startCmd(t, cmd2)
	t.Cleanup(s.stop)
	p.addr = s.addr(0)
	return p
}

// lines are those of an access log, without what tells two servers apart.
func (p *pair) lines(file string) []string {
	b, _ := os.ReadFile(file)
	list := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	for i := range list {
		for _, addr := range []string{p.original, p.addr} {
			_, port, _ := net.SplitHostPort(addr)
			list[i] = strings.ReplaceAll(list[i], port, "PORT")
		}
	}
	return list
}

// fault is the start of the line of a request that is the client's fault.
var fault = regexp.MustCompile(`^(400|404|417|431|501|505) `)

// sameLines waits for a line for each request, which are the original's, except
// those of clients' faults. The lines begin with the status.
func (p *pair) sameLines(t *testing.T) {
	t.Helper()
	var mine, other, missing []string
	var faults int
	defer func() {
		if t.Failed() {
			t.Logf("%d lines of %d, and %d faults of %d; not among the original's:\n%s", len(mine), p.asked, faults, p.refused, strings.Join(missing, "\n"))
			for _, line := range missing { // its nearest
				for _, o := range other {
					if n := min(12, len(line)); strings.HasPrefix(o, line[:n]) {
						t.Log(o)
					}
				}
			}
		}
	}()
	netservertest.Eventually(t, "the lines, the same in both", func() bool {
		mine, other = p.lines(p.ours), p.lines(p.theirs)
		missing, faults = nil, 0
		for _, line := range mine {
			if slices.Contains(other, line) {
				continue
			}
			if fault.MatchString(line) {
				faults++
				continue
			}
			missing = append(missing, line)
		}
		return len(missing) <= p.lost && len(mine) == p.asked && faults == p.refused
	})
}

// fields are the headers of an answer that a program has set.
func fieldsOf(answer string) []string {
	head, _, _ := strings.Cut(answer, "\r\n\r\n")
	var list []string
	for _, line := range strings.Split(head, "\r\n")[1:] {
		name, value, _ := strings.Cut(line, ":")
		switch name = strings.ToLower(name); name {
		case "date", "connection", "content-length", "transfer-encoding":
		default:
			list = append(list, name+":"+strings.TrimSpace(value))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// plainBody is the body of an answer as a client has it, without ports. The
// original sends one to HEAD as well.
func plainBody(request, answer string) string {
	if len(request) > 4 && strings.EqualFold(request[:4], "HEAD") {
		return ""
	}
	if res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil); err == nil {
		if b, err := io.ReadAll(res.Body); err == nil {
			answer = "\r\n\r\n" + string(b)
		}
	}
	return bodyOf(answer)
}

// ask sends a request and returns what comes back within a time, also from a
// server that ends before it has read all.
func ask(t *testing.T, addr, request string, limit time.Duration) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(limit))
	io.WriteString(c, request)
	b, _ := io.ReadAll(c)
	return string(b)
}

// same sends a request to both and reports how their answers differ. The
// original may lose an answer, or wait for ever, and gets another chance; a few
// that it never answers are left out.
func (p *pair) same(t *testing.T, request string) {
	t.Helper()
	p.asked++
	got := ask(t, p.addr, request, patience)
	var want string
	for range 8 {
		want = ask(t, p.original, request, 3*time.Second)
		if statusOf(got) == statusOf(want) && plainBody(request, got) == plainBody(request, want) && slices.Equal(fieldsOf(got), fieldsOf(want)) {
			return
		}
	}
	const mayLose = 5
	if want == "" && got != "" && p.lost < mayLose {
		t.Logf("the original has not answered %.100q", request)
		p.lost++
		return
	}
	t.Errorf("%.300q: %.1500s\nwant %.1500s", request, got, want)
}

// refuses sends a request that is the client's fault, for which the original has
// status 500, or an answer that another server would not give.
func (p *pair) refuses(t *testing.T, status, request string) {
	t.Helper()
	p.asked++
	p.refused++
	if got := ask(t, p.addr, request, patience); statusOf(got) != status {
		t.Errorf("%.300q: %.300s\nwant status %s", request, got, status)
	}
}

// scripts makes programs that the original hears out: it loses what a program
// writes that ends at once.
func scripts(t *testing.T, texts map[string]string) map[string]string {
	t.Helper()
	dir, files := t.TempDir(), make(map[string]string)
	for name, text := range texts {
		files[name] = filepath.Join(dir, name+".cgi")
		if err := netservertest.WriteProgram(files[name], []byte("#!/bin/sh\n( "+text+"\n )\ns=$?\nexec >&- 2>&-\nsleep 0.02\nexit $s\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

const envScript = `printf 'Content-type: text/plain\n\n'; env -u _ -u PWD -u SHLVL -u OLDPWD | sort`

const closes = "\r\nConnection: close\r\n\r\n"

// oddTargets are request targets that both serve.
var oddTargets = []string{"/", "/?", "/?a", "/?a=b?c=d", "/a%20b", "/a%2Fb", "/a+b", "/a//b", "//a", "/a/../b", "/a/./b", "/..", "/../../x",
	"/a;b=c", "/a#b", "/a?b#c", "/a&b", "/~a", "/a'b", "/a\"b", "/a<b>", "/a|b", "/a\\b", "/a^b", "/a`b", "/{a}", "/[a]", "/a:b", "/a@b", "/a,b", "/\xc3\xa4", "/\xff", "/a?\xc3\xa4", "/%C3%A4", "/a?%41%zz",
	"/a%0ab", "/a%0d%0ab", "/" + strings.Repeat("x", 3000), "/?" + strings.Repeat("y", 3000)}

// oddHeaders are headers that both understand in the same way.
var oddHeaders = []string{"X-A: 1", "X-A:1", "X-A:  1  ", "X-A:", "X-A: ", "x-a: 1", "X-A: 1\r\nX-A: 2", "X-A: 1\r\nx-a: 2\r\nX-B: 3\r\nX-a: 4", "X-A: a, b\r\nX-A: c", "X-A: a\tb", "X-A: \xe4", "X-A: \xc3\xa4", "X-A: a:b:c",
	"Cookie: foo=1", "Cookie: foo=1; bar=2", "Cookie: bar=2; foo=1", "Cookie: foo=1\r\nCookie: foo=2", "Cookie: foo", "cookie: foo=1", "COOKIE: foo=1", "Cookies: foo=1", "Cookie: a=b\r\nCookies: c=d", "Cookie: foo=\"x y\"",
	"Accept: */*", "Accept: a\r\nAccept: b", "Content-Type: text/x", "CONTENT-TYPE: x", "Authorization: Basic YTpi", "Host2: x", "X-A-: 1", "-X: 1", "X--A: 1", "1: 2", "X-A: \"q\"", "X-A: a\\b",
	"User-Agent: a b (c; d)", "Referer: http://x/?y", "If-Modified-Since: x", "Range: bytes=0-1", "Upgrade: x", "Via: x", "X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4", "Keep-Alive: 1", "TE: x", "X-A: " + strings.Repeat("z", 3000), "Content-Length: 0", "Proxy-Connection: x"}

// TestRequestsBesideTheOriginal sends odd requests to both.
func TestRequestsBesideTheOriginal(t *testing.T) {
	files := scripts(t, map[string]string{"env": envScript, "body": `printf 'Content-type: text/plain\n\n'; env | grep CONTENT_ | sort; head -c ${CONTENT_LENGTH:-0}`})
	p := startPair(t, "PreForkSimple", `%s %r|%m|%U|%q|%b|%B|%h|%H|%{foo}C|%{X-A}i|%{Host}i|%v`, []string{"/body=" + files["body"], "/=" + files["env"]})
	for _, method := range []string{"GET", "get", "Get", "POST", "PUT", "PATCH", "DELETE", "PUSH", "OPTIONS", "oPTIONS", "post"} {
		p.same(t, method+" /m HTTP/1.1\r\nHost: h"+closes)
	}
	for _, target := range oddTargets {
		p.same(t, "GET "+target+" HTTP/1.0"+closes)
	}
	for _, header := range oddHeaders {
		p.same(t, "GET /h HTTP/1.1\r\nHost: h\r\n"+header+closes)
	}
	for _, head := range []string{"GET /l HTTP/1.1\nHost: h\nConnection: close\n\n", "GET /l HTTP/1.0\n\n", "GET /l HTTP/1.1\r\nHost:" + closes, "GET /l HTTP/1.1\r\nHost: h:1" + closes,
		"GET /l HTTP/1.1\r\nhost: H" + closes, "GET /l HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "GET /l HTTP/1.0\r\nHost: a\r\n\r\n"} {
		p.same(t, head)
	}
	for _, body := range []string{"", "a", "a=b&c=d", "line\nline\r\n", "\x00\xff", strings.Repeat("0123456789", 300)} {
		p.same(t, fmt.Sprintf("POST /body HTTP/1.1\r\nHost: h\r\nContent-Type: x/y\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body))
	}
	for status, heads := range refusedHeads {
		for _, head := range heads {
			p.refuses(t, status, head)
		}
	}
	p.sameLines(t)
}

// refusedHeads are heads that this server refuses, by status.
var refusedHeads = map[string][]string{
	"400": {"GET /a%2fb%00c HTTP/1.0" + closes, "GET /a%zz HTTP/1.0" + closes, "GET /% HTTP/1.0" + closes, "GET /a b HTTP/1.0" + closes, "GET /a\tb HTTP/1.0" + closes, "GET x HTTP/1.0" + closes, "GET ?a HTTP/1.0" + closes,
		"GET /h HTTP/1.0\r\nX-A : 1" + closes, "GET /h HTTP/1.0\r\n X-A: 1" + closes, "GET /h HTTP/1.0\r\nX A: 1" + closes, "GET /h HTTP/1.0\r\nX-A" + closes, "GET /h HTTP/1.0\r\n: 1" + closes, "GET /h HTTP/1.0\r\nX-A: a\x00b" + closes, "GET /h HTTP/1.0\r\nX-A: a\x01b" + closes,
		"GET /h HTTP/1.0\r\nContent-Length: x" + closes, "GET /h HTTP/1.0\r\nContent-Length: -1" + closes, "GET /l HTTP/1.1" + closes, "GET /l HTTP/1.1\r\nHost: a\r\nHost: b" + closes, "GET /l HTTP/1.1\r\nHost: a b" + closes,
		"GET /l http/1.1" + closes, "GET /l" + closes, "GET  /l HTTP/1.0" + closes, "GET /l  HTTP/1.0" + closes, " GET /l HTTP/1.0" + closes, "GET /l HTTP/1.0 \r\n\r\n", "GET\r\n\r\n", "GET /l HTTP/1.10\r\n\r\n", "GET /l HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"},
	"417": {"GET /h HTTP/1.0\r\nExpect: x" + closes, "GET /h HTTP/1.1\r\nHost: h\r\nExpect: x" + closes},
	"431": {"GET /l HTTP/1.0\r\nX-A: " + strings.Repeat("z", 120000) + "\r\n\r\n"},
	"501": {"TRACE /m HTTP/1.0" + closes, "BLAH /m HTTP/1.0" + closes, "GET /h HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: x" + closes},
	"505": {"GET / HTTP/0.9" + closes, "GET / HTTP/2.0" + closes},
}

// answers are what programs write, after which all of it is the same.
var answers = map[string]string{
	"type": `printf 'Content-Type: text/x\n\nbody'`, "lower": `printf 'content-type: text/x\n\nbody'`, "crlf": `printf 'Content-type: text/x\r\nX-A: b\r\n\r\nbody\r\n'`,
	"status": `printf 'Status: 404 Gone\nX-Foo: bar\n\nbody'`, "statusonly": `printf 'Status: 201\n\nbody'`, "statustype": `printf 'Content-type: text/x\nStatus: 503 Later\n\nbody'`, "statuscase": `printf 'STATUS: 418\n\nbody'`, "statusloc": `printf 'Status: 301 X\nLocation: /y\n\nbody'`,
	"twostatuses": `printf 'Status: 201 A\nStatus: 202 B\n\nbody'`, "badstatus": `printf 'Status: abc\nContent-type: text/x\n\nbody'`, "badstatusonly": `printf 'Status: abc\n\nbody'`, "s999": `printf 'Status: 999 X\n\nbody'`, "s299": `printf 'Status: 299\n\n'`,
	"location": `printf 'Location: /x\n\nbody'`, "locationtype": `printf 'Location: /x\nContent-type: text/x\n\nbody'`, "typelocation": `printf 'Content-type: text/x\nLocation: /x\n\nbody'`, "fulllocation": `printf 'Location: http://h/x?y#z\n\n'`,
	"nph": `printf 'HTTP/1.1 299 Own\nContent-type: text/x\n\nbody'`, "nph10": `printf 'HTTP/1.0 404 Not\r\nX-A: 1\r\n\r\nbody'`, "nphbare": `printf 'HTTP/1.0 200 \nX-A: 1\n\nbody'`, "nphstatus": `printf 'HTTP/1.0 201 A\nStatus: 202 B\n\nbody'`, "nphonly": `printf 'HTTP/1.0 201 A\n\nbody'`,
	"neither": `printf 'X-Foo: 1\n\nbody'`, "under": `printf 'X_Foo: 1\nContent-type: text/x\n\nbody'`, "nospace": `printf 'X-Foo:1\nContent-type:text/x\n\nbody'`, "blanks": `printf 'X-Foo:    1\nContent-type: text/x\n\nbody'`, "novalue": `printf 'X-Foo:\nContent-type: text/x\n\nbody'`,
	"several": `printf 'X-Foo: 1\nX-Foo: 2\nSet-Cookie: a=b\nSet-Cookie: c=d\nContent-type: text/x\n\nbody'`, "colons": `printf 'X-Foo: a:b: c\nContent-type: text/x; charset=utf-8\n\nbody'`, "s204": `printf 'Status: 204 X\n\n'`, "s304": `printf 'Status: 304 X\nETag: "x"\n\n'`,
	"length": `printf 'Content-type: text/x\nContent-Length: 4\n\nbody'`, "empty": `printf 'Content-type: text/x\n\n'`, "long": `printf 'Content-type: text/x\n\n'; head -c 3000 /dev/zero | tr '\0' x`, "bytes": `printf 'Content-type: text/x\n\n\001\377\000end'`,
	"utf8": `printf 'X-Foo: \303\244\nContent-type: text/x\n\n\303\244'`, "slow": `printf 'Content-type: te'; sleep 0.05; printf 'xt/x\n\nbo'; sleep 0.05; printf dy`, "stderr": `echo oops >&2; printf 'Content-type: text/x\n\nbody'`, "exit": `printf 'Content-type: text/x\n\npart'; exit 5`,
	"nothing": `:`, "nothing3": `exit 3`, "emptyline": `echo; echo body`, "nphlate": `printf 'X: 1\nHTTP/1.1 200 OK\n\nbody'`, "half": `printf 'Content-type: text/x\n'; exit 2`,
}

// TestAnswersBesideTheOriginal has both run programs with all forms of answers.
func TestAnswersBesideTheOriginal(t *testing.T) {
	var apps []string
	for name, file := range scripts(t, answers) {
		apps = append(apps, "/"+name+"="+file)
	}
	p := startPair(t, "Fork", `%s %r|%b|%{X-Foo}o|%404,500{Host}i|%!200s|%X`, apps)
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		p.same(t, "GET /"+name+" HTTP/1.0\r\nHost: h\r\n\r\n")
	}
	p.sameLines(t)
}
