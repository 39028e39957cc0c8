package redirect_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"netserver/handler/httpd/redirect"
)

func serves(host string) bool {
	return host == "a.example" || host == "192.0.2.7" || host == "2001:db8::1"
}

// Requests are led to https at the host that they are for, and to no other.
func TestRedirects(t *testing.T) {
	for _, c := range []struct {
		port         int
		method, host string
		target, want string
	}{
		{0, "GET", "a.example", "/", "https://a.example/"},
		{443, "GET", "a.example:80", "/x%2Fy?a=b&c=%0d%0a", "https://a.example/x%2Fy?a=b&c=%0d%0a"},
		{8443, "GET", "A.Example.:8080", "/x", "https://a.example:8443/x"},
		{0, "POST", "a.example", "/form", "https://a.example/form"},
		{0, "HEAD", "a.example", "/", "https://a.example/"},
		{0, "GET", "a.example", "//evil.example/", "https://a.example//evil.example/"},
		{0, "GET", "a.example", "/../../x", "https://a.example/../../x"},
		{0, "GET", "a.example", "/%0d%0aSet-Cookie:%20a", "https://a.example/%0d%0aSet-Cookie:%20a"},
		{0, "GET", "192.0.2.7:80", "/", "https://192.0.2.7/"},
		{0, "GET", "[2001:DB8::1]:80", "/", "https://[2001:db8::1]/"},
		{8443, "GET", "[2001:db8::1]", "/", "https://[2001:db8::1]:8443/"},
		{0, "GET", "http:", "http://a.example/x", "https://a.example/x"},

		{0, "GET", "evil.example", "/", ""},
		{0, "GET", "a.example.evil.example", "/", ""},
		{0, "GET", "", "/", ""},
		{0, "GET", ".", "/", ""},
		{0, "GET", "a.example@evil.example", "/", ""},
		{0, "GET", "a.example/x", "/", ""},
		{0, "GET", "2001:db8::1", "/", ""},
		{0, "GET", "[a.example]", "/", ""},
		{0, "GET", "[192.0.2.7]", "/", ""},
		{0, "GET", "[2001:db8::1", "/", ""},
		{0, "GET", strings.Repeat("a.", 200) + "example", "/", ""},
		{0, "GET", "a.example\r\nX: y", "/", ""},
		{0, "CONNECT", "a.example:443", "a.example:443", ""},
		{0, "GET", "a.example", "mailto:x", ""},
	} {
		r := &http.Request{Method: c.method, Host: c.host, Header: http.Header{}}
		if r.URL = parse(t, c.target); r.URL.Host != "" && c.method != "CONNECT" {
			r.Host = r.URL.Host // as net/http has it
		}
		w := httptest.NewRecorder()
		h := &redirect.Handler{Port: c.port, Serves: serves}
		h.ServeHTTP(w, r)
		status := http.StatusPermanentRedirect
		if c.want == "" {
			status = http.StatusNotFound
		}
		if got := w.Header().Get("Location"); got != c.want || w.Code != status {
			t.Errorf("%s %q at %q: %d %q, want %q", c.method, c.target, c.host, w.Code, got, c.want)
		}
	}
	w := httptest.NewRecorder()
	(&redirect.Handler{}).ServeHTTP(w, httptest.NewRequest("GET", "http://a.example/", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("a Handler that serves no host: %d", w.Code)
	}
	if (&redirect.Handler{Port: -1}).Check() == nil || (&redirect.Handler{Port: 1 << 16}).Check() == nil || (&redirect.Handler{}).Check() != nil {
		t.Error("a port that is none")
	}
}

func parse(t *testing.T, target string) *url.URL {
	t.Helper()
	if rest, ok := strings.CutPrefix(target, "a.example:"); ok {
		return &url.URL{Host: "a.example:" + rest} // of CONNECT
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Whatever a client says, it is led to a host that is served, on one line.
func FuzzRedirect(f *testing.F) {
	f.Add("a.example", "/x?y")
	f.Add("a.example:80@evil.example", "//evil.example")
	f.Add("[2001:db8::1]:1", "http://a.example/")
	f.Fuzz(func(t *testing.T, host, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		h := &redirect.Handler{Serves: serves}
		h.ServeHTTP(w, &http.Request{Method: "GET", Host: host, URL: u, Header: http.Header{}})
		to := w.Header().Get("Location")
		if to == "" {
			return
		}
		at, err := url.Parse(to)
		if err != nil || at.Scheme != "https" || !serves(at.Hostname()) || at.User != nil || strings.ContainsAny(to, "\r\n") {
			t.Errorf("%q at %q: %q, %v", target, host, to, err)
		}
	})
}
