//go:build unix

package main_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Programs, files and targets serve requests on each kind of port, HTTP/2 too
// where TLS is.
func TestHTTPOnEveryPort(t *testing.T) {
	target := start(t, "HTTP", "--port", "127.0.0.1:0", "--", cgiScript(t, `cat >/dev/null; `+plain+`echo "target $HTTP_X_FORWARDED_PROTO"`))
	defer target.stop()
	script := cgiScript(t, plain+`printf 'program %s ' "$HTTPS"; cat`)
	dir := filepath.Dir(script)
	root := filepath.Join(dir, "www")
	os.Mkdir(root, 0o755)
	if err := os.WriteFile(filepath.Join(root, "index.html"), []byte("file\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	handlers := []string{fmt.Sprintf("http = true\nprogram = [%q]", script), fmt.Sprintf("http_root = %q", root), fmt.Sprintf("http = true\nproxy_to = %q", target.addr(0))}
	sockets := t.TempDir()
	var conf strings.Builder
	conf.WriteString("SSL_cert_file = \"self-signed\"\n")
	var unix []string
	for i, h := range handlers {
		for _, kind := range []string{"unix", "unixssl"} {
			path := filepath.Join(sockets, fmt.Sprint(i, kind))
			unix = append(unix, path)
			fmt.Fprintf(&conf, "[[listen]]\nport = %q\n%s\n", path+"|"+kind, h)
		}
		for j, proto := range []string{"tcp", "ssl"} {
			fmt.Fprintf(&conf, "[[listen]]\nport = \"127.0.%d.%d:0/%s\"\n%s\n", i+1, j+1, proto, h)
		}
	}
	file := filepath.Join(dir, "server.toml")
	if err := os.WriteFile(file, []byte(conf.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	s := start(t, "--conf_file", file)
	ask := func(handler int, network, addr string, secure, two bool) (string, error) {
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: two,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, addr)
			}}
		defer tr.CloseIdleConnections()
		scheme := "http"
		if secure {
			scheme = "https"
		}
		method, body := "POST", "body\n"
		if handler == 1 { // files
			method, body = "GET", ""
		}
		req, err := http.NewRequest(method, scheme+"://localhost/", strings.NewReader(body))
		if err != nil {
			return "", err
		}
		resp, err := (&http.Client{Transport: tr, Timeout: patience}).Do(req)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if want := map[bool]int{false: 1, true: 2}[two]; resp.ProtoMajor != want {
			err = fmt.Errorf("HTTP/%d", resp.ProtoMajor)
		}
		return fmt.Sprint(resp.StatusCode, " ", string(b)), err
	}
	want := func(handler int, secure bool) string {
		return [3]string{
			map[bool]string{false: "200 program  body\n", true: "200 program on body\n"}[secure],
			"200 file\n",
			map[bool]string{false: "200 target http\n", true: "200 target https\n"}[secure],
		}[handler]
	}
	check := func(handler int, network, addr string, secure bool) {
		for _, two := range []bool{false, true} {
			if two && !secure {
				continue
			}
			if got, err := ask(handler, network, addr, secure, two); got != want(handler, secure) || err != nil {
				t.Errorf("%s, HTTP/2 %v: %q, %v; want %q", addr, two, got, err, want(handler, secure))
			}
		}
	}
	s.port(2*len(handlers) - 1) // every socket is there
	for i := range handlers {
		check(i, "unix", unix[2*i], false)
		check(i, "unix", unix[2*i+1], true)
	}
	for n := 0; n < 2*len(handlers); n++ {
		check(n/2, "tcp", fmt.Sprintf("127.0.%d.%d:%s", n/2+1, n%2+1, s.port(n)), n%2 == 1)
	}
	s.stop()
}
