package revoke

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"netserver/tlsparams/internal/trust"
)

// signer makes a certificate for signing responses, from a.
func (a *authority) signer(t testing.TB, change func(*x509.Certificate)) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{Subject: pkix.Name{CommonName: "responder"}, SerialNumber: big.NewInt(77), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	if change != nil {
		change(tmpl)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{c, key}
}

// answer makes a response of a about a certificate with the serial number,
// signed by by, whose certificate is in it if with.
func (a *authority) answer(t testing.TB, by *authority, with *x509.Certificate, tmpl ocsp.Response) []byte {
	t.Helper()
	if tmpl.SerialNumber == nil {
		tmpl.SerialNumber = big.NewInt(7)
	}
	if tmpl.ThisUpdate.IsZero() {
		tmpl.ThisUpdate = now.Add(-time.Minute)
	}
	tmpl.Certificate = with
	der, err := ocsp.CreateResponse(a.cert, by.cert, tmpl, by.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestWhoMaySignResponses(t *testing.T) {
	a, twin := newAuthority(t, "ca"), newAuthority(t, "ca")
	leaf := a.leaf(t, 7)
	// The issuing intermediate is signed by another: its own certificate in
	// the response does not make it a delegated responder.
	root := newAuthority(t, "root")
	under := *a
	under.cert = root.signedAs(t, a)
	next := ocsp.Response{NextUpdate: now.Add(time.Hour)}
	good := a.signer(t, nil)
	change := func(f func(*x509.Certificate)) *authority { return a.signer(t, f) }
	expired := change(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) })
	early := change(func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) })
	useless := change(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	noSign := change(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
	other := twin.signer(t, nil)
	for _, c := range []struct {
		name   string
		issuer *x509.Certificate
		der    []byte
		want   string // of the error; "" for none
	}{
		{"issuer", a.cert, a.answer(t, a, nil, next), ""},
		{"issuer, with its certificate", a.cert, a.answer(t, a, a.cert, next), ""},
		{"intermediate, with its certificate", under.cert, under.answer(t, &under, under.cert, next), ""},
		{"intermediate, with another of its certificates", under.cert, under.answer(t, &under, a.cert, next), ""},
		{"delegated", a.cert, a.answer(t, good, good.cert, next), ""},
		{"delegated, without its certificate", a.cert, a.answer(t, good, nil, next), "not that of the issuer"},
		{"delegated, expired", a.cert, a.answer(t, expired, expired.cert, next), "expired on"},
		{"delegated, not yet valid", a.cert, a.answer(t, early, early.cert, next), "starts on"},
		{"not made for it", a.cert, a.answer(t, useless, useless.cert, next), "not made for it"},
		{"not made for signatures", a.cert, a.answer(t, noSign, noSign.cert, next), "not made for signatures"},
		{"delegated by another of that name", a.cert, a.answer(t, other, other.cert, next), "not from the issuer"},
		{"another of that name", a.cert, a.answer(t, twin, nil, next), "not that of the issuer"},
		{"another of that name, with its certificate", a.cert, a.answer(t, twin, twin.cert, next), "not from the issuer"},
		{"about another of that name", a.cert, twin.answer(t, good, good.cert, next), "about another certificate"},
		{"about another number", a.cert, a.answer(t, a, nil, ocsp.Response{SerialNumber: big.NewInt(8), NextUpdate: next.NextUpdate}), "about another certificate"},
		{"critical extension", a.cert, a.answer(t, a, nil, ocsp.Response{NextUpdate: next.NextUpdate,
			ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}}), "critical extension"},
		{"refusal", a.cert, ocsp.UnauthorizedErrorResponse, "refuses to answer: unauthorized"},
	} {
		r, err := CheckResponse(c.der, leaf, c.issuer, now)
		if c.want == "" && (err != nil || r.Status != ocsp.Good) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || r != nil) {
			t.Errorf("%s: %+v, %v; want %q", c.name, r, err, c.want)
		}
	}
}

