package revoke

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"netserver/tlsparams/internal/trust"
)

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var now = time.Unix(1_700_000_000, 0)

func newAuthority(t testing.TB, name string) *authority { return authorityWith(t, name, nil) }

// authorityWith makes an authority with a key id of its own choice.
func authorityWith(t testing.TB, name string, keyID []byte) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key}
	a.cert = a.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, SerialNumber: big.NewInt(1), IsCA: true, SubjectKeyId: keyID,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCRLSign | x509.KeyUsageCertSign})
	return a
}

func (a *authority) issue(t testing.TB, tmpl *x509.Certificate) *x509.Certificate {
	t.Helper()
	tmpl.NotBefore, tmpl.NotAfter = now.Add(-time.Hour), now.Add(1000*time.Hour)
	parent := a.cert
	if parent == nil {
		parent = tmpl
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (a *authority) leaf(t testing.TB, serial int64, points ...string) *x509.Certificate {
	return a.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}, SerialNumber: big.NewInt(serial), CRLDistributionPoints: points})
}

func (a *authority) list(t testing.TB, tmpl x509.RevocationList, serials ...int64) []byte {
	t.Helper()
	if tmpl.Number == nil {
		tmpl.Number = big.NewInt(1)
	}
	if tmpl.ThisUpdate.IsZero() {
		tmpl.ThisUpdate = now.Add(-time.Minute)
	}
	if tmpl.NextUpdate.IsZero() {
		tmpl.NextUpdate = now.Add(time.Hour)
	}
	for _, s := range serials {
		e := x509.RevocationListEntry{SerialNumber: big.NewInt(max(s, -s)), RevocationTime: now.Add(-time.Hour)}
		if s < 0 {
			e.ReasonCode = 8 // removed from the list
		}
		tmpl.RevokedCertificateEntries = append(tmpl.RevokedCertificateEntries, e)
	}
	der, err := x509.CreateRevocationList(rand.Reader, &tmpl, a.cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func ext(t testing.TB, id asn1.ObjectIdentifier, v any) pkix.Extension {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: id, Critical: true, Value: der}
}

func lists(t testing.TB, l *Lists, ders ...[]byte) *Lists {
	t.Helper()
	for _, der := range ders {
		if _, err := l.Add("list.crl", sha256.Sum256(der), der); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func verdict(l *Lists, chain ...*x509.Certificate) string {
	_, err := l.Check(context.Background(), chain, now)
	switch {
	case err == nil:
		return "good"
	case errors.Is(err, trust.ErrRevoked):
		return "revoked"
	}
	return "no answer"
}

func TestDeltas(t *testing.T) {
	a := newAuthority(t, "ca")
	delta := func(number, base int64, serials ...int64) []byte {
		return a.list(t, x509.RevocationList{Number: big.NewInt(number), ExtraExtensions: []pkix.Extension{ext(t, oidDelta, big.NewInt(base))}}, serials...)
	}
	ended := func(number, base int64, serials ...int64) []byte {
		return a.list(t, x509.RevocationList{Number: big.NewInt(number), ThisUpdate: now.Add(-time.Hour), NextUpdate: now,
			ExtraExtensions: []pkix.Extension{ext(t, oidDelta, big.NewInt(base))}}, serials...)
	}
	base := a.list(t, x509.RevocationList{Number: big.NewInt(5)}, 10)
	for _, c := range []struct {
		name   string
		ders   [][]byte
		serial int64
		want   string
	}{
		{"base only", [][]byte{base}, 10, "revoked"},
		{"base only, other", [][]byte{base}, 11, "good"},
		{"delta adds", [][]byte{base, delta(6, 5, 11)}, 11, "revoked"},
		{"delta removes", [][]byte{base, delta(6, 5, -10)}, 10, "good"},
		{"newest delta wins", [][]byte{base, delta(7, 5, -10), delta(6, 5, 11)}, 11, "good"},
		{"delta for a newer base", [][]byte{base, delta(9, 8, 11)}, 11, "revoked"},
		{"delta for a newer base, other", [][]byte{base, delta(9, 8, 11)}, 12, "good"},
		{"delta for a newer base removes", [][]byte{base, delta(9, 8, -10)}, 10, "revoked"},
		{"ended delta adds", [][]byte{base, ended(6, 5, 11)}, 11, "revoked"},
		{"ended delta removes", [][]byte{base, ended(6, 5, -10)}, 10, "revoked"},
		{"ended delta, other", [][]byte{base, ended(6, 5, 11)}, 12, "no answer"},
		{"ended delta, newer one", [][]byte{base, ended(6, 5, 11), delta(7, 5, 11)}, 12, "good"},
		{"ended delta, newer base", [][]byte{base, ended(6, 5, 11), a.list(t, x509.RevocationList{Number: big.NewInt(7), ThisUpdate: now.Add(-time.Second)})}, 11, "good"},
		{"delta from the future", [][]byte{base, a.list(t, x509.RevocationList{Number: big.NewInt(6), ThisUpdate: now.Add(time.Second),
			ExtraExtensions: []pkix.Extension{ext(t, oidDelta, big.NewInt(5))}}, 11)}, 11, "good"},
		{"delta older than the base", [][]byte{base, delta(4, 3, 11)}, 11, "good"},
		{"delta alone", [][]byte{delta(6, 5, 11)}, 10, "no answer"},
		{"delta alone, listed", [][]byte{delta(6, 5, 11)}, 11, "revoked"},
		{"listed twice", [][]byte{a.list(t, x509.RevocationList{}, -10, 10)}, 10, "revoked"},
		{"listed twice, other order", [][]byte{a.list(t, x509.RevocationList{}, 10, -10)}, 10, "revoked"},
		{"newer base wins", [][]byte{base, a.list(t, x509.RevocationList{Number: big.NewInt(6), ThisUpdate: now.Add(-time.Second)})}, 10, "good"},
		{"base from the future", [][]byte{base, a.list(t, x509.RevocationList{Number: big.NewInt(6), ThisUpdate: now.Add(time.Second)})}, 10, "revoked"},
	} {
		if got := verdict(lists(t, &Lists{}, c.ders...), a.leaf(t, c.serial), a.cert); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// idp is an issuing distribution point.
type idp struct {
	Point    point `asn1:"optional,tag:0"`
	OnlyUser bool  `asn1:"optional,tag:1"`
	OnlyCA   bool  `asn1:"optional,tag:2"`
	Indirect bool  `asn1:"optional,tag:4"`
}

type point struct {
	FullName []asn1.RawValue `asn1:"optional,tag:0"`
}

func TestScopes(t *testing.T) {
	a := newAuthority(t, "ca")
	scoped := func(v idp) []byte {
		return a.list(t, x509.RevocationList{ExtraExtensions: []pkix.Extension{ext(t, oidPoint, v)}})
	}
	at := func(uri string) idp {
		return idp{Point: point{[]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(uri)}}}}
	}
	if got := verdict(lists(t, &Lists{}, scoped(idp{OnlyUser: true})), a.leaf(t, 2), a.cert); got != "good" {
		t.Error("a list of users does not cover one:", got)
	}
	if got := verdict(lists(t, &Lists{}, scoped(idp{OnlyCA: true})), a.leaf(t, 2), a.cert); got != "no answer" {
		t.Error("a list of authorities covers a user:", got)
	}
	part := lists(t, &Lists{}, scoped(at("http://x/1")))
	if got := verdict(part, a.leaf(t, 2, "http://x/1"), a.cert); got != "good" {
		t.Error("its own part:", got)
	}
	if got := verdict(part, a.leaf(t, 2, "http://x/2"), a.cert); got != "no answer" {
		t.Error("another part:", got)
	}
	der := scoped(idp{Indirect: true})
	if _, err := (&Lists{}).Add("f", sha256.Sum256(der), der); err == nil || !strings.Contains(err.Error(), "not supported") {
		t.Error(err)
	}
	der = a.list(t, x509.RevocationList{ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}})
	if _, err := (&Lists{}).Add("f", sha256.Sum256(der), der); err == nil || !strings.Contains(err.Error(), "critical extension") {
		t.Error(err)
	}
}

func TestSignatures(t *testing.T) {
	a, forger := newAuthority(t, "ca"), newAuthority(t, "ca")
	l := lists(t, &Lists{}, forger.list(t, x509.RevocationList{}), a.list(t, x509.RevocationList{}, 7))
	for range 3 { // the second time by what was remembered
		if got := verdict(l, a.leaf(t, 7), a.cert); got != "revoked" {
			t.Error(got)
		}
		if got := verdict(l, forger.leaf(t, 7), forger.cert); got != "good" {
			t.Error(got)
		}
	}
	if got := verdict(lists(t, &Lists{}, forger.list(t, x509.RevocationList{})), a.leaf(t, 7), a.cert); got != "no answer" {
		t.Error("a forged list counts:", got)
	}
	forger = authorityWith(t, "ca", a.cert.SubjectKeyId)
	if got := verdict(lists(t, &Lists{}, forger.list(t, x509.RevocationList{})), a.leaf(t, 7), a.cert); got != "no answer" {
		t.Error("a list that is forged with the same key id counts:", got)
	}
}

func TestBrokenLists(t *testing.T) {
	a := newAuthority(t, "ca")
	der := a.list(t, x509.RevocationList{}, 1, 2, 3)
	text := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
	for name, data := range map[string][]byte{"empty": {}, "garbage": []byte("x"), "cut": der[:len(der)-1], "more": append(append([]byte{}, der...), 0), "cut PEM": text[:60],
		"second cut": append(bytes.Clone(text), text[:len(text)-9]...), "joined": append(bytes.TrimSpace(text), text...)} {
		if n, err := (&Lists{}).Add("f", [32]byte{}, data); err == nil || n != 0 {
			t.Errorf("%s: %d lists, %v", name, n, err)
		}
	}
	if n, err := (&Lists{}).Add("f", [32]byte{}, append(text, text...)); n != 2 || err != nil {
		t.Error(n, err)
	}
}

// TestJudgedAgain: an answer holds until a list ends or one that is there
// begins, whatever the policy.
func TestJudgedAgain(t *testing.T) {
	a := newAuthority(t, "ca")
	in := func(d time.Duration) time.Time { return now.Add(d) }
	ends := a.list(t, x509.RevocationList{Number: big.NewInt(5), NextUpdate: in(time.Hour)})
	delta := a.list(t, x509.RevocationList{Number: big.NewInt(6), NextUpdate: in(30 * time.Minute), ExtraExtensions: []pkix.Extension{ext(t, oidDelta, big.NewInt(5))}})
	future := a.list(t, x509.RevocationList{Number: big.NewInt(7), ThisUpdate: in(10 * time.Minute), NextUpdate: in(2 * time.Hour)}, 9)
	for _, c := range []struct {
		name   string
		policy Policy
		ders   [][]byte
		want   time.Duration
	}{
		{"end", Closed, [][]byte{ends}, time.Hour},
		{"end of the delta", Closed, [][]byte{ends, delta}, 30 * time.Minute},
		{"beginning", Closed, [][]byte{ends, delta, future}, 10 * time.Minute},
		{"beginning, expired", Expired, [][]byte{ends, future}, 10 * time.Minute},
		{"beginning, open", Open, [][]byte{future}, 10 * time.Minute},
	} {
		l := lists(t, &Lists{Policy: c.policy}, c.ders...)
		leaf := a.leaf(t, 9)
		until, err := l.Check(context.Background(), []*x509.Certificate{leaf, a.cert}, now)
		if err != nil || !until.Equal(in(c.want)) {
			t.Errorf("%s: until %v, %v", c.name, until.Sub(now), err)
		}
		_, err = l.Check(context.Background(), []*x509.Certificate{leaf, a.cert}, until)
		if revoked := errors.Is(err, trust.ErrRevoked); revoked != (c.want == 10*time.Minute) || err == nil {
			t.Errorf("%s: at that moment: %v", c.name, err)
		}
	}
	l := lists(t, &Lists{}, future)
	if _, err := l.Check(context.Background(), []*x509.Certificate{a.leaf(t, 8), a.cert}, now); err == nil || !strings.Contains(err.Error(), "begins on") {
		t.Error(err)
	}
	if got := lists(t, &Lists{}, ends, delta).Stale(in(40*time.Minute), 0); len(got) != 1 || !strings.Contains(got[0], "delta revocation list") {
		t.Error(got)
	}
	if got := lists(t, &Lists{}, ends, future).Stale(in(70*time.Minute), 0); len(got) != 0 {
		t.Error("a list that another has followed is warned of:", got)
	}
}

func FuzzLists(f *testing.F) {
	a := newAuthority(f, "ca")
	der := a.list(f, x509.RevocationList{ExtraExtensions: []pkix.Extension{ext(f, oidDelta, big.NewInt(1)), ext(f, oidPoint, idp{OnlyUser: true})}}, 1, 2)
	f.Add(der)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
	f.Add(a.v1(f, v1List{Next: now.Add(time.Hour).UTC(), Revoked: []v1Entry{{Serial: big.NewInt(2), Date: now.UTC()}}}))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: a.list(f, x509.RevocationList{}, 2)}))
	leaf := a.leaf(f, 2)
	f.Fuzz(func(t *testing.T, data []byte) {
		l := &Lists{}
		if n, err := l.Add("f", [32]byte{}, data); err == nil && n > 0 {
			l.Check(context.Background(), []*x509.Certificate{leaf, a.cert}, now)
			l.Stale(now, time.Hour)
		}
	})
}

func bigList(b testing.TB, a *authority, n int) []byte {
	tmpl := x509.RevocationList{}
	for range n {
		serial := make([]byte, 16)
		rand.Read(serial)
		serial[0] = serial[0]&0x7f | 1
		tmpl.RevokedCertificateEntries = append(tmpl.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: new(big.Int).SetBytes(serial), RevocationTime: now})
	}
	return a.list(b, tmpl)
}

func BenchmarkLoad100000(b *testing.B) {
	der := bigList(b, newAuthority(b, "ca"), 100000)
	for b.Loop() {
		lists(b, &Lists{}, der)
	}
}

func BenchmarkCheck100000(b *testing.B) {
	a := newAuthority(b, "ca")
	l := lists(b, &Lists{}, bigList(b, a, 100000))
	chain := []*x509.Certificate{a.leaf(b, 5), a.cert}
	if _, err := l.Check(context.Background(), chain, now); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		l.Check(context.Background(), chain, now)
	}
}
