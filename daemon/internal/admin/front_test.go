package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"netserver/internal/control"
)

// A fakeServer answers the verbs as a server does, and counts how often it was
// asked.
type fakeServer struct {
	state string
	asked atomic.Int64
	last  atomic.Pointer[control.Request]
	fail  error
	hold  chan struct{} // nil: it answers at once

	holdLists chan struct{} // nil: it lists clients at once
	lists     atomic.Int64  // how often it was asked to
}

const hostile = "\"><script>alert(1)</script>\u202e\u0000\x1b[2J\n"

func (s *fakeServer) ask(ctx context.Context, r *control.Request, each func(string, json.RawMessage) error) error {
	s.asked.Add(1)
	s.last.Store(r)
	if r.Verb == control.VerbConns {
		s.lists.Add(1)
		if s.holdLists != nil {
			<-s.holdLists
		}
	}
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if s.fail != nil {
		return s.fail
	}
	st := &control.Status{State: s.state, Version: hostile, Generations: []control.Generation{{ID: 1, State: "serving", Workers: []control.Worker{{ID: 1, PID: 2, State: "serving", Answers: true}}}},
		Listeners: []control.Listener{{Port: "1/ssl", Open: true, Outcomes: map[string]uint64{"served": 3}, Refused: map[string]uint64{}}}, Silent: []control.Silent{}}
	parts := []any{st}
	switch r.Verb {
	case control.VerbHealth:
		parts = []any{control.HealthOf(st)}
	case control.VerbConns:
		parts = []any{control.Conns{Clients: []control.Client{{ID: "1.1", PeerName: hostile, ServerName: hostile}}, Silent: []control.Silent{}}}
	case control.VerbMetrics:
		parts = []any{control.Metrics{Families: []control.Family{{Name: "a"}}}, control.Metrics{Families: []control.Family{{Name: "b"}}}}
	case control.VerbCerts:
		parts = []any{control.Certs{Certificates: []control.Certificate{{File: "a"}}}, control.Certs{Certificates: []control.Certificate{{File: "b"}}}}
	}
	for _, part := range parts {
		b, err := json.Marshal(part)
		if err != nil {
			return err
		}
		if err := each(r.Verb, b); err != nil {
			return err
		}
	}
	return nil
}

func newTestFront(t *testing.T, o Options) (*Front, *fakeServer) {
	t.Helper()
	s := &fakeServer{state: "serving"}
	o.Ask = s.ask
	o.Page = fstest.MapFS{"index.html": {Data: []byte("<!doctype html>page")}, "app.js": {Data: []byte("let a")}}
	f := New(o)
	t.Cleanup(f.Close)
	return f, s
}

func request(f http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.Host = "127.0.0.1:8080"
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

func get(t *testing.T, f *Front, target string, header ...string) (int, string) {
	t.Helper()
	w := request(f, "GET", target, header...)
	return w.Code, w.Body.String()
}

func TestHealth(t *testing.T) {
	for state, want := range map[string]struct {
		code int
		text string
	}{"serving": {200, "ok\n"}, "reloading": {200, "ok\n"}, "starting": {503, "starting\n"}, "ending": {503, "draining\n"}} {
		f, s := newTestFront(t, Options{})
		s.state = state
		if code, text := get(t, f, "/readyz"); code != want.code || text != want.text {
			t.Errorf("%s: /readyz answers %d %q", state, code, text)
		}
		if code, text := get(t, f, "/livez"); code != 200 || text != "ok\n" {
			t.Errorf("%s: /livez answers %d %q", state, code, text)
		}
	}
	f, s := newTestFront(t, Options{})
	s.fail = errors.New("gone")
	if code, text := get(t, f, "/readyz"); code != 503 || text != "unknown\n" {
		t.Errorf("without an answer: %d %q", code, text)
	}
}

// A server that says nothing, as one whose supervisor is stopped, is reported
// while a request can still be answered.
func TestServerThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newTestFront(t, Options{})
		s.hold = make(chan struct{})
		defer close(s.hold)
		began := time.Now()
		if code, text := get(t, f, "/readyz"); code != 503 || text != "unknown\n" {
			t.Errorf("/readyz answers %d %q", code, text)
		}
		if code, text := get(t, f, "/api/limits"); code != 503 || !strings.Contains(text, errSlow.Error()) {
			t.Errorf("/api/limits answers %d %q", code, text)
		}
		if d := time.Since(began); d >= 2*requestTime {
			t.Errorf("that took %v", d)
		}
	})
}

