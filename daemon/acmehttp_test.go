//go:build unix

package daemon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"netserver"
	"netserver/daemon"
	"netserver/handler/httpd"
	"netserver/handler/httpd/challenge"
)

// webGet asks a port for a path at a host, without following it anywhere.
func webGet(t *testing.T, addr, host, path string) (status int, location, body string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Host = host
	tr := &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: time.Minute}
	resp, err := tr.RoundTrip(q)
	if err != nil {
		t.Errorf("%s at %s: %v", path, host, err)
		return 0, "", ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header.Get("Location"), string(b)
}

// printed returns the conf file with a text in it that a page shows.
func printed(t *testing.T, page, with string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	for block := range strings.SplitSeq(string(b), "```toml\n") {
		if text, _, ok := strings.Cut(block, "```"); ok && strings.Contains(text, with) {
			return text
		}
	}
	t.Fatalf("%s shows no conf file with %s", page, with)
	return ""
}

// The conf file of docs/ACME.md, with other ports: that for HTTP answers the
// authority, in every process, and leads clients to https at the names that there
// are certificates for, and nowhere else.
func TestACMEByHTTP(t *testing.T) {
	both(t, func(t *testing.T, supervisor string) {
		t.Parallel()
		web, conf := webPort(t)
		p := startPebble(t, quarter, conf)
		dir := openDir(t)
		text := strings.NewReplacer(`"443/ssl"`, `"127.0.0.1:`+p.port+`/ssl"`, "= 80\n", `= "127.0.0.1:`+web+"\"\n", "= 443 ", "= "+p.port+" ",
			"www.example.com", "a.example", "example.com", "b.example", "/var/lib/netserver/acme", dir+"/a", "127.0.0.1:8080", "127.0.0.1:1").Replace(printed(t, "ACME.md", "http-01"))
		args := []string{"--conf_file", writeFile(t, filepath.Join(dir, "acme.toml"), text), "--acme_directory", p.directory, "--acme_ca_file", p.caFile, "--log_level", "3"}
		if supervisor == "0" {
			args = append(args, "--supervisor", "0", "--user", "root")
		} else {
			args = append([]string{"PreForkSimple", "--max_servers", "2", "--admin", "127.0.0.1:0"}, args...)
		}
		r := start(t, args...)
		p.awaitIssued(t, "a.example", nil)
		p.awaitIssued(t, "b.example", nil)
		r.wait(obtained, 1)
		r.wait("acme: certificate for b.example obtained", 1)
		r.wait(`http=http/1 requests=1 err="a certificate authority has seen the answer to its challenge: \"a.example\""`, 1)
		https := "https://a.example"
		if p.port != "443" {
			https += ":" + p.port
		}
		for _, c := range []struct {
			host, path string
			status     int
			location   string
		}{
			{"a.example", "/x?y=%20z", 308, https + "/x?y=%20z"},
			{"A.Example.:8080", "/", 308, https + "/"},
			{"a.example", "/.well-known/acme-challenge/x", 308, https + "/.well-known/acme-challenge/x"},
			{"c.example", "/", 404, ""},
			{"a.example.evil.example", "/", 404, ""},
			{"127.0.0.1", "/", 404, ""},
		} {
			if status, location, _ := webGet(t, "127.0.0.1:"+web, c.host, c.path); status != c.status || location != c.location {
				t.Errorf("%s at %s: %d %q", c.path, c.host, status, location)
			}
		}
		checkModes(t, filepath.Join(dir, "a"))
		if status := r.end(syscall.SIGTERM); status != 0 {
			t.Errorf("status %d", status)
		}
		if strings.Contains(r.text(), "acme: no certificate") || strings.Contains(r.text(), "ended unexpectedly") {
			t.Error("an order or a process failed")
		}
	})
}

// A server that serves files by HTTP and HTTPS answers before its files, while
// an order is open.
func TestACMEByHTTPBeforeAHandler(t *testing.T) {
	t.Parallel()
	web, conf := webPort(t)
	p := startPebble(t, quarter, conf)
	dir := openDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "www", ".well-known", "acme-challenge"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "www", "index.html"), "the site")
	writeFile(t, filepath.Join(dir, "www", ".well-known", "acme-challenge", "other"), "another client's")
	r := start(t, append([]string{"HTTP", "--port", "127.0.0.1:" + web, "--http_root", filepath.Join(dir, "www"), "--acme_challenge", "http-01", "--admin", "127.0.0.1:0/ssl"},
		p.keys(filepath.Join(dir, "acme"), "--acme_domains", "a.example")...)...)
	p.awaitIssued(t, "a.example", nil)
	r.wait("challenge answered", 1)
	r.wait("the admin process serves", 1) // with the same certificates
	if strings.Contains(r.text(), "ended unexpectedly") {
		t.Error("a process failed")
	}
	for path, want := range map[string]string{"/": "the site", "/.well-known/acme-challenge/other": "another client's"} {
		if status, _, body := webGet(t, "127.0.0.1:"+web, "a.example", path); status != 200 || body != want {
			t.Errorf("%s: %d %q", path, status, body)
		}
	}
}

