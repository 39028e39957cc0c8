package httpd_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"netserver/netservertest"
	"netserver/outcome"
)

// TestCurl over each kind of port and in each version of HTTP.
func TestCurl(t *testing.T) {
	curl := netservertest.Peer(t, "curl")
	each(t, func(t *testing.T, name, version string) {
		r := start(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s %s\n", r.Proto, r.URL.Path) }, name)
		to := r.Addr(t, name)
		args := []string{"-sS", "--insecure"}
		switch {
		case strings.HasPrefix(name, "unix"):
			args = append(args, "--unix-socket", to.String())
		default:
			_, port, _ := strings.Cut(to.String(), ":")
			args = append(args, "--connect-to", "::127.0.0.1:"+port)
		}
		want := "HTTP/1.1"
		switch {
		case version == "http/1.1":
			args = append(args, "--http1.1")
		case isTLS(name):
			args, want = append(args, "--http2"), "HTTP/2.0"
		default:
			args, want = append(args, "--http2-prior-knowledge"), "HTTP/2.0"
		}
		answer, requests := want+" /a\n"+want+" /b\n", "requests=2"
		args = append(args, url(name, "/a"))
		if want == "HTTP/2.0" && !isTLS(name) {
			// curl 7.88 begins anew with each request of such a connection.
			answer, requests = want+" /a\n", "requests=1"
		} else {
			args = append(args, url(name, "/b"))
		}
		out, err := exec.Command(curl, args...).CombinedOutput()
		if got := string(out); err != nil || got != answer {
			t.Errorf("%q, %v", got, err)
		}
		if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.Served || !strings.Contains(fmt.Sprint(rec.Notes), requests) {
			t.Errorf("%v", rec)
		}
	})
}

// TestChromium loads a page over HTTP/2.
func TestChromium(t *testing.T) {
	chromium := netservertest.Peer(t, "chromium")
	r := start(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "<p>by %s", r.Proto) }, "ssl")
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), chromium, "--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors",
		"--no-proxy-server", "--disable-background-networking", "--user-data-dir="+dir, "--dump-dom", "https://"+r.Addr(t, "ssl").String()+"/")
	out, err := cmd.Output()
	if !strings.Contains(string(out), "by HTTP/2.0") {
		t.Errorf("%q, %v", out, err)
	}
}
