package revoke

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver/internal/certfile"
)

type v1Entry struct {
	Serial *big.Int
	Date   time.Time
	Exts   []pkix.Extension `asn1:"optional"`
}

type v1List struct {
	Algo    pkix.AlgorithmIdentifier
	Issuer  asn1.RawValue
	This    time.Time
	Next    time.Time        `asn1:"optional"`
	Revoked []v1Entry        `asn1:"optional"`
	Exts    []pkix.Extension `asn1:"optional,explicit,tag:0"`
}

// v1 makes a list of version 1.
func (a *authority) v1(t testing.TB, l v1List) []byte {
	t.Helper()
	l.Algo = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}
	l.Issuer = asn1.RawValue{FullBytes: a.cert.RawSubject}
	l.This = now.Add(-time.Hour).UTC()
	tbs, err := asn1.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(tbs)
	sig, err := a.key.Sign(rand.Reader, sum[:], nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(struct {
		TBS  asn1.RawValue
		Algo pkix.AlgorithmIdentifier
		Sig  asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, l.Algo, asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)}})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestVersion1(t *testing.T) {
	a, other := newAuthority(t, "ca"), newAuthority(t, "ca")
	der := a.v1(t, v1List{Next: now.Add(time.Hour).UTC(), Revoked: []v1Entry{{Serial: big.NewInt(7), Date: now.UTC()}}})
	l := lists(t, &Lists{}, der)
	for serial, want := range map[int64]string{7: "revoked", 8: "good"} {
		if got := verdict(l, a.leaf(t, serial), a.cert); got != want {
			t.Errorf("%d: %s", serial, got)
		}
	}
	if got := verdict(lists(t, &Lists{}, der), other.leaf(t, 8), other.cert); got != "no answer" {
		t.Error("a list that is signed with another key counts:", got)
	}
	if got := verdict(lists(t, &Lists{}, a.v1(t, v1List{Next: now.UTC()})), a.leaf(t, 8), a.cert); got != "no answer" {
		t.Error("one that has ended counts:", got)
	}
	if got := verdict(lists(t, &Lists{}, a.v1(t, v1List{})), a.leaf(t, 8), a.cert); got != "good" {
		t.Error("one without end:", got)
	}
	x := []pkix.Extension{{Id: oidPoint, Critical: true, Value: []byte{0x30, 0}}}
	for name, bad := range map[string][]byte{
		"extension": a.v1(t, v1List{Exts: x}), "extension of an entry": a.v1(t, v1List{Revoked: []v1Entry{{big.NewInt(1), now.UTC(), x}}}),
		"more": append(append([]byte{}, der...), 0), "cut": der[:len(der)-1],
	} {
		if _, err := (&Lists{}).Add("f", [32]byte{}, bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestVersion1OfOpenSSL reads a list of openssl ca, which writes version 1
// where its configuration has no crlnumber.
func TestVersion1OfOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(openssl, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=old", "-days", "30",
		"-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=cRLSign,keyCertSign", "-keyout", at("key"), "-out", at("ca"))
	// Serial 1000 has been revoked.
	index := "R\t400101000000Z\t200101000000Z\t1000\tunknown\t/CN=x\n"
	conf := "[ca]\ndefault_ca=a\n[a]\ndatabase=" + at("index") + "\ndefault_md=sha256\n"
	for name, text := range map[string]string{"index": index, "conf": conf} {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run("ca", "-gencrl", "-config", at("conf"), "-keyfile", at("key"), "-cert", at("ca"), "-crldays", "5", "-out", at("crl"))
	text, err := os.ReadFile(at("crl"))
	if err != nil {
		t.Fatal(err)
	}
	if out, _ := exec.Command(openssl, "crl", "-noout", "-text", "-in", at("crl")).Output(); !strings.Contains(string(out), "Version 1 ") {
		t.Skip("this openssl writes version 2")
	}
	caText, err := os.ReadFile(at("ca"))
	if err != nil {
		t.Fatal(err)
	}
	l := &Lists{}
	if n, err := l.Add("crl", [32]byte{}, text); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	ca := parsePEM(t, caText)
	for serial, want := range map[int64]bool{0x1000: true, 0x1001: false} {
		_, err := l.Check(t.Context(), []*x509.Certificate{{SerialNumber: big.NewInt(serial)}, ca}, time.Now())
		if (err != nil) != want {
			t.Errorf("%x: %v", serial, err)
		}
	}
}

func parsePEM(t testing.TB, text []byte) *x509.Certificate {
	t.Helper()
	certs, err := certfile.Authorities(text)
	if err != nil || len(certs) != 1 {
		t.Fatal(len(certs), err)
	}
	return certs[0]
}
