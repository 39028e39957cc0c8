package httpd_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
	"netserver/outcome"
)

// A recorder notes what requests reach the handler.
type recorder struct {
	mu  sync.Mutex
	got []string
}

func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if err != nil {
		b = []byte("!")
	}
	rec.got = append(rec.got, r.URL.Path+" "+string(b))
}

func (rec *recorder) paths() string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return strings.Join(rec.got, ", ")
}

// smuggled is a request that must not be seen as one.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

// TestSmuggling: what can be read in two ways is refused, or read in the one way
// that RFC 9112 says: a length beside Transfer-Encoding does not count. What
// follows such a body is the next request then, and no part of this one.
func TestSmuggling(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: x\r\n"
	for _, tt := range []struct {
		name, request string
		status        int
		paths         string
	}{
		{"CL.TE", post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, 200, "/ , /smuggled "},
		{"TE.CL", post + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\nx\r\n0\r\n\r\n" + smuggled, 200, "/ x, /smuggled "},
		{"TE twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + smuggled, 501, ""},
		{"TE list", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + smuggled, 501, ""},
		{"TE disguised", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + smuggled, 501, ""},
		{"TE with a tab", post + "Transfer-Encoding:\tchunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" + smuggled, 200, "/ , /smuggled "},
		{"TE and HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, 200, "/ "},
		{"two lengths", post + "Content-Length: 3\r\nContent-Length: 0\r\n\r\nabc" + smuggled, 400, ""},
		{"two lengths in one", post + "Content-Length: 3, 0\r\n\r\nabc" + smuggled, 400, ""},
		{"signed length", post + "Content-Length: +3\r\n\r\nabc" + smuggled, 400, ""},
		{"hexadecimal length", post + "Content-Length: 0x3\r\n\r\nabc" + smuggled, 400, ""},
		{"space before colon", post + "Content-Length : 3\r\n\r\nabc" + smuggled, 400, ""},
		{"folded length", post + "X: a\r\n Content-Length: 3\r\n\r\n" + smuggled, 200, "/ , /smuggled "},
		{"bare LF", "POST / HTTP/1.1\nHost: x\nContent-Length: 3\n\nabc" + smuggled, 200, "/ abc, /smuggled "},
		{"bare LF in chunks", post + "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n" + smuggled, 200, "/ !"},
		{"CR alone", post + "X: a\rContent-Length: 3\r\n\r\nabc" + smuggled, 400, ""},
		{"folded first line", "POST / HTTP/1.1\r\n Host: x\r\n\r\n" + smuggled, 400, ""},
		{"NUL", post + "X: a\x00b\r\n\r\n" + smuggled, 400, ""},
		{"name with a blank", post + "X Y: 1\r\n\r\n" + smuggled, 400, ""},
		{"no colon", post + "X\r\n\r\n" + smuggled, 400, ""},
		{"two hosts", post + "Host: y\r\n\r\n" + smuggled, 400, ""},
		{"no host", "GET / HTTP/1.1\r\n\r\n" + smuggled, 400, ""},
		{"host with a blank", "GET / HTTP/1.1\r\nHost: x y\r\n\r\n" + smuggled, 400, ""},
		{"version", "GET / HTTP/1.9\r\nHost: x\r\n\r\n" + smuggled, 200, "/ , /smuggled "},
		{"major version", "GET / HTTP/3.0\r\nHost: x\r\n\r\n" + smuggled, 505, ""},
		{"method", "G@T / HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled, 400, ""},
		{"garbage", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := new(recorder)
			r := start(t, rec.ServeHTTP, "tcp")
			c := r.Dial(t, "tcp")
			io.WriteString(c, tt.request)
			if w, ok := c.(interface{ CloseWrite() error }); ok {
				w.CloseWrite()
			}
			b, _ := io.ReadAll(c)
			res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(b))), nil)
			if err != nil {
				t.Fatalf("%q: %v", b, err)
			}
			rc := r.Records(t, 1)[0]
			t.Logf("%d, %q, %v %v", res.StatusCode, rec.paths(), rc.Outcome, rc.Err)
			if res.StatusCode != tt.status || rec.paths() != tt.paths {
				t.Errorf("%d, %q; want %d, %q", res.StatusCode, rec.paths(), tt.status, tt.paths)
			}
			if (rc.Outcome == outcome.BadRequest) != (tt.status >= 400) {
				t.Errorf("%v", rc)
			}
		})
	}
}

