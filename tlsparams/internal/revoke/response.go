package revoke

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

// MaxAge is how old an OCSP response may be that does not say when it ends.
const MaxAge = 24 * time.Hour

// A Response is what a responder has said of a certificate.
type Response struct {
	Status int       // ocsp.Good, ocsp.Revoked or ocsp.Unknown
	This   time.Time // of which it is true
	Ends   time.Time // never zero: without an end of its own it ends MaxAge after This
}

// The ASN.1 of RFC 6960, section 4.2.1. Package ocsp reads the same, but takes
// the first certificate in a response for the one that signed it, and the
// serial number for the certificate asked about.
type ocspResponse struct {
	Status   asn1.Enumerated
	Response struct {
		Type asn1.ObjectIdentifier
		Data []byte
	} `asn1:"explicit,tag:0,optional"`
}

type basicResponse struct {
	Data  responseData
	Algo  asn1.RawValue
	Sig   asn1.BitString
	Certs []asn1.RawValue `asn1:"explicit,tag:0,optional"`
}

type responseData struct {
	Raw       asn1.RawContent
	Version   int `asn1:"optional,default:0,explicit,tag:0"`
	Responder asn1.RawValue
	Produced  time.Time `asn1:"generalized"`
	Answers   []singleResponse
	Exts      []pkix.Extension `asn1:"explicit,tag:1,optional"`
}

type singleResponse struct {
	ID struct {
		Hash     pkix.AlgorithmIdentifier
		NameHash []byte
		KeyHash  []byte
		Serial   *big.Int
	}
	Good    asn1.Flag     `asn1:"tag:0,optional"`
	Revoked asn1.RawValue `asn1:"tag:1,optional"`
	Unknown asn1.Flag     `asn1:"tag:2,optional"`
	This    time.Time     `asn1:"generalized"`
	Next    time.Time     `asn1:"generalized,explicit,tag:0,optional"`

	Exts []pkix.Extension `asn1:"explicit,tag:1,optional"`
}

var oidBasic = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}

// maxSigners bounds the certificates of a response that are looked at.
const maxSigners = 8

// CheckResponse parses an answer in DER and checks its signature and time, and
// that it is about leaf. The signer is issuer, or one that issuer has made a
// responder (RFC 6960, section 4.2.2.2). If nothing but the time is wrong, the
// Response comes with the error.
func CheckResponse(der []byte, leaf, issuer *x509.Certificate, now time.Time) (*Response, error) {
	b, err := parseResponse(der)
	if err != nil {
		return nil, fmt.Errorf("the OCSP response cannot be used: %w", err)
	}
	one := b.about(leaf, issuer)
	if one == nil {
		return nil, errors.New("the OCSP response is about another certificate")
	}
	if err := b.signed(issuer, now); err != nil {
		return nil, fmt.Errorf("the OCSP response cannot be used: %w", err)
	}
	for _, x := range slices.Concat(b.Data.Exts, one.Exts) {
		if x.Critical {
			return nil, fmt.Errorf("the OCSP response has an unsupported critical extension (%s)", x.Id)
		}
	}
	r := &Response{Status: ocsp.Revoked, This: one.This, Ends: one.Next}
	switch {
	case len(one.Revoked.FullBytes) > 0:
	case bool(one.Good):
		r.Status = ocsp.Good
	case bool(one.Unknown):
		r.Status = ocsp.Unknown
	}
	return r, r.dated(now)
}

// dated checks the time of a response, and sets the end of one that has none.
func (r *Response) dated(now time.Time) error {
	aged := r.Ends.IsZero()
	if aged {
		r.Ends = r.This.Add(MaxAge)
	}
	switch {
	case now.Add(ocspSkew).Before(r.This):
		return fmt.Errorf("the OCSP response is from the future: %s", r.This.UTC().Format(time.DateTime))
	case now.Before(r.Ends):
		return nil
	case aged:
		return fmt.Errorf("the OCSP response is of %s, and one that does not say when it ends counts for %v", r.This.UTC().Format(time.DateTime), MaxAge)
	}
	return fmt.Errorf("the OCSP response ended on %s", r.Ends.UTC().Format(time.DateTime))
}

func parseResponse(der []byte) (*basicResponse, error) {
	whole := func(data []byte, v any) error {
		rest, err := asn1.Unmarshal(data, v)
		if err == nil && len(rest) > 0 {
			err = errors.New("there is something after it")
		}
		return err
	}
	var r ocspResponse
	if err := whole(der, &r); err != nil {
		return nil, err
	}
	if s := ocsp.ResponseStatus(r.Status); s != ocsp.Success {
		return nil, fmt.Errorf("the responder refuses to answer: %s", s)
	}
	if !r.Response.Type.Equal(oidBasic) {
		return nil, errors.New("it is of an unknown kind")
	}
	var b basicResponse
	if err := whole(r.Response.Data, &b); err != nil {
		return nil, err
	}
	if b.Data.Version != 0 {
		return nil, errors.New("it is of an unknown version")
	}
	return &b, nil
}