// Answers that come in several parts are whole.
func TestAnswersInParts(t *testing.T) {
	f, _ := newTestFront(t, Options{})
	for path, want := range map[string][]string{
		"/api/certs":   {`"file":"a"`, `"file":"b"`, `"silent":[]`},
		"/api/metrics": {`"name":"a"`, `"name":"b"`, `"silent":[]`},
	} {
		_, text := get(t, f, path)
		for _, w := range want {
			if strings.Count(text, w) != 1 {
				t.Errorf("%s has not %s: %s", path, w, text)
			}
		}
	}
}

// A profile is not collected for as long as its client likes.
func TestProfilesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := newTestFront(t, Options{Pprof: true})
		began := time.Now()
		request(f, "GET", "/debug/pprof/goroutine?seconds=1000000")
		if d := time.Since(began); d > profileTime {
			t.Errorf("it was collected for %v", d)
		}
	})
}

// Many who ask the same at once cost one question.
func TestManyViewersCostAsOne(t *testing.T) {
	f, s := newTestFront(t, Options{})
	s.hold = make(chan struct{})
	done := make(chan int)
	for range 50 {
		go func() { code, _ := get(t, f, "/api/limits"); done <- code }()
	}
	for s.asked.Load() == 0 {
	}
	close(s.hold)
	for range 50 {
		if code := <-done; code != 200 {
			t.Errorf("status %d", code)
		}
	}
	// Who came after the answer was old asks once more; the machine may be slow.
	if n := s.asked.Load(); n > 25 {
		t.Errorf("%d questions for 50 viewers", n)
	}
}

// Questions that nobody answers are bounded, and those that can be answered
// are not kept from it.
func TestQuestionsAreBounded(t *testing.T) {
	f, s := newTestFront(t, Options{})
	s.hold = make(chan struct{})
	defer close(s.hold)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	busy := false
	for i := range 3 * maxAnswers {
		_, err := f.ask(ctx, control.Request{Verb: control.VerbConns, Limit: i + 1})
		busy = busy || errors.Is(err, errBusy)
	}
	f.lists.mu.Lock()
	n := len(f.lists.answers)
	f.lists.mu.Unlock()
	if !busy || n > maxLists {
		t.Errorf("%d questions wait for an answer; told to be busy: %v", n, busy)
	}
}

// Lists of clients, of which a viewer may ask for ever new ones, keep neither
// each other nor a health check from an answer.
func TestListsDisturbNobody(t *testing.T) {
	f, _ := newTestFront(t, Options{})
	for i := range 3 * maxAnswers {
		if code, text := get(t, f, "/api/conns?limit="+strconv.Itoa(i+1)); code != 200 {
			t.Fatalf("list %d: %d %s", i, code, text)
		}
	}
	if code, text := get(t, f, "/readyz"); code != 200 {
		t.Errorf("/readyz answers %d %q", code, text)
	}

	f, s := newTestFront(t, Options{})
	s.holdLists = make(chan struct{})
	defer close(s.holdLists)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 3 * maxAnswers {
		f.ask(ctx, control.Request{Verb: control.VerbConns, Limit: i + 1})
	}
	if code, text := get(t, f, "/readyz"); code != 200 {
		t.Errorf("while lists are waited for: /readyz answers %d %q", code, text)
	}
	if n := s.lists.Load(); n > maxLists {
		t.Errorf("%d lists are asked for at once", n)
	}
}

