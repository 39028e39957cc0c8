package challenge_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/handler/httpd"
	"netserver/handler/httpd/challenge"
	"netserver/netservertest"
	"netserver/outcome"
)

func TestMain(m *testing.M) { os.Exit(netservertest.Main(m)) }

const (
	token = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
	text  = token + ".9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
	path  = challenge.Path + token
)

func open(t *testing.T) *challenge.Answers {
	t.Helper()
	a := new(challenge.Answers)
	if err := a.Set([]challenge.Answer{{Name: "a.example", Token: token, Text: text}}); err != nil {
		t.Fatal(err)
	}
	return a
}

// server serves a handler that says "site" behind answers.
func server(t *testing.T, a *challenge.Answers) *netservertest.Running {
	site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "site") })
	return netservertest.Start(t, &netserver.Server{Handler: &httpd.Handler{Handler: a.Handler(site)}}, "tcp", "ssl")
}

// talk sends what a client sends, and returns all that comes back.
func talk(t *testing.T, nc net.Conn, pieces ...string) string {
	t.Helper()
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(time.Minute))
	for _, p := range pieces {
		if _, err := io.WriteString(nc, p); err != nil {
			t.Fatal(err)
		}
	}
	got, err := io.ReadAll(nc)
	if err != nil {
		t.Error(err)
	}
	return string(got)
}

func get(method, target, host string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", method, target, host)
}

// Only who asks the name for its token gets the answer, in whatever pieces the
// request comes; everybody else gets the site.
func TestAnswers(t *testing.T) {
	r := server(t, open(t))
	for _, c := range []struct {
		method, target, host string
		want                 bool
	}{
		{"GET", path, "a.example", true},
		{"GET", path, "a.example:80", true},
		{"GET", path, "A.EXAMPLE.", true},
		{"GET", "http://a.example" + path, "ignored.example", true},
		{"GET", path + "?x", "a.example", true},

		{"GET", path, "b.example", false},
		{"GET", path, "a.example.evil.example", false},
		{"GET", path, "127.0.0.1", false},
		{"GET", path, "", false},
		{"GET", path + "x", "a.example", false},
		{"GET", path[:len(path)-1], "a.example", false},
		{"GET", strings.ToLower(path), "a.example", false},
		{"GET", path + "/", "a.example", false},
		{"GET", challenge.Path, "a.example", false},
		{"GET", "/x/.." + path, "a.example", false},
		{"GET", "/" + path, "a.example", false},
		{"GET", challenge.Path + "../acme-challenge/" + token, "a.example", false},
		{"GET", challenge.Path + "%4c" + token[1:], "a.example", false},
		{"GET", "/.well-known%2facme-challenge/" + token, "a.example", false},
		{"GET", challenge.Path + strings.Repeat("A", 50_000), "a.example", false},
		{"HEAD", path, "a.example", false},
		{"OPTIONS", path, "a.example", false},
		{"DELETE", path, "a.example", false},
	} {
		got := talk(t, r.Dial(t, "tcp"), get(c.method, c.target, c.host))
		if ok := strings.HasSuffix(got, "\r\n\r\n"+text) && strings.Contains(got, "Content-Type: application/octet-stream\r\n"); ok != c.want || !strings.HasPrefix(got, "HTTP/1.1 200") || !c.want && strings.Contains(got, text) {
			t.Errorf("%s %.100s at %q: %.500q", c.method, c.target, c.host, got)
		}
	}
	if got := talk(t, r.Dial(t, "tcp"), "POST "+path+" HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"); !strings.HasSuffix(got, "site") {
		t.Errorf("POST: %q", got)
	}
	if got := talk(t, r.Dial(t, "tcp"), strings.Split(get("GET", path, "a.example"), "")...); !strings.HasSuffix(got, text) {
		t.Errorf("in pieces: %q", got)
	}
	piped := strings.ReplaceAll(get("GET", path, "a.example")+get("GET", "/", "a.example"), "Connection: close\r\n", "") + get("GET", path, "b.example")
	if got := talk(t, r.Dial(t, "tcp"), piped); strings.Count(got, text) != 1 || strings.Count(got, "site") != 2 || strings.Index(got, text) > strings.Index(got, "site") {
		t.Errorf("pipelined: %q", got)
	}
	if got := talk(t, r.Dial(t, "ssl"), get("GET", path, "a.example")); !strings.HasSuffix(got, text) {
		t.Errorf("by HTTPS, to which a redirect may have led: %q", got)
	}
}

