package tlsparams

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// dated makes a certificate for a name that is valid from and to, from now.
func (a *testCA) dated(t testing.TB, cn string, now time.Time, from, to time.Duration) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key := newKey(t)
	return a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: cn}, DNSNames: []string{"localhost"}, NotBefore: now.Add(from), NotAfter: now.Add(to)}, key), key
}

// TestDirectoryServesWhatIsValid: of several certificates for one name the
// valid one is served, then the one that ends last, whatever they are called
// and whenever they come.
func TestDirectoryServesWhatIsValid(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "ca")
	now := time.Now()
	at := now
	put := func(file, cn string, from, to time.Duration) {
		t.Helper()
		c, k := ca.dated(t, cn, now, from, to)
		writeFile(t, dir, file+".pem", certPEM(c), keyPEM(t, k))
	}
	put("1", "ended", -48*time.Hour, -time.Hour)
	put("2", "short", -time.Hour, time.Hour)
	put("3", "long", -time.Hour, 10*time.Hour)
	put("4", "future", 5*time.Hour, 100*time.Hour)
	s := open(t, Env{Now: func() time.Time { return at }}, "SSL_cert_dir="+dir)
	check := func(step, want string) {
		t.Helper()
		if got := served(t, s); got != want {
			t.Errorf("%s: %s is served, want %s", step, got, want)
		}
	}
	check("start", "long")
	put("5", "longer", -time.Hour, 20*time.Hour)
	if err := s.Reload(); err != nil {
		t.Error(err)
	}
	check("a longer one", "longer")
	if next := s.onTime(); !next.Equal(s.arrange) || next.Sub(now).Round(time.Hour) != 5*time.Hour {
		t.Errorf("next at %v", next.Sub(now))
	}
	at = now.Add(5*time.Hour + time.Second)
	if next := s.onTime(); !next.IsZero() {
		t.Errorf("next at %v", next)
	}
	check("the one to come has begun", "future")
	put("4", "future, shorter", -time.Hour, 19*time.Hour)
	if err := s.Reload(); err != nil {
		t.Error(err)
	}
	check("replaced by one that ends before another", "longer")
	os.Remove(filepath.Join(dir, "5.pem"))
	if err := s.Reload(); err != nil {
		t.Error(err)
	}
	check("and that one removed", "future, shorter")
}

// TestDatesOfIssuers: a chain is as good as each certificate in it.
func TestDatesOfIssuers(t *testing.T) {
	dir := t.TempDir()
	root := newCA(t, "root")
	now := time.Now()
	inter := func(from, to time.Duration) *testCA {
		key := newKey(t)
		return &testCA{key: key, cert: root.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "inter"}, IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign, NotBefore: now.Add(from), NotAfter: now.Add(to)}, key)}
	}
	write := func(a *testCA) string {
		leaf, key := a.server(t, "localhost")
		return writeFile(t, dir, "x.pem", certPEM(leaf, a.cert), keyPEM(t, key))
	}
	for name, c := range map[string]struct {
		a    *testCA
		want string
	}{
		"expired":       {inter(-time.Hour, -time.Minute), "has expired: the certificate of its issuer CN=inter"},
		"not yet valid": {inter(time.Hour, 2*time.Hour), "not valid yet: the certificate of its issuer CN=inter"},
		"valid":         {inter(-time.Hour, time.Hour), ""},
	} {
		s := open(t, Env{}, "SSL_cert_file="+write(c.a))
		got := strings.Join(s.Warnings(), "|")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	s := open(t, Env{}, "SSL_cert_file="+write(inter(-time.Hour, 3*24*time.Hour)))
	if got := strings.Join(s.endings(), "|"); !strings.Contains(got, "ends within 7 days: the certificate of its issuer CN=inter") {
		t.Error(got)
	}
	write(inter(-time.Hour, -time.Minute))
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "has expired: the certificate of its issuer") {
		t.Errorf("an expired chain takes the place of a valid one: %v", err)
	}
}

