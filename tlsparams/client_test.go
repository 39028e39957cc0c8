package tlsparams

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"netserver/tlsparams/internal/trust"
)

// person is a client with its certificate.
type person struct {
	cert *x509.Certificate
	tls  tls.Certificate
}

func (a *testCA) person(t testing.TB, cn string, edit func(*x509.Certificate)) person {
	t.Helper()
	key := newKey(t)
	tmpl := &x509.Certificate{Subject: pkix.Name{CommonName: cn}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if edit != nil {
		edit(tmpl)
	}
	c := a.sign(t, tmpl, key)
	return person{c, tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}}
}

// with adds authorities to what the client sends.
func (p person) with(cas ...*testCA) person {
	for _, a := range cas {
		p.tls.Certificate = append(p.tls.Certificate, a.cert.Raw)
	}
	return p
}

func (p person) config() *tls.Config {
	c := anyClient()
	if p.cert != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &p.tls, nil }
	}
	return c
}

func (a *testCA) crl(t testing.TB, number int64, base int64, next time.Time, revoked ...*x509.Certificate) []byte {
	t.Helper()
	tmpl := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: next}
	if base > 0 {
		tmpl.ExtraExtensions = []pkix.Extension{{Id: []int{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, byte(base)}}}
	}
	return a.signList(t, tmpl, revoked)
}

// crlFrom makes a list that begins at a time.
func (a *testCA) crlFrom(t testing.TB, number int64, this, next time.Time, revoked ...*x509.Certificate) []byte {
	t.Helper()
	return a.signList(t, &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: this, NextUpdate: next}, revoked)
}

