package proxy_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netserver"
	"netserver/handler/proxy"
	"netserver/netservertest"
	"netserver/tlsparams/outbound"
)

// pemOf writes a certificate with its chain and key into one file.
func pemOf(t *testing.T, p netservertest.Pair) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "both.pem")
	p.WriteBoth(t, file, 0o600)
	return file
}

// through is what a client is told that says text and then nothing more, by a
// target that is spoken to over TLS as p says.
func through(t *testing.T, target string, p outbound.Params, text string) string {
	t.Helper()
	f := serve(t, "tcp", &proxy.Handler{Target: target, TLS: overTLS(t, p)}, netserver.Config{})
	c := f.dial(t)
	send(t, c, text)
	must(t, c.CloseWrite())
	b, err := io.ReadAll(c)
	if r := f.record(t); err != nil || r.Err != nil {
		t.Errorf("%v; record: %v", err, r.Err)
	}
	return string(b)
}

// The TLS servers of others as targets, each of which knows by our certificate
// who we are: what stunnel's client mode is for.
func TestTLSServersAsTargets(t *testing.T) {
	ca := netservertest.CA(t)
	p := ca.Issue(t, netservertest.Leaf{})
	both, cas := pemOf(t, p), authorityFile(t)
	mine := ca.Issue(t, netservertest.Leaf{Name: "we", Client: true})
	params := outbound.Params{CAFiles: []string{cas}, CertFile: mine.CertFile, KeyFile: mine.KeyFile, ServerName: "localhost"}
	old := params
	old.Version = "TLSv1_2"
	each := func(t *testing.T, f func(t *testing.T, p outbound.Params)) {
		t.Run("TLS 1.3", func(t *testing.T) { f(t, params) })
		t.Run("TLS 1.2", func(t *testing.T) { f(t, old) })
	}
	t.Run("openssl", func(t *testing.T) {
		to := deadAddress(t)
		peer(t, to, "openssl", "s_server", "-accept", to, "-cert", p.CertFile, "-key", p.KeyFile, "-rev", "-quiet", "-Verify", "2", "-verify_return_error", "-CAfile", cas)
		each(t, func(t *testing.T, p outbound.Params) {
			f := serve(t, "tcp", &proxy.Handler{Target: to, TLS: overTLS(t, p)}, netserver.Config{})
			c := f.dial(t)
			send(t, c, "abc\n")
			want(t, c, "cba\n")
			must(t, c.CloseWrite())
			wantEOF(t, c)
		})
	})
	t.Run("gnutls", func(t *testing.T) {
		to := peerAnywhere(t, "gnutls-serv", func(port string) []string {
			return []string{"--echo", "--port", port, "--x509certfile", p.CertFile, "--x509keyfile", p.KeyFile, "--x509cafile", cas, "--require-client-cert", "--verify-client-cert", "--quiet"}
		})
		each(t, func(t *testing.T, p outbound.Params) {
			f := serve(t, "tls", &proxy.Handler{Target: to, TLS: overTLS(t, p)}, netserver.Config{})
			c := f.dial(t)
			send(t, c, "abc\n")
			want(t, c, "abc\n")
		})
	})
	t.Run("stunnel", func(t *testing.T) {
		l := script(t, func(c net.Conn) {
			b, _ := io.ReadAll(c)
			fmt.Fprintf(c, "got %d", len(b))
		})
		to, conf := deadAddress(t), filepath.Join(t.TempDir(), "stunnel.conf")
		must(t, os.WriteFile(conf, fmt.Appendf(nil, "foreground = yes\npid =\nsyslog = no\n[s]\naccept = %s\nconnect = %s\ncert = %s\nkey = %s\nCAfile = %s\nverifyChain = yes\n",
			to, targetOf(l), p.CertFile, p.KeyFile, cas), 0o600))
		peer(t, to, "stunnel4", conf)
		each(t, func(t *testing.T, p outbound.Params) {
			// A half-close passes: over stunnel as close_notify.
			if got := through(t, to, p, strings.Repeat("x", 200_000)); got != "got 200000" {
				t.Errorf("%q", got)
			}
		})
	})
	t.Run("nginx", func(t *testing.T) {
		dir, to := t.TempDir(), deadAddress(t)
		conf := filepath.Join(dir, "nginx.conf")
		must(t, os.WriteFile(conf, fmt.Appendf(nil, `
daemon off; master_process off; pid %[1]s/nginx.pid; error_log /dev/null;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  server { listen %[2]s ssl; ssl_certificate %[3]s; ssl_certificate_key %[3]s; ssl_client_certificate %[4]s; ssl_verify_client on;
    location / { return 200 "$ssl_client_s_dn at $ssl_server_name\n"; } }
}
`, dir, to, both, cas), 0o644))
		peer(t, to, "nginx", "-c", conf, "-p", dir)
		each(t, func(t *testing.T, p outbound.Params) { isAnsweredHTTP(t, to, p, "CN=we at localhost\n") })
		t.Run("without a certificate", func(t *testing.T) {
			isAnsweredHTTP(t, to, outbound.Params{CAFiles: []string{cas}}, "No required SSL certificate was sent")
		})
	})
	t.Run("haproxy", func(t *testing.T) {
		to, conf := deadAddress(t), filepath.Join(t.TempDir(), "haproxy.cfg")
		must(t, os.WriteFile(conf, fmt.Appendf(nil, `
defaults
  mode http
  timeout client 20s
  timeout server 20s
  timeout connect 5s
frontend f
  bind %s ssl crt %s ca-file %s verify required
  http-request return status 200 content-type text/plain lf-string "%%[ssl_c_s_dn(cn)] at %%[ssl_fc_sni]\n"
`, to, both, cas), 0o644))
		peer(t, to, "haproxy", "-db", "-f", conf)
		each(t, func(t *testing.T, p outbound.Params) { isAnsweredHTTP(t, to, p, "we at localhost\n") })
	})
}

// isAnsweredHTTP wants the answer of a web server to end so.
func isAnsweredHTTP(t *testing.T, target string, p outbound.Params, want string) {
	t.Helper()
	f := serve(t, "tcp", &proxy.Handler{Target: target, TLS: overTLS(t, p)}, netserver.Config{})
	c := f.dial(t)
	send(t, c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	b, err := io.ReadAll(c)
	if err != nil || !strings.Contains(string(b), want) {
		t.Errorf("%q, %v; want %q", b, err, want)
	}
}
