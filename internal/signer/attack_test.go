package signer

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"
)

// ca makes the certificate of a server that may sign certificates too, as
// openssl req -x509 does.
func ca(t testing.TB) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:  x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

// tlv is a DER element shorter than 256 bytes.
func tlv(tag byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	if len(body) < 0x80 {
		return append([]byte{tag, byte(len(body))}, body...)
	}
	return append([]byte{tag, 0x81, byte(len(body))}, body...)
}

var (
	ecdsaSHA256 = []byte{0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2}
	ed25519Alg  = []byte{0x30, 5, 6, 3, 0x2b, 0x65, 0x70}
	isCA        = []byte{0x30, 0x0f, 6, 3, 0x55, 0x1d, 0x13, 1, 1, 0xff, 4, 5, 0x30, 3, 1, 1, 0xff}
	head521     = []byte{3, 0, 0x19, 133, 4} // what the TLS 1.2 form has at byte 64
)

func validity(now time.Time) []byte {
	at := func(d time.Duration) []byte { return tlv(0x17, []byte(now.UTC().Add(d).Format("060102150405Z"))) }
	return tlv(0x30, at(-time.Hour), at(time.Hour))
}

// forged is the part to be signed of a CA's certificate for key, which has the
// TLS 1.2 form with P-521 in the eyes of who does not look at the point: the
// form's fixed bytes stand in a long serial number.
func forged(issuer *x509.Certificate, key ed25519.PublicKey) []byte {
	serial := append(slices.Repeat([]byte{1}, 54), head521...)
	exts := slices.Clone(isCA)
	exts = append(exts, tlv(0x30, []byte{6, 1, 0x2a}, tlv(4))...)
	return tlv(0x30, []byte{0xa0, 3, 2, 1, 2}, tlv(2, serial), ecdsaSHA256, issuer.RawSubject, validity(time.Now()),
		tlv(0x30), tlv(0x30, ed25519Alg, tlv(3, []byte{0}, key)), tlv(0xa3, tlv(0x30, exts)))
}

// signed puts a signature behind what it was made of.
func signed(tbs, alg, sig []byte) []byte {
	der, err := asn1.Marshal(struct {
		TBS, Alg asn1.RawValue
		Sig      asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, asn1.RawValue{FullBytes: alg}, asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)}})
	if err != nil {
		panic(err)
	}
	return der
}

// TestNoCertificateIsSigned asks for a CA's certificate in the form of a
// TLS 1.2 handshake, and if that is signed uses it to sign another.
func TestNoCertificateIsSigned(t *testing.T) {
	root, key := ca(t)
	pub, evil, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b := newBed(t, nil, nil)
	id, _ := b.ring.Add(key, anyVersion)
	tbs := forged(root, pub)
	if len(tbs) != maxMessage || !bytes.Equal(tbs[64:69], head521) {
		t.Fatalf("the test is wrong: %d bytes, %x", len(tbs), tbs[64:69])
	}
	sig, err := b.client.ask(request{key: id, scheme: uint16(tls.ECDSAWithP256AndSHA256), msg: tbs})
	if err == nil {
		t.Error("signed")
		t.Log(useCA(root, signed(tbs, ecdsaSHA256, sig), evil))
	} else if !errors.Is(err, ErrRefused) {
		t.Error(err)
	}
	// The certificate itself is good: only the signature is missing.
	sum := crypto.SHA256.New()
	sum.Write(tbs)
	own, err := key.Sign(rand.Reader, sum.Sum(nil), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if got := useCA(root, signed(tbs, ecdsaSHA256, own), evil); got != "a chain verifies" {
		t.Error("the attack would not have worked: ", got)
	}
}

// useCA issues a certificate with der's key and has it verified up to root.
func useCA(root *x509.Certificate, der []byte, key ed25519.PrivateKey) string {
	middle, err := x509.ParseCertificate(der)
	if err != nil {
		return err.Error()
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"bank.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	leafDER, err := x509.CreateCertificate(rand.Reader, tmpl, middle, key.Public(), key)
	if err != nil {
		return err.Error()
	}
	leaf, err := x509.ParseCertificate(leafDER)
	if err != nil {
		return err.Error()
	}
	opts := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), DNSName: "bank.example"}
	opts.Roots.AddCert(root)
	opts.Intermediates.AddCert(middle)
	if _, err := leaf.Verify(opts); err != nil {
		return err.Error()
	}
	return "a chain verifies"
}

// forgedList is the part to be signed of a revocation list that is also a
// TLS 1.2 form with X25519, whose key may be any number: the form's fixed
// bytes, and the mark, stand in the serial number of what it revokes.
func forgedList(issuer *x509.Certificate, marked bool) []byte {
	day := tlv(0x17, []byte(time.Now().UTC().Add(-time.Hour).Format("060102150405Z")))
	serial := slices.Repeat([]byte{1}, 33)
	const at = 100 - 15 - 33
	copy(serial[randoms-at:], []byte{3, 0, 0x1d, 32})
	if marked {
		copy(serial[randoms-len(mark)-at:], mark)
	}
	return tlv(0x30, []byte{2, 1, 1}, ecdsaSHA256, issuer.RawSubject, day, tlv(0x30, tlv(0x30, tlv(2, serial), day)))
}

// TestNoListIsSigned: as above, with a list that fits into the form whatever
// is checked of the key in it.
func TestNoListIsSigned(t *testing.T) {
	root, key := ca(t)
	b := newBed(t, nil, nil)
	for _, use := range []Use{anyVersion, {TLS12: true, TLS13: true, Marked: true}} {
		id, _ := b.ring.Add(key, use)
		tbs := forgedList(root, use.Marked)
		if versionOf(tbs) != tls12 {
			t.Fatalf("the test is wrong: %x", tbs)
		}
		_, err := b.client.ask(request{key: id, scheme: uint16(tls.ECDSAWithP256AndSHA256), msg: tbs})
		if err == nil || !errors.Is(err, ErrRefused) {
			t.Error(err)
		}
		sum := crypto.SHA256.New()
		sum.Write(tbs)
		own, _ := key.Sign(rand.Reader, sum.Sum(nil), crypto.SHA256)
		list, err := x509.ParseRevocationList(signed(tbs, ecdsaSHA256, own))
		if err != nil || list.CheckSignatureFrom(root) != nil {
			t.Error("the attack would not have worked: ", err)
		}
	}
	if len(b.reasons) != 1 || b.reasons[0] != statusDocument.String() {
		t.Error(b.reasons)
	}
}
