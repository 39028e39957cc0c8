package outbound

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver/netservertest"
	"netserver/tlsparams"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	must(t, os.WriteFile(name, data, 0o600))
	return name
}

func certPEM(der ...[]byte) []byte {
	var b bytes.Buffer
	for _, d := range der {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: d})
	}
	return b.Bytes()
}

// caFile is a file with an authority.
func caFile(t testing.TB, ca *netservertest.Authority) string {
	return write(t, filepath.Join(t.TempDir(), "ca.pem"), certPEM(ca.Cert.Raw))
}

// A server tells who its client is.
type testServer struct {
	l    net.Listener
	conf *tls.Config
}

func startServer(t testing.TB, conf *tls.Config) *testServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := &testServer{l: l, conf: conf}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { s.serve(nc) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return s
}

func (s *testServer) serve(nc net.Conn) {
	c := tls.Server(nc, s.conf)
	defer c.Close()
	if c.Handshake() != nil {
		return
	}
	cs := c.ConnectionState()
	name := "nobody"
	if len(cs.PeerCertificates) > 0 {
		name = cs.PeerCertificates[0].Subject.CommonName
	}
	if cs.DidResume {
		name += " again"
	}
	io.WriteString(c, name)
}

func (s *testServer) target() string { return s.l.Addr().String() }

// ask connects to s and returns what it says.
func ask(t testing.TB, src *Source, s *testServer) (string, error) {
	t.Helper()
	c, err := tls.Dial("tcp", s.target(), src.Config(s.target(), ""))
	if err != nil {
		return "", err
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	return string(b), err
}

func wantAnswer(t testing.TB, src *Source, s *testServer, want string) {
	t.Helper()
	if got, err := ask(t, src, s); got != want || err != nil {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

func serverConf(t testing.TB, ca *netservertest.Authority, l netservertest.Leaf) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, l).TLS}, ClientAuth: tls.RequestClientCert}
}

func copyFile(t testing.TB, to, from string) {
	t.Helper()
	b, err := os.ReadFile(from)
	must(t, err)
	write(t, to, b)
}

// A renewed certificate is shown at once, whole or not at all, and sessions with
// the old one are not resumed.
func TestRenewal(t *testing.T) {
	ca := netservertest.CA(t)
	s := startServer(t, serverConf(t, ca, netservertest.Leaf{}))
	old, renewed := ca.Issue(t, netservertest.Leaf{Name: "old", Client: true}), ca.Issue(t, netservertest.Leaf{Name: "renewed", Client: true})
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	copyFile(t, cert, old.CertFile)
	copyFile(t, key, old.KeyFile)
	src, err := Params{CAFiles: []string{caFile(t, ca)}, CertFile: cert, KeyFile: key}.Open(tlsparams.Env{})
	must(t, err)
	wantAnswer(t, src, s, "old")
	wantAnswer(t, src, s, "old again")
	must(t, src.Reload())
	wantAnswer(t, src, s, "old again") // nothing has changed
	copyFile(t, cert, renewed.CertFile)
	if err := src.TryReload(cert); err == nil || !strings.Contains(err.Error(), "backend_key_file: "+key+" does not match") {
		t.Errorf("half renewed: %v", err)
	}
	wantAnswer(t, src, s, "old again")
	whole, err := os.ReadFile(renewed.KeyFile)
	must(t, err)
	write(t, key, whole[:len(whole)/2])
	if err := src.Reload(key); err == nil {
		t.Error("half a key was taken")
	}
	wantAnswer(t, src, s, "old again")
	write(t, key, whole)
	must(t, src.Reload(key))
	wantAnswer(t, src, s, "renewed")
	wantAnswer(t, src, s, "renewed again")
	// An expired one does not take the place of one that is good.
	expired := ca.Issue(t, netservertest.Leaf{Name: "expired", Client: true, Until: time.Now().Add(-time.Hour)})
	copyFile(t, cert, expired.CertFile)
	copyFile(t, key, expired.KeyFile)
	if err := src.Reload(); err == nil || !strings.Contains(err.Error(), "backend_cert_file: "+cert+" has expired") && !strings.Contains(err.Error(), "expired") {
		t.Errorf("expired: %v", err)
	}
	wantAnswer(t, src, s, "renewed again")
}

// Other authorities hold for the next connection, resumed or not.
func TestAuthoritiesChange(t *testing.T) {
	ca, other := netservertest.CA(t), netservertest.NewCA(t, "other")
	s := startServer(t, serverConf(t, ca, netservertest.Leaf{}))
	file := caFile(t, ca)
	src, err := Params{CAFiles: []string{file}}.Open(tlsparams.Env{})
	must(t, err)
	wantAnswer(t, src, s, "nobody")
	wantAnswer(t, src, s, "nobody again")
	write(t, file, certPEM(other.Cert.Raw))
	must(t, src.Reload(file))
	if got, err := ask(t, src, s); err == nil || !strings.Contains(err.Error(), "signed by unknown authority") {
		t.Errorf("%q, %v", got, err)
	}
	write(t, file, []byte("-----BEGIN CERTIFICATE-----\n"))
	if err := src.Reload(file); err == nil {
		t.Error("a damaged file was taken")
	}
	write(t, file, certPEM(other.Cert.Raw, ca.Cert.Raw))
	must(t, src.Reload(file))
	wantAnswer(t, src, s, "nobody")
}