// webProgram is a program of a library's user that serves HTTP.
func webProgram(says bool) int {
	answers := new(challenge.Answers)
	site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "the site") })
	s := &netserver.Server{Handler: &httpd.Handler{Handler: answers.Handler(site)}}
	var c daemon.Config
	if says {
		c.ACME.Answers = answers
	}
	if err := daemon.Run(context.Background(), s, c, daemon.Hooks{}, daemon.Layers(os.Args[1:], os.Environ())...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A program in Go asks Answers; one that does not say who answers is refused.
func TestACMEByHTTPOfAProgram(t *testing.T) {
	t.Parallel()
	web, conf := webPort(t)
	p := startPebble(t, quarter, conf)
	lib := startProgram(t, os.Args[0], "web", append([]string{"--port", "127.0.0.1:" + web, "--acme_challenge", "http-01"},
		p.keys(filepath.Join(openDir(t), "acme"), "--acme_domains", "a.example")...)...)
	p.awaitIssued(t, "a.example", nil)
	lib.wait(obtained, 1)
	r := startProgram(t, os.Args[0], "web without answers", "--port", "127.0.0.1:0/ssl", "--acme_domains", "a.example", "--acme_agree", "1", "--acme_storage", filepath.Join(openDir(t), "acme"), "--acme_challenge", "http-01")
	if r.status(); r.cmd.ProcessState.ExitCode() == 0 || !strings.Contains(r.text(), "set Config.ACME.Answers") {
		t.Errorf("status %d: %s", r.cmd.ProcessState.ExitCode(), r.text())
	}
}

// A reload while the authority looks takes nothing away: processes that start
// meanwhile answer as well.
func TestACMEReloadWhileAChallengeIsOpen(t *testing.T) {
	t.Parallel()
	web, conf := webPort(t)
	p := startPebble(t, quarter, conf)
	dir := openDir(t)
	// The authority comes by way of us, and waits there.
	behind := freePort(t)
	l, err := net.Listen("tcp", "127.0.0.1:"+web)
	if err != nil {
		t.Fatal(err)
	}
	asked, on := make(chan string, 100), make(chan struct{})
	front := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		asked <- q.URL.Path
		<-on
		status, _, body := webGet(t, "127.0.0.1:"+behind, q.Host, q.URL.Path)
		w.WriteHeader(status)
		io.WriteString(w, body)
	})}
	go front.Serve(l)
	release := sync.OnceFunc(func() { close(on) })
	t.Cleanup(func() { release(); front.Shutdown(context.WithoutCancel(t.Context())) })
	r := start(t, p.byHTTP(t, dir, "a", "127.0.0.1:"+behind, "acme_domains = 'a.example'")...)
	r.serving()
	worker, path := r.only(), ""
	for orders := 1; ; orders++ {
		for last := path; path == last; path = <-asked { // there are several looks of one order
		}
		r.signal(syscall.SIGHUP)
		worker = r.only(worker)
		status, _, body := webGet(t, "127.0.0.1:"+behind, "a.example", path)
		if status == 200 && strings.HasPrefix(body, path[len(challenge.Path):]+".") {
			break
		}
		if strings.Count(r.text(), "acme: no certificate") < orders { // else pebble has lost its patience
			t.Fatalf("%d %q", status, body)
		}
	}
	if status, _, body := webGet(t, "127.0.0.1:"+behind, "b.example", path); status != 404 {
		t.Errorf("another name: %d %q", status, body)
	}
	release()
	p.awaitIssued(t, "a.example", nil)
	if status, _, _ := webGet(t, "127.0.0.1:"+behind, "a.example", path); status != 308 {
		t.Errorf("after the order: %d", status)
	}
}

