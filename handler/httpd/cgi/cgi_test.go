//go:build unix

package cgi_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/handler/httpd/cgi"
	"netserver/netservertest"
)

func TestMain(m *testing.M) { os.Exit(netservertest.Main(m)) }

// script makes a handler that runs a shell script.
func script(t *testing.T, text string) *cgi.Handler {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script")
	if err := netservertest.WriteProgram(file, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	h := &cgi.Handler{Path: file, Stderr: "drop", Origin: cgi.Origin{Type: "Net::Server::Fork", Software: "soft"}}
	if err := h.Check(); err != nil {
		t.Fatal(err)
	}
	return h
}

// get asks a handler, over a connection of its own.
func get(t *testing.T, h http.Handler, request string) *http.Response {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	io.WriteString(c, request)
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func body(res *http.Response) string {
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Sprint(string(b), " and then ", err)
	}
	return string(b)
}

const simple = "GET /a%20b?c=d HTTP/1.0\r\nX-A: 1\r\nCookie: x\r\nX-a:  2 \r\nProxy: evil\r\nCookies: y\r\nContent_Length: 7\r\nContent_Type: x\r\nX_A: 3\r\nX.A: 4\r\nX!#$%&*+^`|~: 5\r\n_: 6\r\n\r\n"

// The environment is Net::Server::HTTP's, to the byte, and nothing else is in it
// but what a shell adds; headers with odd names are not.
func TestEnvironment(t *testing.T) {
	h := script(t, "printf 'Content-Type: text/plain\\n\\n'; env | grep -v '^PWD=\\|^REMOTE_PORT=\\|^SERVER_PORT=\\|^_=\\|^SHLVL=' | sort")
	h.Origin.Env = []string{"EXTRA=1"}
	got := body(get(t, h, simple))
	want := `EXTRA=1
HTTP_COOKIE=x, y
HTTP_X_A=1, 2
NET_SERVER_SOFTWARE=soft
NET_SERVER_TYPE=Net::Server::Fork
PATH_INFO=/a%20b
QUERY_STRING=c=d
REMOTE_ADDR=127.0.0.1
REQUEST_METHOD=GET
REQUEST_URI=/a%20b?c=d
SCRIPT_NAME=
SERVER_ADDR=127.0.0.1
SERVER_PROTOCOL=HTTP/1.0
`
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// What programs say, and what clients get.
func TestAnswers(t *testing.T) {
	const oops = "<html>\n<body>\n<h1>Internal Server Error</h1><p>%s</p></body>\n</html>\n"
	page := func(detail string) string { return fmt.Sprintf(oops, detail) }
	for _, c := range []struct {
		name, script string
		status       int
		typ, body    string
	}{
		{"type", `printf 'Content-Type: text/x\n\nbody'`, 200, "text/x", "body"},
		{"crlf", `printf 'Content-type: text/x\r\n\r\nbody\r\n'`, 200, "text/x", "body\r\n"},
		{"status", `printf 'Status: 404 Gone Fishing\nX_y: 1\n\nbody'`, 404, "text/html", "body"},
		{"location", `printf 'Location: /x\n\nbody'`, 302, "text/html", "body"},
		{"neither", `printf 'X-Foo: 1\n\nbody'`, 500, "text/html", "body"},
		{"first line", `printf 'HTTP/1.1 299 Own Words\r\nContent-Type: text/x\r\n\r\nbody'`, 299, "text/x", "body"},
		{"first line later", `printf 'X: 1\nHTTP/1.1 299 Own Words\n\nbody'`, 500, "text/html", page("Found HTTP/ line after other headers were sent\n")},
		{"odd status", `printf 'Status: abc\nContent-type: text/x\n\nbody'`, 200, "text/x", "body"},
		{"no status", `printf 'Status: 100\nContent-type: text/x\n\nbody'`, 500, "text/html", page("Premature end of script headers: status 100...\n")},
		{"long status", `printf 'Status: 99999999999999999999\n\nbody'`, 500, "text/html", page("Premature end of script headers: status 99999999999999999999...\n")},
		{"no body", `printf 'Status: 204 X\n\nbody'`, 204, "", ""},
		{"nothing", `exit 3`, 500, "text/html", page("Premature end of script headers")},
		{"an empty line", `echo; echo body`, 500, "text/html", page("Premature end of script headers\n")},
		{"no header", `echo 'no header <b> & more'; echo`, 500, "text/html", page("Premature end of script headers: no header &lt;b&gt; &amp; more...\n")},
		{"half a header", `printf 'Content-Type: text/x\n'`, 500, "text/html", page("Premature end of script headers")},
		{"half and failure", `printf 'Content-Type: text/x\n'; exit 2`, 500, "text/html", page("Script exited unsuccessfully")},
		{"control characters", `printf 'X-A: \001\nContent-Type: text/x\n\nbody'`, 500, "text/html", page("Premature end of script headers: X-A: \x01...\n")},
		{"long headers", `head -c 1048576 /dev/zero | tr '\0' 'x'`, 500, "text/html", page("Premature end of script headers: longer than 100000 bytes")},
		{"failure later", `printf 'Content-Type: text/x\n\npart'; exit 5`, 200, "text/x", "part"},
		{"killed later", `printf 'Content-Type: text/x\nContent-Length: 9\n\npart'; sleep 0.1; kill -9 $$`, 200, "text/x", "part and then unexpected EOF"},
		{"smuggled", `printf 'Content-Type: text/x\nTransfer-Encoding: chunked\nConnection: keep-alive\n\nbody'`, 200, "text/x", "body"},
		{"left behind", `printf 'Content-Type: text/x\n\nbody'; (sleep 0.05; printf more) &`, 200, "text/x", "bodymore"},
		{"large", `printf 'Content-Type: text/x\n\n'; head -c 3000000 /dev/zero | tr '\0' 'x'`, 200, "text/x", strings.Repeat("x", 3000000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			res := get(t, script(t, c.script), simple)
			if got := body(res); res.StatusCode != c.status || res.Header.Get("Content-Type") != c.typ || got != c.body {
				t.Errorf("%d %q %.300q", res.StatusCode, res.Header.Get("Content-Type"), got)
			}
		})
	}
}

// A program without a usable answer is named in the log, with how it ended.
func TestFailuresAreLogged(t *testing.T) {
	var buf bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&buf, nil)))
	defer slog.SetDefault(before)
	for text, want := range map[string]string{
		`exit 3`: "Premature end of script headers\" exit=3",
		`exit 0`: "Premature end of script headers\"\n",
		`printf 'Content-Type: text/x\n'; exit 2`: "Script exited unsuccessfully\" exit=2",
	} {
		buf.Reset()
		w := httptest.NewRecorder()
		h := script(t, text)
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != 500 || !strings.Contains(buf.String(), want) || !strings.Contains(buf.String(), "program="+h.Path) {
			t.Errorf("%s: status %d, log %q", text, w.Code, buf.String())
		}
	}
}