// signedAs makes a certificate of a's for another authority's name and key.
func (a *authority) signedAs(t testing.TB, o *authority) *x509.Certificate {
	t.Helper()
	tmpl := *o.cert
	der, err := x509.CreateCertificate(rand.Reader, &tmpl, a.cert, o.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSignersByKey: a response may name its signer by the hash of its key.
func TestSignersByKey(t *testing.T) {
	a, other := newAuthority(t, "ca"), newAuthority(t, "ca")
	var spki struct {
		Algo pkix.AlgorithmIdentifier
		Key  asn1.BitString
	}
	if _, err := asn1.Unmarshal(a.cert.RawSubjectPublicKeyInfo, &spki); err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(spki.Key.Bytes)
	hash, _ := asn1.Marshal(sum[:])
	id := func(tag int, content []byte) asn1.RawValue {
		return asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Tag: tag, Bytes: content}
	}
	for name, c := range map[string]struct {
		id   asn1.RawValue
		cert *x509.Certificate
		want bool
	}{
		"its key": {id(2, hash), a.cert, true}, "another's key": {id(2, hash), other.cert, false}, "damaged": {id(2, hash[:9]), a.cert, false},
		"more": {id(2, append(hash[:len(hash):len(hash)], 0)), a.cert, false}, "its name": {id(1, a.cert.RawSubject), a.cert, true},
		"neither": {id(3, hash), a.cert, false}, "no name": {asn1.RawValue{}, a.cert, false},
	} {
		b := &basicResponse{Data: responseData{Responder: c.id}}
		if got := b.names(c.cert); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	der := a.answer(t, a, nil, ocsp.Response{NextUpdate: now.Add(time.Hour)})
	// Each byte broken and each length cut: an error, and no panic.
	for i := range der {
		if _, err := CheckResponse(der[:i], a.leaf(t, 7), a.cert, now); err == nil {
			t.Errorf("accepted when cut to %d bytes", i)
		}
	}
	leaf := a.leaf(t, 7)
	for i := range der {
		bad := bytes.Clone(der)
		bad[i] ^= 0x55
		if r, err := CheckResponse(bad, leaf, a.cert, now); err == nil && r.Status != ocsp.Good {
			t.Errorf("byte %d changes what it says", i)
		}
	}
}

func TestTimesOfResponses(t *testing.T) {
	a := newAuthority(t, "ca")
	leaf := a.leaf(t, 7)
	for name, c := range map[string]struct {
		this, next time.Duration // from now; next 0: none
		want       string
		ends       time.Duration
	}{
		"in time":             {-time.Hour, time.Hour, "", time.Hour},
		"ended":               {-time.Hour, -time.Second, "ended on", 0},
		"no end, an hour old": {-time.Hour, 0, "", 23 * time.Hour},
		"no end, new":         {-time.Second, 0, "", MaxAge - time.Second},
		"no end, a day old":   {-MaxAge, 0, "does not say when it ends", 0},
		"no end, a year old":  {-365 * 24 * time.Hour, 0, "does not say when it ends", 0},
		"clock a little slow": {4 * time.Minute, time.Hour, "", time.Hour},
		"from the future":     {6 * time.Minute, time.Hour, "from the future", 0},
	} {
		tmpl := ocsp.Response{ThisUpdate: now.Add(c.this)}
		if c.next != 0 {
			tmpl.NextUpdate = now.Add(c.next)
		}
		r, err := CheckResponse(a.answer(t, a, nil, tmpl), leaf, a.cert, now)
		if c.want == "" && (err != nil || !r.Ends.Equal(now.Add(c.ends))) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// TestAlgorithms: what package x509 can check, it is asked to check.
func TestAlgorithms(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, algo := range []x509.SignatureAlgorithm{x509.SHA256WithRSA, x509.SHA512WithRSA, x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS} {
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), SignatureAlgorithm: algo}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		var c struct{ TBS, Algo asn1.RawValue }
		if _, err := asn1.Unmarshal(der, &c); err != nil {
			t.Fatal(err)
		}
		if got, err := algorithm(c.Algo); got != algo || err != nil {
			t.Errorf("%v: %v %v", algo, got, err)
		}
	}
	for _, raw := range [][]byte{{0x30, 0}, {5, 0}, {0x30, 4, 6, 2, 42, 3}} {
		if got, err := algorithm(asn1.RawValue{FullBytes: raw}); err == nil {
			t.Errorf("%x: %v", raw, got)
		}
	}
}

// TestUnusableAnswersAreTold: each question without an answer is told of, soft
// or hard, and who was revoked stays so while nobody answers.
func TestUnusableAnswersAreTold(t *testing.T) {
	a := newAuthority(t, "ca")
	var mu sync.Mutex
	var say []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		w.Write(say)
	}))
	defer srv.Close()
	set := func(der []byte) { mu.Lock(); say = der; mu.Unlock() }
	at := now
	chain := []*x509.Certificate{a.leaf(t, 7), a.cert}
	for _, hard := range []bool{false, true} {
		told := 0
		o := &OCSP{Hard: hard, Responder: srv.URL, Unusable: func(subject string, err error, _ int) {
			told++
			if !strings.Contains(subject, "leaf") || err == nil {
				t.Error(subject, err)
			}
		}}
		ask := func(step string, want string, wantTold int) {
			t.Helper()
			at = at.Add(2 * ocspFailKeep)
			told = 0
			until, err := o.Check(context.Background(), chain, at)
			got := "in"
			if errors.Is(err, trust.ErrRevoked) {
				got = "revoked"
			} else if err != nil {
				got = "denied"
			}
			if got != want || told != wantTold {
				t.Errorf("hard %v, %s: %s, want %s; told %d times", hard, step, got, want, told)
			}
			if err == nil && !until.After(at) {
				t.Errorf("hard %v, %s: until %v", hard, step, until)
			}
		}
		without := map[bool]string{false: "in", true: "denied"}[hard]
		at = now
		next := func(status int, this, end time.Duration) []byte {
			return a.answer(t, a, nil, ocsp.Response{Status: status, RevokedAt: now, ThisUpdate: at.Add(this), NextUpdate: at.Add(end)})
		}
		set([]byte("no answer"))
		ask("garbage", without, 1)
		set(next(ocsp.Unknown, 0, time.Hour))
		ask("unknown", without, 1)
		set(next(ocsp.Good, -time.Hour, time.Second))
		ask("ended", without, 1)
		set(next(ocsp.Good, 0, 3*ocspFailKeep))
		ask("good", "in", 0)
		at = at.Add(ocspFailKeep)
		set(next(ocsp.Revoked, -time.Hour, -time.Minute))
		ask("revoked, long ago", "revoked", 1)
		set([]byte("no answer"))
		ask("no answer after revoked", "revoked", 1)
		set(next(ocsp.Good, 0, time.Hour))
		ask("good again", "in", 0)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	told := 0
	o := &OCSP{Responder: srv.URL, Unusable: func(string, error, int) { told++ }}
	for range 3 * sampleLines {
		o.unusable(chain[0], errors.New("x"), now)
	}
	if told != sampleLines {
		t.Errorf("%d lines of %d", told, 3*sampleLines)
	}
	var most atomic.Int64 // an answer may come when Check has given up
	o.Unusable = func(_ string, _ error, others int) {
		if others > 0 {
			most.Store(int64(others))
		}
	}
	mu.Lock() // there is no answer before Check has given up
	o.Check(ctx, chain, now.Add(time.Hour))
	mu.Unlock()
	if most.Load() != 2*sampleLines {
		t.Errorf("%d others", most.Load())
	}
}

