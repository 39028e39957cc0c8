package idle_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
	res, err = http.Get(server(t, 50*time.Millisecond, func(w http.ResponseWriter, r *http.Request) {
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
	const d = 400 * time.Millisecond
	began := time.Now()
	r, w := io.Pipe()
	pieces := 0
	go func() {
		defer w.Close()
		for time.Since(began) < 2*d {
			io.WriteString(w, "x")
			time.Sleep(d / 20) // a slow client
		}
	}()
	res, err := http.Post(server(t, d, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil || len(b) == 0 {
			t.Error(err)
		}
		for time.Since(began) < 4*d {
			io.WriteString(w, "y")
			w.(http.Flusher).Flush()
			pieces++
			time.Sleep(d / 20) // a slow handler
		}
	}), "", r)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(res.Body); len(b) != pieces || err != nil {
		t.Errorf("%d of %d, %v", len(b), pieces, err)
	}
	res, err = http.Get(server(t, 0, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "none") }))
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(res.Body); string(b) != "none" {
		t.Errorf("%s", b)
	}
}
