package tlsparams

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"strings"
	"testing"
)

func TestWarnsOfAuthorities(t *testing.T) {
	for name, c := range map[string]struct {
		cert x509.Certificate
		want string
	}{
		"server":     {x509.Certificate{Version: 3, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, ""},
		"no CA":      {x509.Certificate{Version: 3, BasicConstraintsValid: true}, ""},
		"CA":         {x509.Certificate{Version: 3, BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}, "certificates, revocation lists too (CA:TRUE, keyCertSign, cRLSign)"},
		"usage only": {x509.Certificate{Version: 3, KeyUsage: x509.KeyUsageCertSign}, "certificates too (keyCertSign)"},
		"lists":      {x509.Certificate{Version: 3, KeyUsage: x509.KeyUsageCRLSign}, "revocation lists too (cRLSign)"},
		"version 1":  {x509.Certificate{Version: 1, RawIssuer: []byte{1}, RawSubject: []byte{1}}, "certificates too (self-signed and of version 1)"},
		"v1, issued": {x509.Certificate{Version: 1, RawIssuer: []byte{1}, RawSubject: []byte{2}}, ""},
		"others": {x509.Certificate{Version: 3, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageOCSPSigning, x509.ExtKeyUsageCodeSigning, x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageTimeStamping}},
			"OCSP responses, programs, mail, time stamps too (OCSPSigning, codeSigning, emailProtection, timeStamping)"},
	} {
		if got := authority(&c.cert); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestAuthoritiesAreNamed: at start, and when one comes while the server runs.
func TestAuthoritiesAreNamed(t *testing.T) {
	dir := t.TempDir()
	root := newCA(t, "root")
	leaf, key := root.server(t, "localhost")
	authority := root.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "x"}, DNSNames: []string{"localhost"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}, key)
	const says = "may sign certificates too (CA:TRUE, keyCertSign)"
	var log bytes.Buffer
	file := writeFile(t, dir, "both.pem", certPEM(leaf), keyPEM(t, key))
	s := open(t, Env{Loopback: true, Log: slog.New(slog.NewTextHandler(&log, nil))}, "SSL_cert_file="+file)
	if w := s.Warnings(); len(w) > 0 {
		t.Error(w)
	}
	writeFile(t, dir, "both.pem", certPEM(authority), keyPEM(t, key))
	if err := s.Reload(); err != nil || !strings.Contains(log.String(), says) {
		t.Errorf("%v\n%s", err, log.String())
	}
	s = open(t, Env{Loopback: true}, "SSL_cert_file="+file)
	if w := s.Warnings(); len(w) != 1 || !strings.Contains(w[0], says) || !strings.Contains(w[0], file) {
		t.Error(w)
	}
}