func FuzzResponse(f *testing.F) {
	a := newAuthority(f, "ca")
	leaf := a.leaf(f, 7)
	d := a.signer(f, nil)
	next := ocsp.Response{NextUpdate: now.Add(time.Hour)}
	f.Add(a.answer(f, a, nil, next))
	f.Add(a.answer(f, a, a.cert, ocsp.Response{Status: ocsp.Revoked, RevokedAt: now, NextUpdate: now.Add(time.Hour)}))
	f.Add(a.answer(f, d, d.cert, next))
	f.Add(ocsp.TryLaterErrorResponse)
	keys := map[string]crypto.Signer{"issuer": a.key, "responder": d.key}
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := CheckResponse(der, leaf, a.cert, now)
		if err != nil {
			return
		}
		if !r.Ends.After(now) || r.Ends.Sub(r.This) > MaxAge && r.Ends.After(now.Add(24*365*200*time.Hour)) {
			t.Fatalf("%+v", r)
		}
		// What is accepted was signed with one of the keys.
		b, err := parseResponse(der)
		if err != nil {
			t.Fatal(err)
		}
		algo, err := algorithm(b.Algo)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			c := &x509.Certificate{PublicKey: k.Public()}
			if c.CheckSignature(algo, b.Data.Raw, b.Sig.RightAlign()) == nil {
				return
			}
		}
		t.Fatal("accepted without a signature")
	})
}