func TestHostHeader(t *testing.T) {
	f, _ := newTestFront(t, Options{Host: "192.0.2.1", Hosts: []string{"ops.example"}})
	for host, want := range map[string]int{
		"192.0.2.1:8080": 200, "localhost:8080": 200, "LocalHost": 200, "127.0.0.1": 200, "[::1]:8080": 200, "ops.example:1": 200, "OPS.example.": 200,
		"evil.example": 403, "evil.example:8080": 403, "localhost.evil.example": 403, "": 403, "127.0.0.1.evil.example": 403, "xops.example": 403,
	} {
		for _, path := range []string{"/livez", "/api/status", "/api/session", "/"} {
			if code, _ := get(t, f, path, "Host", host); code != want {
				t.Errorf("%q %s: status %d, want %d", host, path, code, want)
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	f, _ := newTestFront(t, Options{})
	for _, path := range []string{"/", "/page/app.js", "/api/status", "/none", "/livez"} {
		h := request(f, "GET", path).Header()
		if h.Get("Content-Security-Policy") != policy || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", path, h)
		}
		if h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s may be read by other sites", path)
		}
	}
	if h := request(f, "GET", "/api/status").Header(); h.Get("Cache-Control") != "no-store" {
		t.Errorf("/api/status: %v", h)
	}
	if w := request(f, "GET", "/page/app.js"); w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/javascript") {
		t.Errorf("/page/app.js: %d %v", w.Code, w.Header())
	}
	for _, path := range []string{"/page/../front.go", "/page/%2e%2e/front.go", "/page/", "/debug/pprof/", "/debug/pprof/heap", "/metrics"} {
		if w := request(f, "GET", path); w.Code == 200 {
			t.Errorf("%s: %d %.100s", path, w.Code, w.Body)
		}
	}
}

// What clients choose stands in answers as JSON has it: nothing of it is a tag.
func TestHostileNames(t *testing.T) {
	f, _ := newTestFront(t, Options{})
	for _, path := range []string{"/api/conns", "/status", "/api/status"} {
		code, body := get(t, f, path)
		if code != 200 || strings.ContainsAny(body, "<>\u202e\x00\x1b") && !strings.Contains(body, `\u003c`) || strings.Contains(body, "<script") {
			t.Errorf("%s: %d %q", path, code, body)
		}
		if !json.Valid([]byte(body)) {
			t.Errorf("%s is no JSON: %q", path, body)
		}
	}
}

