package idle_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netserver/handler/httpd/idle"
)

func server(t *testing.T, d time.Duration, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(idle.Handler(h, func(*http.Request) time.Duration { return d }))
	t.Cleanup(s.Close)
	return s.URL
}

// A request in which nothing moves is answered, if nothing has been sent, or
// else cut.
func TestIdle(t *testing.T) {
	waits := func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		if context.Cause(r.Context()) != idle.ErrIdle {
			t.Error(context.Cause(r.Context()))
		}
	}
	res, err := http.Get(server(t, 50*time.Millisecond, waits))
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(res.Body); res.StatusCode != 500 || !strings.Contains(string(b), "<p>Server Timeout on process\n</p>") {
		t.Errorf("%s %s", res.Status, b)
	}
	res, err = http.Get(server(t, time.Second, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "part")
		w.(http.Flusher).Flush()
		waits(w, r)
	}))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(res.Body); string(b) != "part" || err == nil {
		t.Errorf("%s, %v", b, err)
	}
}

// One in which something moves goes on for as long as it does, whichever way.
func TestMoving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := idle.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if b, err := io.ReadAll(r.Body); err != nil || len(b) != 10 {
				t.Error(len(b), err)
			}
			for range 10 {
				time.Sleep(40 * time.Second)
				io.WriteString(w, "y")
			}
			if err := context.Cause(r.Context()); err != nil {
				t.Error(err)
			}
		}), func(*http.Request) time.Duration { return time.Minute })
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/", io.LimitReader(slow{}, 10)))
		if w.Body.String() != "yyyyyyyyyy" || w.Code != 200 {
			t.Error(w)
		}
	})
	res, err := http.Get(server(t, 0, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "none") }))
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(res.Body); string(b) != "none" {
		t.Errorf("%s", b)
	}
}

// slow is a client that sends a byte in 40 seconds.
type slow struct{}

func (slow) Read(b []byte) (int, error) {
	time.Sleep(40 * time.Second)
	b[0] = 'x'
	return 1, nil
}

// TestLongFiles are sent whole, and no more of them than was asked for.
func TestLongFiles(t *testing.T) {
	const size = 3<<20 + 5
	content := strings.NewReader(strings.Repeat("x", size))
	url := server(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/copy" {
			w.WriteHeader(http.StatusOK)
			w.(io.ReaderFrom).ReadFrom(strings.NewReader(strings.Repeat("x", size)))
			return
		}
		http.ServeContent(w, r, "x", time.Time{}, content)
	})
	for path, asked := range map[string]string{"/": "", "/range": "bytes=1-2097160", "/copy": ""} {
		req, _ := http.NewRequest("GET", url+path, nil)
		want := size
		if asked != "" {
			req.Header.Set("Range", asked)
			want = 2097160
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); len(b) != want || err != nil {
			t.Errorf("%s: %d bytes of %d, %v", path, len(b), want, err)
		}
		res.Body.Close()
	}
}

// TestAnswerInPlace: what a handler begins to say when its time is up is the
// answer.
func TestAnswerInPlace(t *testing.T) {
	res, err := http.Get(server(t, 10*time.Millisecond, func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		http.Error(w, "its own", http.StatusGatewayTimeout)
	}))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(res.Body); res.StatusCode != 504 || string(b) != "its own\n" || err != nil {
		t.Errorf("%s %q %v", res.Status, b, err)
	}
}