// Where nobody answers at port 80 the authority's reason is told in one line, and
// the server goes on.
func TestACMEByHTTPUnreachable(t *testing.T) {
	t.Parallel()
	p := startPebble(t, quarter, map[string]any{"httpPort": 1}) // nobody is there
	r := start(t, p.byHTTP(t, openDir(t), "a", "127.0.0.1:"+freePort(t), "acme_domains = 'a.example'")...)
	r.serving()
	r.wait("acme: no certificate for a.example: the challenge: ", 1)
	for line := range strings.Lines(r.text()) {
		if strings.Contains(line, "acme: no certificate") && (!strings.Contains(line, "urn:ietf:params:acme:error:connection") || !strings.Contains(line, "clients get one that nobody has signed; next try on 20")) {
			t.Errorf("the line does not say why, and what now: %s", line)
		}
	}
	if c, err := p.shown("a.example"); err != nil || c.Issuer.CommonName != "a.example" {
		t.Errorf("%v", err)
	}
}

// --check says by which challenge certificates would be ordered, and refuses one
// that nobody would answer.
func TestACMEChecksTheChallenge(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	acme := []string{"--acme_domains", "b.example,a.example", "--acme_agree", "1", "--acme_storage", filepath.Join(dir, "acme")}
	file := func(text string) []string {
		return append([]string{"--conf_file", writeFile(t, filepath.Join(t.TempDir(), "x.toml"), text)}, acme...)
	}
	tls := "[[listen]]\nport = '127.0.0.1:0/ssl'\necho = 'raw'\n"
	command := append([]string{"--port", "127.0.0.1:0/ssl"}, acme...)
	with := func(args []string, more ...string) []string { return append(args[:len(args):len(args)], more...) }
	byHTTP := []string{"--acme_challenge", "http-01"}
	for _, tc := range []struct {
		args []string
		by   string // what is said
		want string // or the error
	}{
		{command, "tls-alpn-01", ""},
		{with(command, "--acme_challenge", "tls-alpn-01"), "tls-alpn-01", ""},
		{with(file(tls+"[[listen]]\nport = '127.0.0.1:0'\nhttp_redirect = 443\n"), byHTTP...), "http-01", ""},
		{with(file(tls+"[[listen]]\nport = '127.0.0.1:0'\nhttp = true\nproxy_to = '127.0.0.1:9'\n"), byHTTP...), "http-01", ""},
		{with(file("[[listen]]\nport = '127.0.0.1:0/ssl'\nhttp = true\n"), byHTTP...), "http-01", ""},
		{with(file(tls+"[[listen]]\nport = '127.0.0.1:0'\n[[listen.route]]\nbegins = 'http'\nhttp_redirect = 443\n[[listen.route]]\necho = 'raw'\n"), byHTTP...), "http-01", ""},
		{with(command, byHTTP...), "", "acme_challenge: http-01 is answered by HTTP, and no port here serves that"},
		{with(file(tls+"[[listen]]\nport = '127.0.0.1:0'\necho = 'raw'\n"), byHTTP...), "", "add a [[listen]] with port = 80 and http_redirect = 443"},
		{with(command, "--acme_challenge", "dns-01"), "", "acme_challenge"},
		{[]string{"--port", "127.0.0.1:0", "--acme_challenge", "http-01"}, "", "acme_challenge"},
		{with(file(tls+"[[listen]]\nport = '127.0.0.1:0/ssl'\nhttp_redirect = 443\n"), byHTTP...), "", "http_redirect is for ports without TLS"},
		{[]string{"--port", "127.0.0.1:0", "--http_redirect", "443"}, "", "http_redirect leads to hosts that this server has certificates for, and it has no TLS port"},
		{with(file(tls+"[[listen]]\nport = '127.0.0.1:0'\nhttp_redirect = 0\n"), byHTTP...), "", "http_redirect"},
		{with(file(tls+"[[listen]]\nport = '127.0.0.1:0'\nhttp_redirect = 443\nproxy_to = '127.0.0.1:9'\n"), byHTTP...), "", "are both given"},
	} {
		r := start(t, append(tc.args, "--check")...)
		r.status()
		if ok := r.cmd.ProcessState.ExitCode() == 0; ok != (tc.want == "") || !strings.Contains(r.text(), tc.want) {
			t.Errorf("%q: status %d, want %q: %s", tc.args, r.cmd.ProcessState.ExitCode(), tc.want, r.text())
			continue
		}
		if tc.want != "" {
			continue
		}
		var out struct {
			ACME *struct {
				Directory, Challenge string
				Names                []string
			} `json:"acme"`
		}
		if err := json.NewDecoder(strings.NewReader(r.text()[strings.IndexByte(r.text(), '{'):])).Decode(&out); err != nil || out.ACME == nil || out.ACME.Challenge != tc.by || strings.Join(out.ACME.Names, " ") != "a.example b.example" || !strings.HasPrefix(out.ACME.Directory, "https://") {
			t.Errorf("%q: %+v, %v", tc.args, out.ACME, err)
		}
	}
}