func TestChanges(t *testing.T) {
	f, s := newTestFront(t, Options{Write: true, Host: "127.0.0.1"})
	_, body := get(t, f, "/api/session")
	var session struct {
		Write bool
		Token string
	}
	if err := json.Unmarshal([]byte(body), &session); err != nil || !session.Write || len(session.Token) < 20 {
		t.Fatalf("%s: %v", body, err)
	}
	token := []string{"X-Netserver-Token", session.Token}
	with := func(more ...string) []string { return append(append([]string{}, token...), more...) }
	const kill = "/api/kill?id=2.17"
	for name, tt := range map[string]struct {
		method, target string
		header         []string
		want           int
	}{
		"the page":         {"POST", kill, with("Sec-Fetch-Site", "same-origin", "Origin", "http://127.0.0.1:8080"), 200},
		"an old browser":   {"POST", kill, with("Origin", "http://127.0.0.1:8080"), 200},
		"a program":        {"POST", kill, token, 200},
		"no token":         {"POST", kill, nil, 403},
		"a wrong token":    {"POST", kill, []string{"X-Netserver-Token", "x"}, 403},
		"another site":     {"POST", kill, with("Sec-Fetch-Site", "cross-site"), 403},
		"the same site":    {"POST", kill, with("Sec-Fetch-Site", "same-site"), 403},
		"another origin":   {"POST", kill, with("Origin", "http://evil.example"), 403},
		"no origin":        {"POST", kill, with("Origin", "null"), 403},
		"another port":     {"POST", kill, with("Origin", "http://127.0.0.1:9"), 403},
		"another host":     {"POST", kill, with("Host", "evil.example", "Origin", "http://evil.example"), 403},
		"GET":              {"GET", kill, token, 405},
		"unknown":          {"POST", "/api/kill?id=2.17&x=1", token, 400},
		"twice":            {"POST", "/api/kill?id=2.17&id=2.18", token, 400},
		"ban":              {"POST", "/api/penalties/add?network=192.0.2.0/24&seconds=7", token, 200},
		"ban unreadably":   {"POST", "/api/penalties/add?network=192.0.2.0/24&seconds=%zz", token, 400},
		"ban; half":        {"POST", "/api/penalties/add?network=192.0.2.0/24&seconds=7;x", token, 400},
		"ban for no time":  {"POST", "/api/penalties/add?network=192.0.2.0/24&seconds=0", token, 400},
		"lift":             {"POST", "/api/penalties/lift?network=192.0.2.0/24", token, 200},
		"reload":           {"POST", "/api/reload", token, 405},
		"stop":             {"POST", "/api/stop", token, 405},
		"change by a verb": {"POST", "/api/status", token, 405},
	} {
		s.last.Store(nil)
		w := request(f, tt.method, tt.target, tt.header...)
		if w.Code != tt.want && (tt.want != 405 || w.Code != 404) {
			t.Errorf("%s: status %d, want %d: %s", name, w.Code, tt.want, w.Body)
		}
		if asked := s.last.Load() != nil; asked != (tt.want == 200) {
			t.Errorf("%s: the server was asked: %v", name, asked)
		}
	}
	readOnly, s := newTestFront(t, Options{})
	if w := request(readOnly, "POST", kill, "X-Netserver-Token", ""); w.Code != 403 || s.asked.Load() > 0 {
		t.Errorf("without admin_write: %d", w.Code)
	}
}

func TestErrors(t *testing.T) {
	f, s := newTestFront(t, Options{})
	for path, want := range map[string]int{"/api/conns?limit=x": 400, "/api/conns?limit=10001": 400, "/api/conns?after=x": 400, "/api/conns?limit=5&after=1.2": 200} {
		if code, body := get(t, f, path); code != want || want == 400 && !strings.HasPrefix(body, `{"errors":["`) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	s.fail = &control.Failed{Texts: []string{"no <such> verb"}}
	if code, body := get(t, f, "/api/targets"); code != 400 || body != `{"errors":["no \u003csuch\u003e verb"]}`+"\n" {
		t.Errorf("%d %s", code, body)
	}
	s.fail = control.ErrLost
	if code, _ := get(t, f, "/api/certs"); code != 503 {
		t.Errorf("%d", code)
	}
}

// Streams get ticks; one that takes none is ended, and keeps nobody waiting.
func TestEvents(t *testing.T) {
	f, _ := newTestFront(t, Options{})
	stuck := f.events.join()
	srv := httptest.NewServer(f)
	defer srv.Close()
	resp, err := http.Get(srv.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Errorf("content type %q", ct)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	ticks := 0
	for ticks < tickQueue+1 && lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		ticks++
		var tick map[string]json.RawMessage
		if err := json.Unmarshal([]byte(data), &tick); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"time", "status", "metrics", "targets", "certs", "penalties", "limits"} {
			if v := tick[name]; v == nil || string(v) == "null" {
				t.Errorf("a tick without %s", name)
			}
		}
	}
	if ticks < tickQueue+1 {
		t.Fatalf("%d ticks: %v", ticks, lines.Err())
	}
	n := 0
	for range stuck { // it is closed
		n++
	}
	if n > tickQueue {
		t.Errorf("%d ticks waited", n)
	}
	for range maxStreams + 5 {
		f.events.join()
	}
	if w := request(f, "HEAD", "/events"); w.Code != 200 || w.Body.Len() > 0 {
		t.Errorf("HEAD: %d %s", w.Code, w.Body)
	}
	if w := request(f, "GET", "/events"); w.Code != 503 {
		t.Errorf("one stream too many: %d", w.Code)
	}
	f.Close()
	for lines.Scan() { // the stream ends
	}
}