// TestRepeatedCertificates: copies in a chain are left out.
func TestRepeatedCertificates(t *testing.T) {
	root := newCA(t, "root")
	inter := root.ca(t, "inter")
	leaf, key := inter.server(t, "localhost")
	file := writeFile(t, t.TempDir(), "x.pem", certPEM(leaf, leaf, inter.cert, inter.cert, leaf), keyPEM(t, key))
	s := open(t, Env{}, "SSL_cert_file="+file)
	_, cli, err := shake(t, s, anyClient())
	if err != nil || len(cli.PeerCertificates) != 2 {
		t.Errorf("%d certificates, %v", len(cli.PeerCertificates), err)
	}
}

// TestPasswordReplacedLater: a key with a new password waits for the password.
func TestPasswordReplacedLater(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "ca")
	pair := func(name, password string) {
		c, k := ca.server(t, name)
		writeFile(t, dir, "plain", keyPEM(t, k))
		run(t, "openssl", "pkcs8", "-topk8", "-in", filepath.Join(dir, "plain"), "-out", filepath.Join(dir, "x.key"), "-passout", "pass:"+password)
		writeFile(t, dir, "x.crt", certPEM(c))
	}
	pair("first", "one")
	pw := writeFile(t, dir, "pw", []byte("one\n"))
	s := open(t, Env{}, "SSL_cert_file="+filepath.Join(dir, "x.crt"), "SSL_key_file="+filepath.Join(dir, "x.key"), "SSL_passwd_file="+pw)
	pair("second", "two")
	if err := s.Reload(); err == nil || served(t, s) != "first" {
		t.Error(err)
	}
	writeFile(t, dir, "pw", []byte("two\n"))
	if err := s.Reload(pw); err != nil || served(t, s) != "second" {
		t.Error(err, served(t, s))
	}
}

// TestStapleFileEnds: a response from a file is served until it ends, and one
// for a certificate that comes later waits for it.
func TestStapleFileEnds(t *testing.T) {
	ca := newCA(t, "ca")
	dir := t.TempDir()
	now := time.Now()
	at := now
	var log bytes.Buffer
	env := Env{Now: func() time.Time { return at }, Log: slog.New(slog.NewTextHandler(&log, nil))}
	response := func(leaf *x509.Certificate) []byte {
		der, err := ocsp.CreateResponse(ca.cert, ca.cert, ocsp.Response{Status: ocsp.Good, SerialNumber: leaf.SerialNumber, ThisUpdate: now, NextUpdate: now.Add(time.Hour), Certificate: ca.cert}, ca.key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	leaf, key := ca.server(t, "localhost")
	cert := writeFile(t, dir, "x.pem", certPEM(leaf, ca.cert), keyPEM(t, key))
	file := writeFile(t, dir, "staple", response(leaf))
	s := open(t, env, "SSL_cert_file="+cert, "SSL_ocsp_staple_file="+file)
	staple := func() []byte {
		_, cli, err := shake(t, s, anyClient())
		if err != nil {
			t.Fatal(err)
		}
		return cli.OCSPResponse
	}
	if len(staple()) == 0 {
		t.Fatal("no response")
	}
	second, key2 := ca.server(t, "localhost")
	writeFile(t, dir, "staple", response(second))
	for range 2 {
		if err := s.Reload(file); err == nil || !strings.Contains(err.Error(), "about another certificate") {
			t.Error(err)
		}
	}
	if n := strings.Count(log.String(), "new file refused"); n != 1 {
		t.Errorf("logged %d times: %s", n, log.String())
	}
	if !bytes.Equal(staple(), response(leaf)) && len(staple()) == 0 {
		t.Error("the old response is gone")
	}
	writeFile(t, dir, "x.pem", certPEM(second, ca.cert), keyPEM(t, key2))
	if err := s.Reload(cert); err != nil || len(staple()) == 0 {
		t.Error("the response that was there before its certificate is not served:", err)
	}
	if next := s.onTime(); next.Sub(now).Round(time.Minute) != time.Hour {
		t.Errorf("next at %v", next.Sub(now))
	}
	at = now.Add(time.Hour)
	if s.onTime(); len(staple()) != 0 || !strings.Contains(log.String(), "has expired") {
		t.Error("a response that has ended is served")
	}
}
