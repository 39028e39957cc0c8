package signer

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// documents are parts to be signed of what the world signs in ASN.1.
func documents(t testing.TB) map[string][]byte {
	t.Helper()
	root, key := ca(t)
	der := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	list := der(x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}, root, key))
	req := der(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "y"}}, key))
	answer := der(ocsp.CreateResponse(root, root, ocsp.Response{Status: ocsp.Good, SerialNumber: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}, key))
	response, err := ocsp.ParseResponse(answer, root)
	if err != nil {
		t.Fatal(err)
	}
	attribute := tlv(0x30, []byte{6, 1, 0x2a}, tlv(0x31, tlv(4, make([]byte, 32))))
	now := tlv(0x18, []byte("20260101000000Z"))
	return map[string][]byte{
		"certificate":           root.RawTBSCertificate,
		"version 1 certificate": tlv(0x30, []byte{2, 1, 1}, ed25519Alg, tlv(0x30), validity(time.Now()), tlv(0x30), tlv(0x30, ed25519Alg, tlv(3, make([]byte, 33)))),
		"revocation list":       first(t, list),
		"version 1 list":        tlv(0x30, ed25519Alg, tlv(0x30), now),
		"certificate request":   first(t, req),
		"OCSP response":         response.TBSResponseData,
		"OCSP, by name":         tlv(0x30, tlv(0xa1, tlv(0x30)), now, tlv(0x30)),
		"OCSP, version":         tlv(0x30, tlv(0xa0, tlv(2, []byte{0})), tlv(0xa2, tlv(4, make([]byte, 20))), now, tlv(0x30)),
		"CMS attributes":        tlv(0x31, attribute, attribute),
		"time stamp":            tlv(0x30, []byte{2, 1, 1, 6, 1, 0x2a}, tlv(0x30, ed25519Alg, tlv(4, make([]byte, 32))), []byte{2, 1, 1}, now),
		"public key and text":   tlv(0x30, tlv(0x30, ed25519Alg, tlv(3, make([]byte, 33))), tlv(0x16, []byte("challenge"))),
	}
}

// first returns the first element of a SEQUENCE.
func first(t testing.TB, der []byte) []byte {
	t.Helper()
	var outer, inner asn1.RawValue
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		t.Fatal(err)
	}
	if _, err := asn1.Unmarshal(outer.Bytes, &inner); err != nil {
		t.Fatal(err)
	}
	return inner.FullBytes
}

// loosely writes the outer length, or all, in the ways of BER.
func loosely(der []byte) map[string][]byte {
	head, size, _ := elementHead(der)
	body := der[head : head+size]
	zeros := append([]byte{der[0], 0x80 + 100}, make([]byte, 98)...)
	return map[string][]byte{
		"":                       der,
		", four bytes of length": append([]byte{der[0], 0x84, 0, 0, byte(size >> 8), byte(size)}, body...),
		", hundred of length":    append(append(zeros, byte(size>>8), byte(size)), body...),
		", no length":            append(append([]byte{der[0], 0x80}, body...), 0, 0),
		", no lengths":           endless(der),
	}
}

// endless writes each constructed element without its length.
func endless(der []byte) []byte {
	var out []byte
	for len(der) > 0 {
		head, size, _ := elementHead(der)
		body := der[head : head+size]
		if der[0]&0x20 != 0 {
			out = append(append(append(out, der[0], 0x80), endless(body)...), 0, 0)
		} else {
			out = append(out, der[:head+size]...)
		}
		der = der[head+size:]
	}
	return out
}

func TestDocuments(t *testing.T) {
	for name, doc := range documents(t) {
		for way, b := range loosely(doc) {
			if !isDocument(b) {
				t.Errorf("%s%s passes for none: %x", name, way, b)
			}
			if b[1] == 0x80 {
				continue // its end is where two bytes are zero
			}
			for _, n := range []int{1, 3, len(b) / 2} {
				if isDocument(b[:len(b)-n]) {
					t.Errorf("%s%s, cut by %d, passes for one", name, way, n)
				}
			}
			if isDocument(append(bytes.Clone(b), 0)) {
				t.Errorf("%s%s and more passes for one", name, way)
			}
		}
	}
	for _, b := range [][]byte{nil, {0x30}, {0x30, 0}, {0x31, 0}, {0x30, 0x80}, {0x30, 0x80, 0, 0}, {0x30, 1, 2}, {0x30, 0xff},
		{0x30, 2, 4, 0}, {0x31, 2, 0x42, 0}, {0x30, 4, 2, 0, 0, 0}, {0x30, 4, 2, 0, 0x1f, 0}, {0x30, 4, 2, 0x80, 0, 0}, {0x30, 3, 2, 0, 2}} {
		if isDocument(b) {
			t.Errorf("%x passes for one", b)
		}
	}
}

// TestHandshakesAreNoDocuments: a client that begins its random number as a
// document of the right length has to guess more than that.
func TestHandshakesAreNoDocuments(t *testing.T) {
	const tries = 200000
	n := 0
	m := params12(tls.X25519, make([]byte, 32))
	for range tries {
		rand.Read(m[:randoms])
		rand.Read(m[randoms+4:])
		m[0], m[1] = 0x30, byte(len(m)-2)
		if isDocument(m) {
			n++
		}
	}
	if n > tries/2000 {
		t.Errorf("%d of %d", n, tries)
	}
}
