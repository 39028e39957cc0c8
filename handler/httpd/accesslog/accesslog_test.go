package accesslog_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"netserver/handler/httpd/accesslog"
	"netserver/handler/httpd/cgi"
	"netserver/netservertest"
)

// serve starts a server whose lines come from the channel.
func serve(t *testing.T, format string, h http.HandlerFunc) (addr string, lines chan string) {
	t.Helper()
	f, err := accesslog.Parse(format)
	if err != nil {
		t.Fatal(err)
	}
	lines = make(chan string, 10)
	l := &accesslog.Log{Format: f, Write: func(b []byte) { lines <- string(b) }, Origin: cgi.Origin{Software: "x"}}
	s := httptest.NewServer(l.Handler(h))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), lines
}

// ask sends a request and returns all that comes back.
func ask(t *testing.T, addr, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, request)
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const request = "GET /p%20x?a=b&c HTTP/1.0\r\nHost: h:1\r\nCookie: foo=1; bar=2\r\nCookie: baz=3\r\nX-A: 1\r\nX-a: 2\r\nReferer: a\"b\\\\c\tq\r\nUser-Agent: caf\xe9\r\nConnection: close\r\n\r\n"

// The values are those that Net::Server::HTTP logs for this request and answer.
func TestDirectives(t *testing.T) {
	for _, c := range []struct{ format, want string }{
		{`%%`, "%"}, {`%a %A %h`, "127.0.0.1 127.0.0.1 127.0.0.1"}, {`%b %B`, "4 4"},
		{`%{foo}C`, "1; bar=2"}, {`%{bar}C`, "-"}, {`%{baz}C`, "3"},
		{`%{HTTP_COOKIE}e`, "foo=1; bar=2, baz=3"}, {`%{SCRIPT_NAME}e`, "-"}, {`%{PATH_INFO}e`, "/p%20x"}, {`%{NONE}e`, "-"},
		{`%H %m %U %q`, `http GET /p%20x ?a=b&c`}, {`%r`, `GET /p%20x?a=b&c HTTP/1.0`},
		{`%{hOsT}i %{x-A}i %{none}i`, "h:1 1, 2 -"}, {`%{X-foo}o %{none}o`, "bar, baz -"},
		{`%{Referer}i`, `a\x22b\x5C\x5Cc\tq`}, {`%{User-Agent}i`, `caf\xE9`},
		{`%l %u %f`, "- - -"}, {`%{n}n %{m}n`, "note -"}, {`%P %{tid}P`, fmt.Sprint(os.Getpid(), os.Getpid())},
		{`%p`, "PORT"}, {`%s %>s %<s`, "404 404 404"}, {`%404s %!404s %200s %!200s %200,404s`, "404 - - 404 404"}, {`%T`, "0"}, {`%v %V`, "h:1 h:1"}, {`%X`, "-"},
		{`%y %Z %`, "%y %Z %"}, {`a\tb\"c\\d`, "a\tb\"c\\d"}, {`%{%Y}y`, "%{%Y}y"}, {"%I", fmt.Sprint(len(request))},
		{`%{X-Nl}o`, `-`},
	} {
		addr, lines := serve(t, c.format, func(w http.ResponseWriter, r *http.Request) {
			w.Header()["X-Foo"] = []string{"bar", "baz"}
			cgi.StateOf(r).SetNote("n", "note")
			w.WriteHeader(404)
			io.WriteString(w, "body")
		})
		begin := time.Now()
		ask(t, addr, request)
		took := fmt.Sprint(int(time.Since(begin).Seconds())) // 0 but on a very busy machine
		_, port, _ := net.SplitHostPort(addr)
		got := strings.ReplaceAll(strings.TrimSuffix(<-lines, "\n"), port, "PORT")
		if got != c.want && (c.format != `%T` || got > took) {
			t.Errorf("%s: %q, want %q", c.format, got, c.want)
		}
	}
}