// TestOversizeHeads are answered with 431, however they are too long.
func TestOversizeHeads(t *testing.T) {
	for name, head := range map[string]string{
		"target": "GET /" + strings.Repeat("a", 10000),
		"header": "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 10000),
		"many":   "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: a\r\n", 2000),
	} {
		t.Run(name, func(t *testing.T) {
			h := handler(func(w http.ResponseWriter, r *http.Request) { t.Error("it reached the handler") })
			h.MaxHeader = 8000
			r := startWith(t, &netserver.Server{}, h, "tcp")
			c := r.Dial(t, "tcp")
			io.WriteString(c, head)
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || res.StatusCode != 431 {
				t.Errorf("%v, %v", res, err)
			}
			c.Close()
			if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.BadRequest || rec.In > 8000+4096 {
				t.Errorf("%v", rec)
			}
		})
	}
}

// TestHeadOfExactlyMaxHeader is let in.
func TestHeadOfExactlyMaxHeader(t *testing.T) {
	h := handler(func(w http.ResponseWriter, r *http.Request) {})
	h.MaxHeader = 8000
	r := startWith(t, &netserver.Server{}, h, "tcp")
	c := r.Dial(t, "tcp")
	begin, end := "GET / HTTP/1.1\r\nHost: x\r\nX: ", "\r\n\r\n"
	io.WriteString(c, begin+strings.Repeat("a", 8000-len(begin)-len(end))+end)
	if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != 200 {
		t.Errorf("%v, %v", res, err)
	}
}

// TestSlowHeads end within HeaderTimeout, of the first request and of later ones.
func TestSlowHeads(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	defer all.Wait()
	for _, name := range netservertest.Streams() {
		for _, first := range []string{"", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"} {
			for _, part := range []string{"GET", "GET / HTTP/1.1\r\nHost: x\r\nX: "} {
				run := func(t *testing.T) {
					h := handler(func(w http.ResponseWriter, r *http.Request) {})
					h.HeaderTimeout = 3 * time.Second
					r := startWith(t, &netserver.Server{}, h, name)
					c := r.Dial(t, name)
					br := bufio.NewReader(c)
					if io.WriteString(c, first); first != "" {
						if _, err := http.ReadResponse(br, nil); err != nil {
							t.Fatal(err)
						}
					}
					io.WriteString(c, part)
					if b, err := io.ReadAll(br); err != nil {
						t.Errorf("%q, %v", b, err)
					}
					if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.FirstRequest {
						t.Errorf("%v", rec)
					}
				}
				all.Go(func() { t.Run(fmt.Sprintf("%s/%d/%d", name, len(first), len(part)), run) })
			}
		}
	}
}

// TestSilentClients end within HeaderTimeout, and later within IdleTimeout.
func TestSilentClients(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	defer all.Wait()
	for _, name := range netservertest.Streams() {
		for _, first := range []string{"", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"} {
			run := func(t *testing.T) {
				h := handler(func(w http.ResponseWriter, r *http.Request) {})
				h.HeaderTimeout, h.IdleTimeout = 3*time.Second, 50*time.Millisecond
				r := startWith(t, &netserver.Server{}, h, name)
				c := r.Dial(t, name)
				io.WriteString(c, first)
				io.Copy(io.Discard, c)
				want := outcome.Served
				if first == "" {
					want = outcome.FirstRequest
				}
				if rec := r.Records(t, 1)[0]; rec.Outcome != want {
					t.Errorf("after %q: %v", first, rec)
				}
			}
			all.Go(func() { t.Run(fmt.Sprintf("%s/%d", name, len(first)), run) })
		}
	}
}

// TestSlowBodies end by the port's minimum rate, and the handler is told.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	eachAtOnce(t, func(t *testing.T, name, version string) {
		s := &netserver.Server{}
		s.Config.Limits.MinReadRate, s.Config.Limits.MinRateWindow = 1000, 2*time.Second
		failed := make(chan error, 1)
		r := startWith(t, s, handler(func(w http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			failed <- err
		}), name)
		body, more := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			req, _ := http.NewRequestWithContext(ctx, "POST", url(name, "/"), body)
			if res, err := client(t, r, name, version).Do(req); err == nil {
				res.Body.Close()
			}
		}()
		io.WriteString(more, "x")
		if err := within(t, "the end of the body", failed); err == nil {
			t.Error("no error")
		}
		more.Close()
		if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.TooSlow {
			t.Errorf("%v", rec)
		}
	})
}

// TestPlainHTTPOnTLSPorts is told as what it is.
func TestPlainHTTPOnTLSPorts(t *testing.T) {
	r := start(t, func(w http.ResponseWriter, r *http.Request) {}, "ssl")
	c := r.DialRaw(t, "ssl")
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	io.Copy(io.Discard, c)
	if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.NotTLS || !strings.Contains(rec.Err.Error(), "plain HTTP") {
		t.Errorf("%v", rec)
	}
}
