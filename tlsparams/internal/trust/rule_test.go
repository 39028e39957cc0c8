package trust

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
)

var now = time.Now()

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue signs tmpl, with a's key or its own, for key or a new one.
func (a *authority) issue(t *testing.T, tmpl x509.Certificate, key *ecdsa.PrivateKey) *authority {
	t.Helper()
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	tmpl.SerialNumber, _ = rand.Int(rand.Reader, big.NewInt(1<<60))
	if tmpl.NotBefore.IsZero() {
		tmpl.NotBefore = now.Add(-24 * time.Hour)
	}
	if tmpl.NotAfter.IsZero() {
		tmpl.NotAfter = now.Add(24 * time.Hour)
	}
	parent, by := &tmpl, key
	if a != nil {
		parent, by = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, &tmpl, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{c, key}
}

func (a *authority) ca(t *testing.T, name string, key *ecdsa.PrivateKey) *authority {
	t.Helper()
	return a.issue(t, x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, key)
}

func (a *authority) client(t *testing.T, notAfter time.Time, usage ...x509.ExtKeyUsage) *x509.Certificate {
	t.Helper()
	return a.issue(t, x509.Certificate{Subject: pkix.Name{CommonName: "ops"}, NotAfter: notAfter, ExtKeyUsage: usage}, nil).cert
}

func roots(as ...*authority) *x509.CertPool {
	p := x509.NewCertPool()
	for _, a := range as {
		p.AddCert(a.cert)
	}
	return p
}

// judge returns the verdict's reason, or "denied: " and why.
func judge(r *Rule, at time.Time, certs ...*x509.Certificate) string {
	v, err := r.Judge(context.Background(), &tls.ConnectionState{PeerCertificates: certs}, at)
	var d *Denied
	switch {
	case err == nil:
		return v.Reason
	case errors.As(err, &d):
		return "denied: " + d.Reason
	}
	return "error: " + err.Error()
}

func TestJudge(t *testing.T) {
	ca, stranger := (*authority)(nil).ca(t, "ca", nil), (*authority)(nil).ca(t, "stranger", nil)
	soon := now.Add(time.Hour)
	good := ca.client(t, soon, x509.ExtKeyUsageClientAuth)
	server := ca.client(t, soon, x509.ExtKeyUsageServerAuth)
	foreign := stranger.client(t, soon, x509.ExtKeyUsageClientAuth)
	sum := sha256.Sum256(foreign.Raw)
	pin, err := ParsePin("sha256$" + hex.EncodeToString(sum[:]))
	if err != nil {
		t.Fatal(err)
	}
	var ops, dev Allow
	if err := errors.Join(ops.Add(KindCN, "ops"), dev.Add(KindCN, "dev")); err != nil {
		t.Fatal(err)
	}
	refuse := func(*tls.ConnectionState, [][]*x509.Certificate, error) error { return errors.New("not today") }
	accept := func(*tls.ConnectionState, [][]*x509.Certificate, error) error { return nil }
	pass := func(_ *tls.ConnectionState, chains [][]*x509.Certificate, err error) error {
		if (err == nil) != (len(chains) == 1) {
			t.Errorf("%d chains with the verdict %v", len(chains), err)
		}
		return err
	}
	for _, c := range []struct {
		name string
		rule *Rule
		cert *x509.Certificate
		want string
	}{
		{"not asked", &Rule{}, nil, "no certificate asked"},
		{"not asked, and shown", &Rule{}, foreign, "no certificate asked"},
		{"none, optional", &Rule{Mode: Optional}, nil, "no certificate shown"},
		{"none, required", &Rule{Mode: Required}, nil, "denied: it showed none"},
		{"good", &Rule{Mode: Required}, good, "signed by CN=ca"},
		{"good, optional", &Rule{Mode: Optional}, good, "signed by CN=ca"},
		{"of a stranger", &Rule{Mode: Required}, foreign, "denied: * is not signed by an authority of SSL_ca_file or SSL_ca_path"},
		{"of a stranger, optional", &Rule{Mode: Optional}, foreign, "denied: * is not signed by an authority of SSL_ca_file or SSL_ca_path"},
		{"a server's", &Rule{Mode: Required}, server, "denied: * is not made for clients: its extended key usage lacks clientAuth"},
		{"pinned", &Rule{Mode: Required, Pins: []Pin{pin}}, foreign, "pinned by *"},
		{"beside a pin", &Rule{Mode: Required, Pins: []Pin{pin}}, good, "signed by CN=ca"},
		{"not the pinned one", &Rule{Mode: Required, Pins: []Pin{pin}, ForcePin: true}, good, "denied: * matches no SSL_fingerprint"},
		{"refused by the function", &Rule{Mode: Required, Verify: refuse}, good, "denied: by SSL_verify_callback: not today"},
		{"accepted by the function", &Rule{Mode: Required, Verify: accept}, foreign, ""},
		{"left as it is", &Rule{Mode: Required, Verify: pass}, good, "signed by CN=ca"},
		{"left denied", &Rule{Mode: Required, Verify: pass}, foreign, "denied: by SSL_verify_callback: *"},
		{"on the list", &Rule{Mode: Required, Allow: ops}, good, "allowed by cn ops"},
		{"not on the list", &Rule{Mode: Required, Allow: dev}, good, "denied: * is on no allow list"},
		{"pinned and not on the list", &Rule{Mode: Required, Allow: dev, Pins: []Pin{pin}}, foreign, "denied: * is on no allow list"},
		{"accepted by the function, not on the list", &Rule{Mode: Required, Allow: dev, Verify: accept}, foreign, "denied: * is on no allow list"},
	} {
		r := c.rule
		r.Roots = roots(ca)
		var certs []*x509.Certificate
		if c.cert != nil {
			certs = append(certs, c.cert)
		}
		before, after, any := strings.Cut(c.want, "*")
		for range 2 { // the second time from memory
			got := judge(r, now, certs...)
			if got != c.want && !(any && strings.HasPrefix(got, before) && strings.HasSuffix(got, after)) {
				t.Errorf("%s: %s, want %s", c.name, got, c.want)
			}
		}
	}
}

// A pin that was not made by ParsePin is nobody's.
func TestPinOfNobody(t *testing.T) {
	ca := (*authority)(nil).ca(t, "ca", nil)
	for _, p := range []Pin{{}, {pub: true}, {algo: "rot13"}} {
		if p.Matches(ca.cert) {
			t.Errorf("%+v matches", p)
		}
	}
}

// What was found good is not good beyond the end of any of its certificates,
// though the chain is remembered; and the reason says which one ended.
func TestTheEndOfACertificate(t *testing.T) {
	ca := (*authority)(nil).ca(t, "ca", nil)
	short := ca.issue(t, x509.Certificate{Subject: pkix.Name{CommonName: "between"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotAfter: now.Add(time.Hour)}, nil)
	ends := short.cert.NotAfter
	leaf := short.client(t, now.Add(2*time.Hour), x509.ExtKeyUsageClientAuth)
	r := &Rule{Mode: Required, Roots: roots(ca)}
	v, err := r.Judge(context.Background(), &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf, short.cert}}, now)
	if err != nil || !v.Until.Equal(ends) || len(v.Chains) != 1 || len(v.Chains[0]) != 3 {
		t.Fatalf("%+v, %v; want until %v", v, err, ends)
	}
	for at, want := range map[time.Time]string{
		ends:                       "signed by CN=ca",
		ends.Add(time.Second):      "expired on " + ends.UTC().Format(time.DateTime),
		now.Add(-23 * time.Hour):   "signed by CN=ca",
		now.Add(-25 * time.Hour):   "denied",
		now.Add(30 * time.Hour):    "expired on",
		ends.Add(-time.Nanosecond): "signed by CN=ca",
	} {
		if got := judge(r, at, leaf, short.cert); !strings.Contains(got, want) {
			t.Errorf("%v: %s, want %s", at, got, want)
		}
	}
	if got := judge(r, now, leaf); !strings.HasPrefix(got, "denied") {
		t.Errorf("without the certificate between: %s", got)
	}
	if got := judge(r, now.Add(-25*time.Hour), leaf, short.cert); strings.Contains(got, "expired on") || strings.Contains(got, "not made for") {
		t.Errorf("one that has not begun: %s", got)
	}
}

