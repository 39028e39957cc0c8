package apps_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"netserver/handler/httpd/apps"
	"netserver/handler/httpd/cgi"
)

// As Net::Server::HTTP has logged them for the same texts.
func TestPaths(t *testing.T) {
	for _, c := range []struct{ text, path, target string }{
		{"/env /x/env.cgi", "/env", "/x/env.cgi"},
		{"/nohead=/x/nohead.cgi", "/nohead", "/x/nohead.cgi"},
		{"/nothing  /x/y", "/nothing", "/x/y"},
		{"nph /x/y", "/nph", "/x/y"},
		{"/a/b/ /x", "/a/b/", "/x"},
		{"//x/./y/../z /x", "/x/z", "/x"},
		{"../../up /x", "/up", "/x"},
		{"/x/env.cgi", "/x/env.cgi", "/x/env.cgi"},
		{"a=b c=d", "/a=b", "c=d"},
		{"/q q /e=f g", "/q", "q /e=f g"},
		{"/=./bar.cgi", "/", "./bar.cgi"},
	} {
		path, target := apps.Split(c.text)
		if path = apps.Path(path); path != c.path || target != c.target {
			t.Errorf("%q: %q => %q", c.text, path, target)
		}
	}
}

func table(paths ...string) *apps.Table {
	var t apps.Table
	for i, p := range paths {
		t.Add(p, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var o cgi.Origin
			fmt.Fprintf(w, "%d %s|%s", i, o.Var(r, "SCRIPT_NAME"), o.Var(r, "PATH_INFO"))
		}))
	}
	t.Close()
	return &t
}

func TestDispatch(t *testing.T) {
	for _, c := range []struct{ paths, request, want string }{
		{"/env /cat /a/b/", "/env", "0 /env|"},
		{"/env /cat /a/b/", "/env/", "0 /env|/"},
		{"/env /cat /a/b/", "/env/x%20y?a=b", "0 /env|/x y"},
		{"/env /cat /a/b/", "/envx", "0 /|/envx"},
		{"/env /cat /a/b/", "/", "0 /|"},
		{"/env /cat /a/b/", "/a/b/c", "2 /a/b/|/c"},
		{"/env /cat /a/b/", "/a/b", "0 /|/a/b"},
		{"/env /cat /a/b/", "/env%2f", "0 /|/env/"},
		{"/env /cat /a/b/", "/env//a/../b", "0 /env|//a/../b"},
		{"/ /cat", "/cat", "0 /|/cat"},
		{"/cat /", "/cat", "0 /cat|"},
		{"/cat /", "/dog", "1 /|/dog"},
		{"/a /a/b", "/a/b", "0 /a|/b"},
	} {
		w := httptest.NewRecorder()
		table(strings.Fields(c.paths)...).ServeHTTP(w, httptest.NewRequest("GET", c.request, nil))
		if w.Body.String() != c.want {
			t.Errorf("%s: %s: %q, want %q", c.paths, c.request, w.Body, c.want)
		}
	}
	w := httptest.NewRecorder()
	table("/x").ServeHTTP(w, httptest.NewRequest("OPTIONS", "*", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("*: %d", w.Code)
	}
	var twice apps.Table
	if !twice.Add("/x", http.NotFoundHandler()) || twice.Add("/x", http.NotFoundHandler()) || !twice.Close() || twice.Close() {
		t.Error("a path is there twice")
	}
}