// The default is the line that every analyser of logs reads, and a client cannot
// forge another.
func TestCombined(t *testing.T) {
	addr, lines := serve(t, accesslog.Combined, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	ask(t, addr, "GET /\" HTTP/1.0\r\nUser-Agent: x\" 200 5 \"y\r\n\r\n")
	got := <-lines
	if !regexp.MustCompile(`^127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [-+]\d{4}\] "GET /\\x22 HTTP/1\.0" 204 - "-" "x\\x22 200 5 \\x22y"\n$`).MatchString(got) {
		t.Error(got)
	}
}

// %O is what the client has received, to the byte.
func TestBytesOut(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"short":   func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>short") },
		"empty":   func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) },
		"typed": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "x/y")
			http.Error(w, "no", http.StatusForbidden)
		},
		"length": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5000")
			w.Write(make([]byte, 5000))
		},
		"long over 1.0": func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 5000)) },
	} {
		for _, method := range []string{"GET", "HEAD"} {
			for _, head := range []string{" / HTTP/1.0\r\n\r\n", " / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"} {
				if strings.Contains(head, "1.1") && strings.Contains(name, "1.0") {
					continue // chunks have a frame, which is no part of the body
				}
				addr, lines := serve(t, "%O", h)
				got := ask(t, addr, method+head)
				if line := <-lines; line != fmt.Sprintln(len(got)) {
					t.Errorf("%s %s%q: %s logged, and %d received: %q", name, method, head, line, len(got), got)
				}
			}
		}
	}
}

// An answer that was broken off has a line, too.
func TestAborted(t *testing.T) {
	addr, lines := serve(t, "%s %X", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	ask(t, addr, "GET / HTTP/1.0\r\n\r\n")
	if got := <-lines; got != "500 X\n" {
		t.Errorf("%q", got)
	}
}

// The recorder passes on what handlers need.
func TestHijackAndFlush(t *testing.T) {
	addr, lines := serve(t, "%s %m", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/flush" {
			w.(http.Flusher).Flush()
			return
		}
		nc, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(nc, "raw")
		nc.Close()
	})
	if got := ask(t, addr, "GET / HTTP/1.0\r\n\r\n"); got != "raw" {
		t.Errorf("%q", got)
	}
	a := <-lines
	ask(t, addr, "GET /flush HTTP/1.0\r\n\r\n")
	if b := <-lines; a != "101 GET\n" || b != "200 GET\n" {
		t.Error(a, b)
	}
}

// The times are those of the C library.
func TestTimes(t *testing.T) {
	netservertest.Peer(t, "date")
	const letters = "aAbBcCdDeFgGhHIjmMpRTuUVwWxXyYz%ntrklsSZ"
	var format, want bytes.Buffer
	for _, c := range letters {
		fmt.Fprintf(&format, "%%{%%%c}t ", c)
		fmt.Fprintf(&want, "[%%%c] ", c)
	}
	for _, c := range []string{"Ey", "Od", "EY"} { // of other locales
		fmt.Fprintf(&format, "%%{%%%s}t ", c)
		fmt.Fprintf(&want, "[%%%s] ", c)
	}
	addr, lines := serve(t, "%{%s}t "+format.String(), func(http.ResponseWriter, *http.Request) {})
	ask(t, addr, "GET / HTTP/1.0\r\n\r\n")
	second, got, _ := strings.Cut(<-lines, " ")
	cmd := exec.Command("date", "-d", "@"+strings.Trim(second, "[]"), "+"+want.String())
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	b, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("[\n]", `[\n]`, "[\t]", `[\t]`).Replace(string(b))
	if got != text {
		t.Errorf("%q\nwant %q", got, text)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(accesslog.Combined, "x")
	f.Add(`%!200,404{a}i%>s\n%{%Y}t`, "\n\"")
	f.Fuzz(func(t *testing.T, format, value string) {
		p, err := accesslog.Parse(format)
		if err != nil {
			return
		}
		var line []byte
		l := &accesslog.Log{Format: p, Write: func(b []byte) { line = bytes.Clone(b) }}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("A", value)
		l.Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
		if len(line) == 0 || line[len(line)-1] != '\n' {
			t.Errorf("%q", line)
		}
	})
}

// TestLongValues are cut, so that what follows stays in the line, and lines of
// many of them, too.
func TestLongValues(t *testing.T) {
	long := strings.Repeat("\\", 60000)
	request := "GET / HTTP/1.1\r\nHost: x\r\nReferer: " + long + "\r\nUser-Agent: " + long[:30000] + "\r\nConnection: close\r\n\r\n"
	h := func(w http.ResponseWriter, r *http.Request) {}
	addr, lines := serve(t, `\"%{Referer}i\" \"%{User-Agent}i\" %s`, h)
	ask(t, addr, request)
	if line := <-lines; len(line) > 17<<10 || !strings.HasSuffix(line, `\x5C..." 200`+"\n") {
		t.Errorf("%d bytes that end in %q", len(line), line[max(0, len(line)-40):])
	}
	addr, lines = serve(t, strings.Repeat("%{Referer}i", 500), h)
	ask(t, addr, request)
	if line := <-lines; len(line) > 33<<10 || !strings.HasSuffix(line, "...\n") {
		t.Errorf("%d bytes that end in %q", len(line), line[max(0, len(line)-40):])
	}
}
