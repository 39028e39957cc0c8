package examples_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"netserver/netservertest"
)

// TestWeb: clients of the TLS port are greeted by the name in their certificate,
// over HTTP/2 and HTTP/1.1, those of the plain one by their address, and who has
// no certificate is not let in.
func TestWeb(t *testing.T) {
	at := free(t, 2)
	a := netservertest.CA(t)
	p := run(t, build(t, "web"), "-port", at[0]+"/ssl", "-port", at[1]+"/tcp", "-cert", bothFile(t, a), "-ca", a.File(t))
	p.dial(t, at[1]).Close() // until it listens

	get := func(url, cn string, h2 bool) (string, error) {
		cfg := &tls.Config{RootCAs: a.Pool(), ServerName: "localhost"}
		if cn != "" {
			cfg.Certificates = append(cfg.Certificates, a.Issue(t, netservertest.Leaf{Name: cn, Client: true}).TLS)
		}
		tr := &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: h2}
		defer tr.CloseIdleConnections()
		res, err := (&http.Client{Transport: tr}).Get(url)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return string(b), err
	}
	for h2, proto := range map[bool]string{true: "HTTP/2.0", false: "HTTP/1.1"} {
		if got, err := get("https://"+at[0]+"/", "ann", h2); err != nil || !strings.HasPrefix(got, "hello ann,") || !strings.HasSuffix(got, fmt.Sprintf("by %s\n", proto)) {
			t.Errorf("%q, %v", got, err)
		}
	}
	if got, err := get("http://"+at[1]+"/", "", false); err != nil || !strings.HasPrefix(got, "hello 127.0.0.1:") {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := get("https://"+at[0]+"/", "", true); err == nil {
		t.Errorf("without a certificate: %q", got)
	}
}
