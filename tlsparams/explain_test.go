package tlsparams

import (
	"crypto/x509"
	"os"
	"runtime"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "ca")
	c, k := ca.server(t, "a.example")
	s := open(t, Env{}, "SSL_cert_file[a.example]="+writeFile(t, dir, "a.pem", certPEM(c), keyPEM(t, k)),
		"SSL_verify_mode[a.example]=3", "SSL_allow_cn[a.example]=ann", "SSL_ca_file="+writeFile(t, dir, "ca.pem", certPEM(ca.cert)))
	ann, bob := ca.person(t, "ann", nil), ca.person(t, "bob", nil)
	for _, x := range []struct {
		name    string
		chain   []*x509.Certificate
		allowed bool
		want    string
	}{
		{"a.example", []*x509.Certificate{ann.cert}, true, "allowed by cn ann"},
		{"a.example", []*x509.Certificate{bob.cert}, false, "on no allow list"},
		{"a.example", nil, false, "showed none"},
		{"b.example", nil, false, "no certificate asked"},
	} {
		e := s.Explain(x.name, x.chain)
		if e.Allowed != x.allowed || !strings.Contains(e.Reason, x.want) || e.Certificate == "" || e.Rule == "" {
			t.Errorf("%s: %+v", x.name, e)
		}
	}
}

func TestOpenSecretsAreWarnedOf(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such modes")
	}
	c, k := newCA(t, "ca").server(t, "x")
	dir := t.TempDir()
	cert, key := writeFile(t, dir, "x.crt", certPEM(c)), writeFile(t, dir, "x.key", keyPEM(t, k))
	os.Chmod(cert, 0o644)
	p := Params{CertFile: cert, KeyFile: key}
	if s, err := p.Source("", false); err != nil || len(s.Warnings()) != 0 {
		t.Error(err, s.Warnings())
	}
	os.Chmod(key, 0o644)
	if s, err := p.Source("", false); err != nil || len(s.Warnings()) != 1 || !strings.Contains(s.Warnings()[0], "SSL_key_file") {
		t.Error(err, s.Warnings())
	}
}
