package files_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver/handler/httpd/files"
)

// tree makes a directory with files, and one beside it that links lead to.
func tree(t testing.TB) string {
	t.Helper()
	top := t.TempDir()
	dir := filepath.Join(top, "www")
	for name, text := range map[string]string{
		"secret": "secret", "www/a.txt": "0123456789", "www/index.html": "<p>top", "www/.git/config": "x", "www/.well-known/security.txt": "contact",
		"www/.well-known/.hidden": "x", "www/sub/page.html": "<p>page", "www/<b>.txt": "b", "www/with/index.html": "<p>with", "www/.htaccess": "x",
	} {
		p := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"out": "../secret", "abs": filepath.Join(top, "secret"), "in": "a.txt", "up": "..", "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	return dir
}

func ask(h http.Handler, method, target string, header ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(res *http.Response) string { b, _ := io.ReadAll(res.Body); return string(b) }

// TestFiles: what is served, what is redirected, and what is not there.
func TestFiles(t *testing.T) {
	h := &files.Handler{Dir: tree(t)}
	if err := h.Open(); err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for _, tt := range []struct {
		target string
		status int
		want   string // of the body, or where to
	}{
		{"/a.txt", 200, "0123456789"}, {"/", 200, "<p>top"}, {"/in", 200, "0123456789"},
		{"/sub/page.html", 200, "<p>page"}, {"/sub//page.html", 200, "<p>page"}, {"/with/", 200, "<p>with"},
		{"/sub", 301, "./sub/"}, {"/sub?x=1", 301, "./sub/?x=1"}, {"/sub/", 404, ""}, {"/a.txt/", 404, ""}, {"/none", 404, ""},
		{"/out", 404, ""}, {"/abs", 404, ""}, {"/up/secret", 404, ""}, {"/loop", 404, ""},
		{"/../secret", 404, ""}, {"/%2e%2e/secret", 404, ""}, {"/..%2fsecret", 404, ""}, {"/%5c..%5csecret", 404, ""}, {"/a.txt%00", 404, ""},
		{"/.git/config", 404, ""}, {"/.htaccess", 404, ""}, {"/.well-known/security.txt", 200, "contact"}, {"/.well-known/.hidden", 404, ""}, {"/sub/../.git/config", 404, ""},
	} {
		res := ask(h, "GET", tt.target)
		got := body(res)
		if res.StatusCode == 301 {
			got = res.Header.Get("Location")
		}
		if res.StatusCode != tt.status || tt.want != "" && got != tt.want || strings.Contains(got, "secret") {
			t.Errorf("%s: %d %q, want %d %q", tt.target, res.StatusCode, got, tt.status, tt.want)
		}
	}
	if res := ask(h, "POST", "/a.txt"); res.StatusCode != 405 || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %v", res)
	}
}

// TestRangesAndDates are those of http.ServeContent.
func TestRangesAndDates(t *testing.T) {
	h := &files.Handler{Dir: tree(t)}
	defer h.Close()
	if res := ask(h, "GET", "/a.txt", "Range", "bytes=2-4"); res.StatusCode != 206 || body(res) != "234" {
		t.Errorf("a range: %v", res)
	}
	res := ask(h, "HEAD", "/a.txt")
	if res.StatusCode != 200 || body(res) != "" || res.Header.Get("Content-Length") != "10" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("HEAD: %v", res)
	}
	if res := ask(h, "GET", "/a.txt", "If-Modified-Since", res.Header.Get("Last-Modified")); res.StatusCode != 304 {
		t.Errorf("not modified: %v", res)
	}
	if res := ask(h, "GET", "/a.txt", "If-Modified-Since", time.Unix(1, 0).UTC().Format(http.TimeFormat)); res.StatusCode != 200 {
		t.Errorf("modified: %v", res)
	}
}

// TestListings are escaped, and have no names that are not served.
func TestListings(t *testing.T) {
	dir := tree(t)
	os.Remove(filepath.Join(dir, "index.html"))
	h := &files.Handler{Dir: dir, Listings: true}
	defer h.Close()
	got := body(ask(h, "GET", "/"))
	if !strings.Contains(got, `<a href="./%3Cb%3E.txt">&lt;b&gt;.txt</a>`) || !strings.Contains(got, `<a href="./sub/">sub/</a>`) || strings.Contains(got, ".git") {
		t.Error(got)
	}
	all := &files.Handler{Dir: dir, Listings: true, Dotfiles: true}
	defer all.Close()
	if got := body(ask(all, "GET", "/")); !strings.Contains(got, ".git") {
		t.Error(got)
	}
	if got := body(ask(all, "GET", "/.git/config")); got != "x" {
		t.Error(got)
	}
}

// TestOpenSaysWhatIsWrong before the first request.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	for _, dir := range []string{"", filepath.Join(t.TempDir(), "none")} {
		if err := (&files.Handler{Dir: dir}).Open(); err == nil || !strings.HasPrefix(err.Error(), "files: ") {
			t.Errorf("%q: %v", dir, err)
		}
	}
}

// FuzzPaths: no path of a request leads out of the directory.
func FuzzPaths(f *testing.F) {
	h := &files.Handler{Dir: tree(f), Dotfiles: true}
	f.Cleanup(func() { h.Close() })
	for _, s := range []string{"/a.txt", "/../secret", "//up/secret", "/sub/../../secret", "/abs", "\\..\\secret"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, p string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = p
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if strings.HasPrefix(w.Body.String(), "secret") {
			t.Errorf("%q leads out", p)
		}
	})
}