// about returns the part of the response that is about leaf, or nil.
func (b *basicResponse) about(leaf, issuer *x509.Certificate) *singleResponse {
	var spki struct {
		Algo pkix.AlgorithmIdentifier
		Key  asn1.BitString
	}
	if _, err := asn1.Unmarshal(issuer.RawSubjectPublicKeyInfo, &spki); err != nil {
		return nil
	}
	for i := range b.Data.Answers {
		one := &b.Data.Answers[i]
		h, ok := map[string]crypto.Hash{
			"1.3.14.3.2.26": crypto.SHA1, "2.16.840.1.101.3.4.2.1": crypto.SHA256,
			"2.16.840.1.101.3.4.2.2": crypto.SHA384, "2.16.840.1.101.3.4.2.3": crypto.SHA512,
		}[one.ID.Hash.Algorithm.String()]
		if !ok || one.ID.Serial.Cmp(leaf.SerialNumber) != 0 {
			continue
		}
		sum := func(data []byte) []byte {
			w := h.New()
			w.Write(data)
			return w.Sum(nil)
		}
		if bytes.Equal(one.ID.NameHash, sum(issuer.RawSubject)) && bytes.Equal(one.ID.KeyHash, sum(spki.Key.Bytes)) {
			return one
		}
	}
	return nil
}

// signed checks who has signed the response: issuer, or a certificate in it
// that issuer has made for that, and that is valid now.
func (b *basicResponse) signed(issuer *x509.Certificate, now time.Time) error {
	algo, err := algorithm(b.Algo)
	if err != nil {
		return err
	}
	by := func(c *x509.Certificate) bool {
		return b.names(c) && c.CheckSignature(algo, b.Data.Raw, b.Sig.RightAlign()) == nil
	}
	if by(issuer) {
		return nil
	}
	wrong := errors.New("its signature is not that of the issuer or of a responder of it")
	for _, raw := range b.Certs[:min(len(b.Certs), maxSigners)] {
		c, err := x509.ParseCertificate(raw.FullBytes)
		if err != nil || !by(c) {
			continue
		}
		if err := delegated(c, issuer, now); err != nil {
			wrong = err
			continue
		}
		return nil
	}
	return wrong
}

// names tells whether the response names c as its signer.
func (b *basicResponse) names(c *x509.Certificate) bool {
	id := b.Data.Responder
	if id.Class != asn1.ClassContextSpecific || !id.IsCompound {
		return false
	}
	switch id.Tag {
	case 1:
		return bytes.Equal(id.Bytes, c.RawSubject)
	case 2:
		var hash []byte
		var spki struct {
			Algo pkix.AlgorithmIdentifier
			Key  asn1.BitString
		}
		if rest, err := asn1.Unmarshal(id.Bytes, &hash); err != nil || len(rest) > 0 {
			return false
		}
		if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &spki); err != nil {
			return false
		}
		sum := sha1.Sum(spki.Key.Bytes)
		return bytes.Equal(hash, sum[:])
	}
	return false
}

// delegated is why c, which has signed a response, may not do so for issuer.
func delegated(c, issuer *x509.Certificate, now time.Time) error {
	switch {
	case !bytes.Equal(c.RawIssuer, issuer.RawSubject) || c.CheckSignatureFrom(issuer) != nil:
		return errors.New("the certificate that it is signed with is not from the issuer")
	case !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning):
		return errors.New("it is signed with a certificate that is not made for it")
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return errors.New("it is signed with a certificate whose key is not made for signatures")
	case now.After(c.NotAfter):
		return fmt.Errorf("the certificate that it is signed with expired on %s", c.NotAfter.UTC().Format(time.DateTime))
	case now.Before(c.NotBefore):
		return fmt.Errorf("the certificate that it is signed with starts on %s", c.NotBefore.UTC().Format(time.DateTime))
	}
	return nil
}

// algorithm reads an AlgorithmIdentifier of a signature. Package x509 does
// that only as part of something larger, so it gets the smallest there is: a
// revocation list without entries.
func algorithm(id asn1.RawValue) (x509.SignatureAlgorithm, error) {
	type list struct {
		Version int
		Algo    asn1.RawValue
		Issuer  pkix.RDNSequence
		This    time.Time
	}
	der, err := asn1.Marshal(struct {
		List list
		Algo asn1.RawValue
		Sig  asn1.BitString
	}{list{1, id, pkix.RDNSequence{}, time.Unix(0, 0).UTC()}, id, asn1.BitString{}})
	if err != nil {
		return 0, errors.New("its signature is damaged")
	}
	l, err := x509.ParseRevocationList(der)
	if err != nil || l.SignatureAlgorithm == x509.UnknownSignatureAlgorithm {
		return 0, errors.New("its signature algorithm is not supported")
	}
	return l.SignatureAlgorithm, nil
}