// HTTP/2 is answered alike, with and without TLS.
func TestAnswersOverHTTP2(t *testing.T) {
	r := server(t, open(t))
	for _, kind := range []string{"tcp", "ssl"} {
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(kind == "tcp")
		protocols.SetHTTP2(kind == "ssl")
		tr := &http.Transport{Protocols: protocols, TLSClientConfig: r.ClientTLS()}
		scheme := map[string]string{"tcp": "http", "ssl": "https"}[kind]
		for host, want := range map[string]string{"a.example": text, "b.example": "site"} {
			q, err := http.NewRequest("GET", scheme+"://"+r.Addr(t, kind).String()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			q.Host = host
			resp, err := tr.RoundTrip(q)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(got) != want || resp.ProtoMajor != 2 {
				t.Errorf("%s at %s: %s %q", kind, host, resp.Proto, got)
			}
		}
		tr.CloseIdleConnections()
	}
}

// A client that asks for nothing but answers is an authority in its record.
func TestRecords(t *testing.T) {
	r := server(t, open(t))
	talk(t, r.Dial(t, "tcp"), get("GET", path, "a.example"))
	talk(t, r.Dial(t, "tcp"), strings.ReplaceAll(get("GET", path, "a.example"), "Connection: close\r\n", ""), get("GET", "/", "a.example"))
	talk(t, r.Dial(t, "tcp"), get("GET", path, "b.example"))
	counts := make(map[outcome.Class]int)
	for _, rec := range r.Records(t, 3) {
		counts[rec.Outcome]++
	}
	if counts[outcome.Challenge] != 1 || counts[outcome.Served] != 2 {
		t.Errorf("%v", counts)
	}
	netservertest.Eventually(t, "all are in the log", func() bool { return strings.Count(r.Log(), "requests=") >= 3 })
	if log := r.Log(); strings.Count(log, "challenge answered") != 1 || !strings.Contains(log, "a.example") || strings.Contains(log, token) {
		t.Errorf("the log: %s", log)
	}
}

// What is open can be exchanged at any time; nothing of before is left.
func TestAnswersEnd(t *testing.T) {
	a := open(t)
	h := a.Handler(http.NotFoundHandler())
	ask := func(name, token string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "http://"+name+challenge.Path+token, nil))
		return w.Code, w.Body.String()
	}
	if code, got := ask("a.example", token); code != 200 || got != text {
		t.Errorf("%d %q", code, got)
	}
	if err := a.Set([]challenge.Answer{{Name: "b.example", Token: "t", Text: "t.x"}, {Name: "b.example", Token: "u", Text: "u.x"}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, token string
		code        int
	}{{"a.example", token, 404}, {"b.example", "t", 200}, {"b.example", "u", 200}, {"a.example", "t", 404}, {"b.example", token, 404}} {
		if code, _ := ask(c.name, c.token); code != c.code {
			t.Errorf("%s %s: %d", c.name, c.token, code)
		}
	}
	if err := a.Set(nil); err != nil {
		t.Fatal(err)
	}
	if code, _ := ask("b.example", "t"); code != 404 {
		t.Errorf("after the end: %d", code)
	}
}

// What cannot be a part of a path, or is too much, is refused, and what was open
// stays.
func TestBadAnswers(t *testing.T) {
	a := open(t)
	good := challenge.Answer{Name: "a.example", Token: "t", Text: "t.x"}
	many := make([]challenge.Answer, challenge.MaxAnswers+1)
	for i := range many {
		many[i] = good
	}
	with := func(change func(*challenge.Answer)) []challenge.Answer {
		x := good
		change(&x)
		return []challenge.Answer{x}
	}
	for _, bad := range [][]challenge.Answer{
		many,
		with(func(x *challenge.Answer) { x.Token, x.Text = "", ".x" }),
		with(func(x *challenge.Answer) { x.Token, x.Text = "../t", "../t.x" }),
		with(func(x *challenge.Answer) { x.Token, x.Text = "t\n", "t\n.x" }),
		with(func(x *challenge.Answer) { x.Token, x.Text = "t.", "t..x" }),
		with(func(x *challenge.Answer) { x.Token = strings.Repeat("t", 257); x.Text = x.Token + ".x" }),
		with(func(x *challenge.Answer) { x.Text = "u.x" }),
		with(func(x *challenge.Answer) { x.Text = "t." }),
		with(func(x *challenge.Answer) { x.Text = "t.<script>" }),
		with(func(x *challenge.Answer) { x.Text = "t." + strings.Repeat("x", 129) }),
		with(func(x *challenge.Answer) { x.Name = "" }),
		with(func(x *challenge.Answer) { x.Name = "A.example" }),
		with(func(x *challenge.Answer) { x.Name = strings.Repeat("a", 254) }),
	} {
		if a.Set(bad) == nil {
			t.Errorf("%.200q is taken", fmt.Sprint(bad))
		}
	}
	w := httptest.NewRecorder()
	a.Handler(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "http://a.example"+path, nil))
	if w.Body.String() != text {
		t.Errorf("what was open is gone: %d", w.Code)
	}
	longest := strings.Repeat("t", 256)
	if err := a.Set([]challenge.Answer{{Name: strings.Repeat("a", 253), Token: longest, Text: longest + "." + strings.Repeat("x", 128)}}); err != nil {
		t.Errorf("the longest: %v", err)
	}
}

// Requests cost nothing while no order is open, and no memory but the answer's
// while one is.
func TestAllocsOfTheWayThrough(t *testing.T) {
	a := open(t)
	h := a.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	q, err := http.ReadRequest(bufio.NewReader(strings.NewReader(get("GET", challenge.Path+strings.Repeat("A", 5000), "a.example"))))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, q) }); n > 0 {
		t.Errorf("%v allocations of a request that is no authority's", n)
	}
}