// Run follows the files.
func TestFollows(t *testing.T) {
	ca := netservertest.CA(t)
	s := startServer(t, serverConf(t, ca, netservertest.Leaf{}))
	both := filepath.Join(t.TempDir(), "both.pem")
	ca.Issue(t, netservertest.Leaf{Name: "old", Client: true}).WriteBoth(t, both, 0o600)
	src, err := Params{CAFiles: []string{caFile(t, ca)}, CertFile: both}.Open(tlsparams.Env{})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); src.Run(ctx) }()
	defer func() { cancel(); <-done }()
	wantAnswer(t, src, s, "old")
	ca.Issue(t, netservertest.Leaf{Name: "renewed", Client: true}).WriteBoth(t, both, 0o600)
	netservertest.Eventually(t, "the renewed certificate is shown", func() bool {
		got, err := ask(t, src, s)
		return err == nil && strings.HasPrefix(got, "renewed")
	})
}

// Sessions of one target or name are nobody else's.
func TestSessionsStayApart(t *testing.T) {
	ca := netservertest.CA(t)
	conf := serverConf(t, ca, netservertest.Leaf{Hosts: []string{"a.example", "127.0.0.1"}})
	one, two := startServer(t, conf), startServer(t, conf)
	src, err := Params{CAFiles: []string{caFile(t, ca)}, ServerName: ServerNameOfClient}.Open(tlsparams.Env{})
	must(t, err)
	for range 2 {
		wantAnswer(t, src, one, "nobody")
		wantAnswer(t, src, one, "nobody again")
		wantAnswer(t, src, two, "nobody") // the ticket would do there
		src.cur.Store(src.newGeneration())
		must(t, src.loadTrust(src.cur.Load()))
	}
	if a, b := src.Config("x:1", "a.example"), src.Config("x:1", "A.example."); a != b || a.ServerName != "a.example" {
		t.Errorf("%q and %q", a.ServerName, b.ServerName)
	}
	for i := range 3 * maxConfigs {
		src.Config("x:1", strings.Repeat("a", 1+i%200)+strings.Repeat("b", i/200)+".example")
	}
	if n := len(src.cur.Load().configs); n > maxConfigs {
		t.Errorf("%d configurations are kept", n)
	}
}

func TestRevoked(t *testing.T) {
	ca := netservertest.CA(t)
	bad := ca.Issue(t, netservertest.Leaf{})
	leaf, err := x509.ParseCertificate(bad.TLS.Certificate[0])
	must(t, err)
	list := func(name string, of ...*big.Int) string {
		l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
		for _, n := range of {
			l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: time.Now().Add(-time.Minute)})
		}
		der, err := x509.CreateRevocationList(rand.Reader, l, ca.Cert, ca.Key)
		must(t, err)
		return write(t, name, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
	}
	s := startServer(t, &tls.Config{Certificates: []tls.Certificate{bad.TLS}})
	file := list(filepath.Join(t.TempDir(), "list.crl"))
	src, err := Params{CAFiles: []string{caFile(t, ca)}, CRLFiles: []string{file}}.Open(tlsparams.Env{})
	must(t, err)
	wantAnswer(t, src, s, "nobody")
	list(file, leaf.SerialNumber)
	must(t, src.Reload(file))
	if got, err := ask(t, src, s); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("%q, %v", got, err)
	}
}