// Bodies come as they are sent, and end; with HEAD nothing goes back but the
// headers.
func TestBodies(t *testing.T) {
	h := script(t, `printf "Content-Type: text/x\nX-L: $CONTENT_LENGTH\n\n"; cat`)
	for _, c := range []struct{ request, length, body string }{
		{"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", "5", "hello"},
		{"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "", "abcde"},
		{"GET / HTTP/1.0\r\n\r\n", "", ""},
		{"PUT / HTTP/1.0\r\nContent-Length: 0\r\n\r\n", "0", ""},
	} {
		res := get(t, h, c.request)
		if got := body(res); got != c.body || res.Header.Get("X-L") != c.length {
			t.Errorf("%q: %q, length %q", c.request, got, res.Header.Get("X-L"))
		}
	}
	if res := get(t, script(t, `printf 'Content-Type: text/x\n\nbody'`), "HEAD / HTTP/1.0\r\n\r\n"); res.StatusCode != 200 || body(res) != "" {
		t.Error(res)
	}
	if res := get(t, h, "BLAH / HTTP/1.0\r\n\r\n"); res.StatusCode != 501 {
		t.Error(res.Status)
	}
}

// A program and its client speak in turn, line by line.
func TestBothWaysStream(t *testing.T) {
	s := httptest.NewServer(script(t, `printf 'Content-Type: text/x\n\n'; while read x; do echo "got $x"; done`))
	defer s.Close()
	r, w := io.Pipe()
	req, _ := http.NewRequest("POST", s.URL, r)
	go io.WriteString(w, "one\n")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(res.Body)
	for _, word := range []string{"one", "two", "three"} {
		if line, err := lines.ReadString('\n'); line != "got "+word+"\n" {
			t.Fatal(line, err)
		}
		next := map[string]string{"one": "two", "two": "three"}[word]
		if next != "" {
			io.WriteString(w, next+"\n")
		}
	}
	w.Close()
	if b, err := io.ReadAll(lines); len(b) > 0 || err != nil {
		t.Error(b, err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// A program that does not read the body ends, and so does its request.
func TestBodyIsNotRead(t *testing.T) {
	s := httptest.NewServer(script(t, `printf 'Content-Type: text/x\n\nbody'`))
	defer s.Close()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nstart")
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if b, err := io.ReadAll(c); err != nil && !errors.Is(err, syscall.ECONNRESET) || !strings.Contains(string(b), "body") {
		t.Errorf("%q, %v", b, err)
	}
}

// The program, and what it has started, ends with its client, and with the
// request's context.
func TestEndsWithTheClient(t *testing.T) {
	h := script(t, `trap '' TERM; (trap '' TERM; sleep 100) & printf "Content-Type: text/x\n\n$$\n"; wait; sleep 100`)
	h.KillGrace = 50 * time.Millisecond
	for _, how := range []string{"client", "context"} {
		ctx, cancel := context.WithCancel(t.Context())
		returned := make(chan bool)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(returned)
			if how == "context" {
				r = r.WithContext(ctx)
			}
			h.ServeHTTP(w, r)
		}))
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(res.Body).ReadString('\n')
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		if how == "client" {
			c.Close()
		}
		cancel()
		<-returned
		netservertest.Eventually(t, "the group ends", func() bool { return syscall.Kill(-pid, 0) == syscall.ESRCH })
		c.Close()
		s.Close()
	}
}

// What cannot be started is an answer, and a check at start finds it.
func TestMissingProgram(t *testing.T) {
	h := script(t, "")
	os.Remove(h.Path)
	res := get(t, h, simple)
	if got := body(res); res.StatusCode != 500 || !strings.Contains(got, "<p>Could not run external script "+h.Path+": No such file or directory\n</p>") {
		t.Errorf("%d %q", res.StatusCode, got)
	}
	for _, path := range []string{"", "/nonesuch/x", "/dev/null", "no/such"} {
		if err := (&cgi.Handler{Path: path}).Check(); err == nil {
			t.Errorf("%q is fine", path)
		}
	}
}

// The page is Net::Server's, with everything escaped.
func TestPage(t *testing.T) {
	h := &cgi.Page{Origin: cgi.Origin{Software: "soft"}}
	got := body(get(t, h, "GET /x?a=b&c=d%27%5c%3cx&a=2&e= HTTP/1.0\r\nX-Q: it's \\ <b>&\r\nX-09AZaz: v\r\nX.Y: v\r\nX`Y: v\r\n\r\n"))
	for _, want := range []string{
		`'SCRIPT_NAME' => '',`,
		`'HTTP_X_09AZAZ' => 'v',`,
		`'REMOTE_ADDR' => '127.0.0.1',`,
		"<form method=post action=/bam><input type=text name=foo><input type=submit></form>\n<pre>%ENV = (\n",
		`         'HTTP_X_Q' =&gt; `, // not escaped: it is no value
	} {
		want = strings.ReplaceAll(want, "=&gt;", "=>")
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	if strings.Contains(got, "HTTP_X.Y") || strings.Contains(got, "HTTP_X_Y") || strings.Contains(got, "HTTP_X`Y") {
		t.Error("a header has a variable whose name could be another's")
	}
	if !strings.Contains(got, `'it\'s \\ &lt;b&gt;&amp;',`) || !strings.HasSuffix(got, "\n       );\n$form = {\n          'a' => 'b',\n          'c' => 'd\\'\\\\&lt;x',\n          'e' => ''\n        };\n</pre>") {
		t.Error(got)
	}
	if got := body(get(t, h, "GET /simple HTTP/1.0\r\n\r\n")); got != "Simple" {
		t.Error(got)
	}
	if got := body(get(t, h, "GET / HTTP/1.0\r\n\r\n")); !strings.HasSuffix(got, "$form = {};\n</pre>") {
		t.Error(got)
	}
}

// TestAddrOf: what is no address and port is none.
func TestAddrOf(t *testing.T) {
	for addr, want := range map[string][2]string{
		"192.0.2.1:80": {"192.0.2.1", "80"}, "[2001:db8::1]:1": {"2001:db8::1", "1"}, "[::ffff:192.0.2.1]:1": {"192.0.2.1", "1"},
		"": {}, "@": {}, "/run/x": {}, ":80": {}, "192.0.2.1:": {}, "192.0.2.1": {}, "2001:db8::1": {},
	} {
		if host, port := cgi.AddrOf(addr); host != want[0] || port != want[1] {
			t.Errorf("%q: %q, %q", addr, host, port)
		}
	}
}

// A program that answers without a look at its body ends its connection: what
// comes of the body later must not be taken for a request. The answer is whole.
func TestBodyAfterTheAnswer(t *testing.T) {
	for _, c := range []struct {
		script string
		first  string // of the body
		keeps  bool
	}{
		{`printf 'Content-Type: text/x\n\nbody'`, "", false},
		{`printf 'Content-Type: text/x\n\nbody'`, "GET ", false},
		{`exec <&-; sleep 0.05; printf 'Content-Type: text/x\nContent-Length: 4\n\nbody'`, "", false},
		{`exit 3`, "", false},
		{`cat >/dev/null; printf 'Content-Type: text/x\n\nbody'`, "GET /smuggled HTTP/1.1\r\nX: 1", true},
	} {
		s := httptest.NewServer(script(t, c.script))
		t.Cleanup(s.Close)
		nc, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(30 * time.Second))
		r := bufio.NewReader(nc)
		const whole = "GET /smuggled HTTP/1.1\r\nX: 1"
		fmt.Fprintf(nc, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(whole), c.first)
		res, err := http.ReadResponse(r, &http.Request{Method: "POST"})
		if err != nil {
			t.Fatalf("%s: %v", c.script, err)
		}
		if got := body(res); res.StatusCode == 200 && got != "body" || res.Close == c.keeps {
			t.Errorf("%s: %d %q, ends %v", c.script, res.StatusCode, got, res.Close)
		}
		fmt.Fprintf(nc, "%s", whole[len(c.first):]+"\r\nHost: y\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err = http.ReadResponse(r, &http.Request{Method: "GET"})
		if !c.keeps && err == nil {
			t.Errorf("%s: another answer: %d", c.script, res.StatusCode)
		}
		nc.Close()
	}
}