// A checker says what it is told to of a chain, by its anchor.
type checker struct {
	errs   map[string]error
	until  time.Time
	called int
}

func (c *checker) Check(_ context.Context, chain []*x509.Certificate, _ time.Time) (time.Time, error) {
	c.called++
	return c.until, c.errs[chain[len(chain)-1].Subject.CommonName]
}

// One chain that all checkers agree on is enough; without one the client hears
// of a revocation before anything else.
func TestCheckers(t *testing.T) {
	one, two := (*authority)(nil).ca(t, "one", nil), (*authority)(nil).ca(t, "two", nil)
	between := one.ca(t, "between", nil)
	crossed := two.ca(t, "between", between.key)
	leaf := between.client(t, now.Add(2*time.Hour), x509.ExtKeyUsageClientAuth)
	revoked := ErrRevoked
	dumb, deaf := errors.New("no list of one"), errors.New("no list of two")
	until := now.Add(time.Hour)
	for _, c := range []struct {
		name     string
		one, two error
		want     []string // one of them
		revoked  bool
	}{
		{"both good", nil, nil, []string{"signed by CN=one", "signed by CN=two"}, false},
		{"one good", nil, revoked, []string{"signed by CN=one"}, false},
		{"the other good", dumb, nil, []string{"signed by CN=two"}, false},
		{"both revoked", revoked, revoked, []string{"denied: revoked"}, true},
		{"one revoked", revoked, deaf, []string{"denied: revoked"}, true},
		{"the other revoked", dumb, revoked, []string{"denied: revoked"}, true},
		{"nobody knows", dumb, deaf, []string{"denied: no list of one", "denied: no list of two"}, false},
	} {
		ck := &checker{errs: map[string]error{"one": c.one, "two": c.two}, until: until}
		silent := &checker{}
		r := &Rule{Mode: Required, Roots: roots(one, two), Checkers: []Checker{ck, silent}}
		v, err := r.Judge(context.Background(), &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf, between.cert, crossed.cert}}, now)
		got := v.Reason
		if err != nil {
			got = "denied: " + err.(*Denied).Reason
		}
		ok := false
		for _, w := range c.want {
			ok = ok || got == w
		}
		if !ok || errors.Is(err, ErrRevoked) != c.revoked {
			t.Errorf("%s: %s (%v), want %s", c.name, got, err, c.want)
		}
		if err == nil && (!v.Until.Equal(until) || silent.called == 0) {
			t.Errorf("%s: until %v; the second checker was asked %d times", c.name, v.Until, silent.called)
		}
	}
}

// A pin takes no revocation back.
func TestPinnedAndRevoked(t *testing.T) {
	ca := (*authority)(nil).ca(t, "ca", nil)
	leaf := ca.client(t, now.Add(time.Hour), x509.ExtKeyUsageClientAuth)
	sum := sha256.Sum256(leaf.Raw)
	pin, _ := ParsePin(hex.EncodeToString(sum[:]))
	for err, want := range map[error]string{ErrRevoked: "denied: revoked", errors.New("no list"): "pinned by", nil: "pinned by"} {
		r := &Rule{Mode: Required, Roots: roots(ca), Pins: []Pin{pin}, Checkers: []Checker{&checker{errs: map[string]error{"ca": err}}}}
		if got := judge(r, now, leaf); !strings.HasPrefix(got, want) {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}