// What has no effect, cannot be or cannot be read is an error with the key.
func TestBadParams(t *testing.T) {
	ca := netservertest.CA(t)
	file, p, server := caFile(t, ca), ca.Issue(t, netservertest.Leaf{Client: true}), ca.Issue(t, netservertest.Leaf{})
	missing := filepath.Join(t.TempDir(), "missing")
	for _, test := range []struct {
		p    Params
		want string
	}{
		{Params{KeyFile: p.KeyFile}, "backend_key_file: is given without backend_cert_file"},
		{Params{PasswdFile: file}, "backend_passwd_file: is given without"},
		{Params{Unverified: true, CAFiles: []string{file}}, "backend_ca_file: has no effect with backend_verify 0"},
		{Params{Unverified: true, Pins: []string{strings.Repeat("0", 64)}}, "backend_pin: has no effect with backend_verify 0"},
		{Params{Unverified: true, VerifyName: "x"}, "backend_verify_name: has no effect with backend_verify 0"},
		{Params{Pins: []string{strings.Repeat("0", 64)}, VerifyName: "x"}, "backend_verify_name: has no effect with backend_pin alone"},
		{Params{Pins: []string{"abc"}}, "backend_pin: has"},
		{Params{CAFiles: []string{missing}}, "backend_ca_file: " + missing + " does not exist"},
		{Params{CAFiles: []string{p.KeyFile}}, "backend_ca_file: " + p.KeyFile + " holds no certificate"},
		{Params{CAPath: []string{t.TempDir()}}, "holds no certificate"},
		{Params{CAPath: []string{missing}}, "backend_ca_path: " + missing},
		{Params{CAFiles: []string{file}, CRLFiles: []string{file}}, "backend_crl_file: " + file},
		{Params{CAFiles: []string{file}, CertFile: server.CertFile, KeyFile: server.KeyFile}, "backend_cert_file: " + server.CertFile + " is not made for clients: its extended key usage lacks clientAuth"},
		{Params{CAFiles: []string{file}, CertFile: p.CertFile}, "backend_cert_file: " + p.CertFile + " holds no private key; add it to the file or name its file with backend_key_file"},
		{Params{CAFiles: []string{file}, CertFile: p.CertFile, KeyFile: server.KeyFile}, "backend_key_file: " + server.KeyFile + " does not match the certificate"},
		{Params{CAFiles: []string{file}, Version: "TLSv1_4"}, "backend_version: "},
		{Params{CAFiles: []string{file}, Version: "SSLv23:!TLSv1_1"}, "backend_version: leaves out a version between others"},
		{Params{CAFiles: []string{file}, CipherList: "NONE"}, "backend_cipher_list: "},
		{Params{CAFiles: []string{file}, Curves: "x"}, "backend_curves: "},
		{Params{CAFiles: []string{file}, ALPN: []string{"a", "a"}}, "backend_alpn: names "},
		{Params{CAFiles: []string{file}, ServerName: "a b"}, `backend_servername: "a b" is not the name of a host`},
	} {
		if _, err := test.p.Open(tlsparams.Env{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.p, err, test.want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, test := range []struct{ target, servername, verify, client, asked, verified string }{
		{"db.example:5432", "", "", "c.example", "db.example", "db.example"},
		{"db.example.:5432", "", "", "", "db.example", "db.example"},
		{"[::1]:5432", "", "", "", "::1", "::1"},
		{"[fe80::1%eth0]:5432", "", "", "", "fe80::1", "fe80::1"},
		{"10.0.0.1:1", "a.example", "", "", "a.example", "a.example"},
		{"10.0.0.1:1", "a.example", "b.example", "", "a.example", "b.example"},
		{"10.0.0.1:1", "", "b.example", "", "10.0.0.1", "b.example"},
		{"unix:/run/x", "client", "", "C.example.", "c.example", "c.example"},
		{"db.example:1", "client", "", "", "db.example", "db.example"},
		{"db.example:1", "client", "", "c\nd", "db.example", "db.example"},
		{"/run/x", "", "", "", "", ""},
	} {
		p := Params{ServerName: test.servername, VerifyName: test.verify}
		if asked, verified := p.names(test.target, test.client); asked != test.asked || verified != test.verified {
			t.Errorf("%+v: %q, %q", test, asked, verified)
		}
	}
	for target, want := range map[string]bool{"/run/x": false, "unix:/run/x": false, "unix:@x": false, "a:1": true, "[::1]:1": true, "srv:_x._tcp.example": true} {
		if err := (&Source{}).CheckTarget(target); (err == nil) != want {
			t.Errorf("%s: %v", target, err)
		}
	}
	for _, p := range []Params{{Unverified: true}, {Pins: []string{"x"}}, {VerifyName: "x"}, {ServerName: "x"}} {
		if err := (&Source{p: p}).CheckTarget("/run/x"); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	ca := netservertest.CA(t)
	src, err := Params{Unverified: true, Version: "SSLv23"}.Open(tlsparams.Env{Where: "backend db"})
	must(t, err)
	all := strings.Join(src.Warnings(), "\n")
	for _, want := range []string{"backend db: backend_verify 0: whoever answers", "allows TLS 1.0 or 1.1"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %s", want, all)
		}
	}
	both := filepath.Join(t.TempDir(), "both.pem")
	ca.Issue(t, netservertest.Leaf{Client: true}).WriteBoth(t, both, 0o600)
	var log bytes.Buffer
	src, err = Params{CAFiles: []string{caFile(t, ca)}, CertFile: both}.Open(tlsparams.Env{Log: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, err)
	if line := src.ending(); !strings.Contains(line, "ends within 1 days") {
		t.Errorf("%q", line)
	}
	if line := src.ending(); line != "" {
		t.Errorf("again: %q", line)
	}
}
