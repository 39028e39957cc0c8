package revoke

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Of an entry's extensions only those that are known may be critical.
func TestExtensionsOfEntries(t *testing.T) {
	a := newAuthority(t, "ca")
	unknown := asn1.ObjectIdentifier{1, 2, 3, 4}
	for name, c := range map[string]struct {
		id       asn1.ObjectIdentifier
		critical bool
		want     string
	}{
		"unknown":                  {unknown, false, "revoked"},
		"unknown and critical":     {unknown, true, ""},
		"the date and critical":    {oidInvalidity, true, "revoked"},
		"the date":                 {oidInvalidity, false, "revoked"},
		"its issuer, and critical": {asn1.ObjectIdentifier{2, 5, 29, 29}, true, ""},
	} {
		der := a.list(t, x509.RevocationList{RevokedCertificateEntries: []x509.RevocationListEntry{{
			SerialNumber: big.NewInt(7), RevocationTime: now.Add(-time.Hour),
			ExtraExtensions: []pkix.Extension{{Id: c.id, Critical: c.critical, Value: []byte{4, 0}}},
		}}})
		l := new(Lists)
		if _, err := l.Add("f", sha256.Sum256(der), der); (err == nil) != (c.want != "") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.want == "" {
			continue
		}
		if got := verdict(l, a.leaf(t, 7), a.cert); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestBaseNumbersOfDeltas(t *testing.T) {
	number, _ := asn1.Marshal(big.NewInt(5))
	for name, c := range map[string]struct {
		value []byte
		ok    bool
	}{"a number": {number, true}, "and more": {append(bytes.Clone(number), 0), false}, "none": {[]byte{4, 0}, false}, "nothing": {nil, false}} {
		l := &list{name: "x"}
		if err := l.delta(c.value); (err == nil) != c.ok || c.ok && l.base.Int64() != 5 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNothingFollowsAResponse(t *testing.T) {
	a := newAuthority(t, "ca")
	der := a.answer(t, a, nil, ocsp.Response{NextUpdate: now.Add(time.Hour)})
	if _, err := CheckResponse(der, a.leaf(t, 7), a.cert, now); err != nil {
		t.Fatal(err)
	}
	if _, err := CheckResponse(append(bytes.Clone(der), 0), a.leaf(t, 7), a.cert, now); err == nil {
		t.Error("accepted with a byte behind it")
	}
}

// Split gives back each list, and none of a file that is no good.
func TestSplit(t *testing.T) {
	a := newAuthority(t, "ca")
	one, two := a.list(t, x509.RevocationList{}, 1), a.list(t, x509.RevocationList{}, 2)
	text := append(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: one}), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: two})...)
	for _, check := range []bool{true, false} {
		if got, err := Split(text, check); err != nil || len(got) != 2 || !bytes.Equal(got[0], one) || !bytes.Equal(got[1], two) {
			t.Errorf("check %v: %d lists, %v", check, len(got), err)
		}
		if got, err := Split(one, check); err != nil || len(got) != 1 || !bytes.Equal(got[0], one) {
			t.Errorf("check %v, DER: %d lists, %v", check, len(got), err)
		}
		if got, err := Split(text[:len(text)-20], check); err == nil || len(got) > 0 {
			t.Errorf("check %v, cut: %d lists, %v", check, len(got), err)
		}
	}
	if got, err := Split([]byte("root:x:0:0"), true); err == nil || len(got) > 0 {
		t.Errorf("no list: %d, %v", len(got), err)
	}
}

// Lists are reused of the same file with the same contents only.
func TestReuse(t *testing.T) {
	a := newAuthority(t, "ca")
	der := a.list(t, x509.RevocationList{}, 7)
	sum := sha256.Sum256(der)
	from := new(Lists)
	if _, err := from.Add("f", sum, der); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file string
		sum  [32]byte
		n    int
	}{"the same": {"f", sum, 1}, "another file": {"g", sum, 0}, "other contents": {"f", [32]byte{}, 0}} {
		to := new(Lists)
		if n := to.Reuse(from, c.file, c.sum); n != c.n {
			t.Errorf("%s: %d lists", name, n)
		}
		want := map[int]string{0: "no answer", 1: "revoked"}[c.n]
		if got := verdict(to, a.leaf(t, 7), a.cert); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A delta list whose base cannot be read is no list, and nothing of its file
// counts.
func TestDamagedDeltas(t *testing.T) {
	a := newAuthority(t, "ca")
	der := a.list(t, x509.RevocationList{ExtraExtensions: []pkix.Extension{{Id: oidDelta, Critical: true, Value: []byte{4, 0}}}}, 7)
	l := new(Lists)
	if n, err := l.Add("f", sha256.Sum256(der), der); n != 0 || err == nil {
		t.Errorf("%d lists, %v", n, err)
	}
}

// A response that names its signer in no way that can be read names nobody.
func TestDamagedNamesOfSigners(t *testing.T) {
	a := newAuthority(t, "ca")
	id := func(tag int, content []byte) asn1.RawValue {
		return asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Tag: tag, Bytes: content}
	}
	for name, v := range map[string]asn1.RawValue{
		"no string":        id(2, []byte{2, 1, 1}),
		"a cut string":     id(2, []byte{4, 20, 1}),
		"nothing":          id(2, nil),
		"another way":      id(3, a.cert.RawSubject),
		"a name and more":  id(1, append(bytes.Clone(a.cert.RawSubject), 0)),
		"an empty name":    id(1, nil),
		"not in brackets":  {Class: asn1.ClassContextSpecific, Tag: 1, Bytes: a.cert.RawSubject},
		"of another class": {Class: asn1.ClassApplication, IsCompound: true, Tag: 1, Bytes: a.cert.RawSubject},
	} {
		if (&basicResponse{Data: responseData{Responder: v}}).names(a.cert) {
			t.Errorf("%s: names the authority", name)
		}
	}
	if !(&basicResponse{Data: responseData{Responder: id(1, a.cert.RawSubject)}}).names(a.cert) {
		t.Error("the authority is not found by its name")
	}
}
