package tlsparams

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
)

// manyAuthorities returns authorities whose names take n bytes at least.
func manyAuthorities(t *testing.T, n int) []*x509.Certificate {
	t.Helper()
	key := newKey(t)
	var list []*x509.Certificate
	for size := 0; size < n; {
		c := (*testCA)(nil).sign(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
			Subject: pkix.Name{CommonName: fmt.Sprint("authority ", len(list)), Organization: []string{strings.Repeat("x", 3000)}}}, key)
		list = append(list, c)
		size += 2 + len(c.RawSubject)
	}
	return list
}

// Names of authorities that do not fit into a handshake would break each one.
func TestTooManyNamesOfAuthorities(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "trusted")
	ann := ca.person(t, "ann", nil)
	var log bytes.Buffer
	env := loopback
	env.Log = slog.New(slog.NewTextHandler(&log, nil))
	file := writeFile(t, dir, "cas.pem", certPEM(ca.cert))
	many := certPEM(append(manyAuthorities(t, 1<<16), ca.cert)...)
	few := certPEM(append(manyAuthorities(t, maxNames-4000), ca.cert)...)
	s := open(t, env, "SSL_verify_mode=3", "SSL_ca_file="+file)
	for _, c := range []struct {
		data  []byte
		names bool
	}{{few, true}, {many, false}, {few, true}} {
		os.WriteFile(file, c.data, 0o600)
		log.Reset()
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		fresh := open(t, env, "SSL_verify_mode=3", "SSL_ca_file="+file)
		const says = "clients are told none"
		if warned := strings.Contains(strings.Join(fresh.Warnings(), ""), says); warned == c.names {
			t.Errorf("warnings at start: %q", fresh.Warnings())
		}
		if warned := strings.Contains(log.String(), says); warned == c.names {
			t.Errorf("log of the reload: %s", &log)
		}
		for _, source := range []*Source{s, fresh} {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				cfg := ann.config()
				cfg.MinVersion, cfg.MaxVersion = version, version
				var named int
				cfg.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
					named = len(r.AcceptableCAs)
					return &ann.tls, nil
				}
				if _, _, err := shake(t, source, cfg); err != nil {
					t.Errorf("TLS %x: %v", version, err)
				}
				if named > 0 != c.names {
					t.Errorf("TLS %x: %d names", version, named)
				}
			}
		}
	}
}

// A client decides how long its chain is, and a ticket holds the chain.
func TestLargeSessionsGetNoTicket(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "ca")
	s := open(t, loopback, "SSL_verify_mode=3", "SSL_ca_file="+writeFile(t, dir, "ca.pem", certPEM(ca.cert)))
	for size, resumes := range map[int]bool{4 << 10: true, 17 << 10: false, 70 << 10: false, 90 << 10: false} {
		ann := ca.person(t, "ann", nil)
		for _, c := range manyAuthorities(t, size) {
			ann.tls.Certificate = append(ann.tls.Certificate, c.Raw)
		}
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			cfg := ann.config()
			cfg.MinVersion, cfg.MaxVersion = version, version
			cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			for i := range 3 {
				srv, _, err := shake(t, s, cfg)
				if err != nil || srv.DidResume != (resumes && i > 0) {
					t.Errorf("%d bytes of names, TLS %x, time %d: resumed %v, %v", size, version, i, srv.DidResume, err)
				}
			}
		}
	}
}

// What does not fit into a message is refused before a client meets it.
func TestTooLargeForHandshakes(t *testing.T) {
	ca := newCA(t, "ca")
	cert, key := ca.server(t, "localhost")
	pair := tls.Certificate{Certificate: [][]byte{cert.Raw, ca.cert.Raw}, PrivateKey: key}
	code := func(edit func(c *tls.Certificate)) Env {
		c := pair
		edit(&c)
		env := loopback
		env.Certificates = map[string]*tls.Certificate{"": &c}
		return env
	}
	chain := func(n int) func(*tls.Certificate) {
		return func(c *tls.Certificate) {
			c.Certificate = append([][]byte{cert.Raw}, bytes.Repeat([]byte{1}, n))
		}
	}
	for _, tt := range []struct {
		env  Env
		args string
		want string
	}{
		{code(chain(maxChain)), "", "clients take 262144 at most"},
		{code(func(c *tls.Certificate) { c.OCSPStaple = make([]byte, 1<<16) }), "", "OCSP response"},
		{code(func(c *tls.Certificate) {
			c.SignedCertificateTimestamps = [][]byte{make([]byte, 1<<15), make([]byte, 1<<15)}
		}), "", "signed certificate timestamps"},
		{code(func(c *tls.Certificate) { c.SignedCertificateTimestamps = [][]byte{{}} }), "", "an empty signed certificate timestamp"},
		{loopback, "SSL_alpn_protocols=" + strings.Repeat("x", 256), "has a protocol name of 256 bytes"},
	} {
		if _, err := tryOpen(tt.env, strings.Fields(tt.args)...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	s := open(t, code(chain(manyChain)))
	if got := strings.Join(s.Warnings(), "\n"); !strings.Contains(got, "many clients take 102400 at most") {
		t.Errorf("warnings: %s", got)
	}
	// What just fits is served.
	s = open(t, code(func(c *tls.Certificate) { c.OCSPStaple = make([]byte, maxEntry) }))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cfg := anyClient()
		cfg.MinVersion, cfg.MaxVersion = version, version
		if _, cli, err := shake(t, s, cfg); err != nil || len(cli.OCSPResponse) != maxEntry {
			t.Errorf("TLS %x: response of %d bytes, %v", version, len(cli.OCSPResponse), err)
		}
	}
}