func (a *testCA) signList(t testing.TB, tmpl *x509.RevocationList, revoked []*x509.Certificate) []byte {
	t.Helper()
	for _, c := range revoked {
		tmpl.RevokedCertificateEntries = append(tmpl.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now().Add(-time.Minute)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, tmpl, a.cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

func hexOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// TestWhoMayComeIn runs the same people against many rules, with both
// versions, and on resumption too.
func TestWhoMayComeIn(t *testing.T) {
	dir := t.TempDir()
	ca, other := newCA(t, "people"), newCA(t, "strangers")
	inter := ca.ca(t, "team")
	uri, _ := url.Parse("spiffe://example.org/ns/prod/sa/web")
	people := map[string]person{
		"nobody": {},
		"ann": ca.person(t, "ann", func(c *x509.Certificate) {
			c.Subject.OrganizationalUnit = []string{"ops"}
			c.DNSNames, c.EmailAddresses = []string{"ann.example.org"}, []string{"ann@example.org"}
			c.IPAddresses, c.URIs = []net.IP{net.IPv4(10, 1, 2, 3)}, []*url.URL{uri}
		}),
		"bob":      ca.person(t, "bob", nil),
		"tim":      inter.person(t, "tim", nil).with(inter),
		"old":      ca.person(t, "old", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
		"server":   ca.person(t, "server", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
		"stranger": other.person(t, "ann", nil),
	}
	caArg := "SSL_ca_file=" + writeFile(t, dir, "ca.pem", certPEM(ca.cert))
	later := time.Now().Add(time.Hour)
	crl := writeFile(t, dir, "list.pem", ca.crl(t, 1, 0, later, people["bob"].cert))
	deltaCRL := writeFile(t, dir, "delta.pem", ca.crl(t, 2, 1, later, people["ann"].cert))
	interRevoked := writeFile(t, dir, "inter.pem", ca.crl(t, 3, 0, later, inter.cert), inter.crl(t, 1, 0, later))
	interGood := writeFile(t, dir, "intergood.pem", inter.crl(t, 1, 0, later))
	expired := writeFile(t, dir, "expired.pem", ca.crl(t, 1, 0, time.Now().Add(-time.Minute), people["bob"].cert))
	forged := newCA(t, "people")
	forgedCRL := writeFile(t, dir, "forged.pem", forged.crl(t, 9, 0, later))
	strangerPin := hexOf(people["stranger"].cert.Raw)
	bobPin := hexOf(people["bob"].cert.Raw)
	annKey := hexOf(people["ann"].cert.RawSubjectPublicKeyInfo)
	for _, c := range []struct{ args, in string }{
		{"SSL_verify_mode=0", "ann bob nobody old server stranger tim"},
		{"SSL_verify_mode=1", "ann bob nobody tim"},
		{"SSL_verify_mode=3", "ann bob tim"},
		{"SSL_verify_mode=7", "ann bob tim"},
		{"SSL_verify_mode=3 SSL_fingerprint=" + strangerPin, "ann bob stranger tim"},
		{"SSL_verify_mode=3 SSL_fingerprint=sha256$" + strangerPin + " SSL_force_fingerprint=1", "stranger"},
		{"SSL_verify_mode=3 SSL_fingerprint=pub$" + annKey + " SSL_force_fingerprint=1", "ann"},
		{"SSL_verify_mode=3 SSL_allow_cn=ann", "ann"},
		{"SSL_verify_mode=1 SSL_allow_cn=ann SSL_allow_cn=tim", "ann nobody tim"},
		{"SSL_verify_mode=3 SSL_allow_ou=ops", "ann"},
		{"SSL_verify_mode=3 SSL_allow_dns=*.example.org", "ann"},
		{"SSL_verify_mode=3 SSL_allow_dns=example.org", ""},
		{"SSL_verify_mode=3 SSL_allow_email=@example.org", "ann"},
		{"SSL_verify_mode=3 SSL_allow_ip=10.0.0.0/8", "ann"},
		{"SSL_verify_mode=3 SSL_allow_uri=spiffe://example.org/ns/*/sa/web", "ann"},
		{"SSL_verify_mode=3 SSL_allow_uri=spiffe://example.org/**", "ann"},
		{"SSL_verify_mode=3 SSL_allow_uri=spiffe://example.org/ns/*", ""},
		{"SSL_verify_mode=3 SSL_allow_spki=sha256$pub$" + annKey, "ann"},
		{"SSL_verify_mode=3 SSL_check_crl=1", ""},
		{"SSL_verify_mode=3 SSL_check_crl=1 SSL_crl_policy=open", "ann bob tim"},
		{"SSL_verify_mode=3 SSL_check_crl=1 SSL_crl_file=" + crl, "ann"},
		{"SSL_verify_mode=3 SSL_check_crl=1 SSL_crl_policy=open SSL_crl_file=" + crl, "ann tim"},
		{"SSL_verify_mode=3 SSL_check_crl=1 SSL_crl_file=" + crl + " SSL_crl_file=" + deltaCRL, ""},
		{"SSL_verify_mode=3 SSL_check_crl=1 SSL_crl_file=" + deltaCRL, ""},
		{"SSL_verify_mode=3 SSL_check_crl=1 SSL_crl_file=" + interRevoked, "ann bob tim"},
		{"SSL_verify_mode=3 SSL_check_crl=chain SSL_crl_file=" + interRevoked, "ann bob"},
		{"SSL_verify_mode=3 SSL_check_crl=chain SSL_crl_file=" + interGood, ""},
		{"SSL_verify_mode=3 SSL_check_crl=chain SSL_crl_file=" + interGood + " SSL_crl_file=" + crl, "ann tim"},
		{"SSL_verify_mode=3 SSL_check_crl=1 SSL_crl_file=" + expired, ""},
		{"SSL_verify_mode=3 SSL_check_crl=1 SSL_crl_policy=expired SSL_crl_file=" + expired, "ann"},
		{"SSL_verify_mode=3 SSL_check_crl=1 SSL_crl_file=" + forgedCRL, ""},
		{"SSL_verify_mode=3 SSL_check_crl=1 SSL_crl_file=" + crl + " SSL_fingerprint=" + bobPin, "ann"},
		{"SSL_verify_mode=3 SSL_check_crl=1 SSL_crl_file=" + crl + " SSL_fingerprint=" + strangerPin, "ann stranger"},
		{"SSL_verify_mode[localhost]=3", "ann bob tim"},
		{"SSL_verify_mode[other.name]=3", "ann bob nobody old server stranger tim"},
		{"SSL_verify_mode=3 SSL_verify_mode[localhost]=0", "ann bob nobody old server stranger tim"},
		{"SSL_verify_mode=3 SSL_cipher_list[localhost]=ALL", "ann bob tim"},
		{"SSL_verify_mode=3 SSL_allow_cn[localhost]=ann", "ann"},
	} {
		args := append(strings.Fields(c.args), caArg)
		if c.args == "SSL_verify_mode=0" {
			args = args[:1] // authorities would do nothing, which is an error
		}
		s := open(t, loopback, args...)
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			if got := strings.Join(comeIn(t, s, people, version), " "); got != c.in {
				t.Errorf("%s, TLS %x: in come %q, want %q", c.args, version, got, c.in)
			}
		}
	}
}

func comeIn(t *testing.T, s *Source, people map[string]person, version uint16) []string {
	t.Helper()
	var in []string
	for _, name := range strings.Fields("ann bob nobody old server stranger tim") {
		cfg := people[name].config()
		cfg.MinVersion, cfg.MaxVersion = version, version
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		srv, _, err := shake(t, s, cfg)
		if err != nil {
			continue
		}
		in = append(in, name)
		if _, err := s.Judge(context.Background(), &srv); err != nil {
			t.Errorf("%s came in, and then: %v", name, err)
		}
		if srv, _, err = shake(t, s, cfg); err != nil || !srv.DidResume {
			t.Errorf("%s does not resume: %v", name, err)
		}
	}
	return in
}

func TestVerifyHookHasTheLastWordOnChains(t *testing.T) {
	ca := newCA(t, "ca")
	good, bad := ca.person(t, "good", nil), newCA(t, "x").person(t, "bad", nil)
	env := loopback
	env.ClientCAs = x509.NewCertPool()
	env.ClientCAs.AddCert(ca.cert)
	env.Hooks.Verify = func(cs *tls.ConnectionState, chains [][]*x509.Certificate, verdict error) error {
		if (verdict == nil) != (len(chains) > 0) {
			t.Errorf("verdict %v with %d chains", verdict, len(chains))
		}
		if cs.PeerCertificates[0].Subject.CommonName == "good" {
			return errors.New("not today")
		}
		return nil
	}
	s := open(t, env, "SSL_verify_mode=3")
	if _, _, err := shake(t, s, bad.config()); err != nil {
		t.Error(err)
	}
	if _, _, err := shake(t, s, good.config()); err == nil {
		t.Error("denied client came in")
	}
}

// TestSuitesOfANameKeepItsRules: a name that has suites of its own is still
// under the wildcard's rules.
func TestSuitesOfANameKeepItsRules(t *testing.T) {
	s := open(t, loopback, "SSL_verify_mode[*.example]=3", "SSL_cipher_list[a.example]=ALL", "SSL_verify_mode[b.example]=0")
	for name, want := range map[string]bool{"a.example": false, "c.example": false, "b.example": true, "": true} {
		cfg := anyClient()
		cfg.ServerName = name
		if _, _, err := shake(t, s, cfg); (err == nil) != want {
			t.Errorf("%q without a certificate: %v", name, err)
		}
	}
}

func TestReasonsAreStated(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "ca")
	ann := ca.person(t, "ann\nforged: line", nil)
	list := writeFile(t, dir, "crl.pem", ca.crl(t, 1, 0, time.Now().Add(time.Hour), ann.cert))
	s := open(t, loopback, "SSL_verify_mode=3", "SSL_ca_file="+writeFile(t, dir, "ca.pem", certPEM(ca.cert)),
		"SSL_check_crl=1", "SSL_crl_file="+list)
	_, err := s.Judge(context.Background(), &tls.ConnectionState{PeerCertificates: []*x509.Certificate{ann.cert}})
	var denied *Denied
	if !errors.As(err, &denied) || !errors.Is(err, trust.ErrRevoked) {
		t.Fatal(err)
	}
	if msg := err.Error(); !strings.Contains(msg, list) || strings.Contains(msg, "\n") {
		t.Errorf("%q", msg)
	}
}

func TestNamesOfAuthoritiesSent(t *testing.T) {
	dir := t.TempDir()
	trusted, shown := newCA(t, "trusted"), newCA(t, "shown")
	ann := trusted.person(t, "ann", nil)
	args := []string{"SSL_verify_mode=3", "SSL_ca_file=" + writeFile(t, dir, "a.pem", certPEM(trusted.cert))}
	for want, more := range map[*testCA][]string{trusted: nil, shown: {"SSL_client_ca_file=" + writeFile(t, dir, "b.pem", certPEM(shown.cert))}} {
		s := open(t, loopback, append(args, more...)...)
		var got [][]byte
		cfg := anyClient()
		cfg.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			got = r.AcceptableCAs
			return &ann.tls, nil
		}
		if _, _, err := shake(t, s, cfg); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || string(got[0]) != string(want.cert.RawSubject) {
			t.Errorf("got %d names, want that of %s", len(got), want.cert.Subject)
		}
	}
}
