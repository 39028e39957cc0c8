package revoke

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"netserver/internal/certfile"
)

// A list is one CRL, as small as checking needs it.
type list struct {
	file     string
	sum      [32]byte // of the file's contents
	issuer   string   // raw subject
	name     string   // of the issuer, for messages
	keyID    string   // authority key id, or ""
	number   *big.Int
	base     *big.Int // of a delta list: the number it builds on; else nil
	this     time.Time
	next     time.Time       // zero: no end
	serials  map[string]bool // true: taken off the list again
	onlyUser bool
	onlyCA   bool
	points   []string // the distribution points it is complete for; none: all

	mu       sync.Mutex
	tbs, sig []byte // dropped once the signature has been checked
	algo     x509.SignatureAlgorithm
	signedBy [32]byte // digest of the key that it was checked with
	wrong    [32]byte // digest of the last key that did not fit
}

// parseLists reads the lists in data: PEM, any number, or one in DER. Other
// things may stand beside them in PEM. The error follows the file's name.
func parseLists(file string, data []byte) ([]*list, error) {
	blocks, err := certfile.Blocks(data)
	if err != nil {
		return nil, err
	}
	if blocks == nil {
		l, err := parseList(file, data)
		if err != nil {
			return nil, fmt.Errorf("holds no revocation list, or one that cannot be used: %w", err)
		}
		return []*list{l}, nil
	}
	var out []*list
	for i := range blocks {
		b := &blocks[i]
		if reason := b.Opaque(); reason != "" {
			return nil, errors.New(reason)
		}
		if b.Type != "X509 CRL" {
			continue // authorities may stand in the same file
		}
		l, err := parseList(file, b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("holds a revocation list in line %d that cannot be used: %w", b.Line, err)
		}
		out = append(out, l)
	}
	return out, nil
}

var (
	oidDelta = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidAKI   = asn1.ObjectIdentifier{2, 5, 29, 35}

	oidReason     = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidInvalidity = asn1.ObjectIdentifier{2, 5, 29, 24}
)

func parseList(file string, der []byte) (*list, error) {
	crl, err := parseCRL(der)
	if err != nil {
		return nil, err
	}
	if len(crl.Raw) != len(der) {
		return nil, fmt.Errorf("trailing data after the list of %s", crl.Issuer)
	}
	l := &list{
		file: file, issuer: string(crl.RawIssuer), name: crl.Issuer.String(), keyID: string(crl.AuthorityKeyId),
		number: crl.Number, this: crl.ThisUpdate, next: crl.NextUpdate,
		tbs: bytes.Clone(crl.RawTBSRevocationList), sig: bytes.Clone(crl.Signature), algo: crl.SignatureAlgorithm,
		serials: make(map[string]bool, len(crl.RevokedCertificateEntries)),
	}
	for _, e := range crl.Extensions {
		switch {
		case e.Id.Equal(oidDelta):
			if err = l.delta(e.Value); err != nil {
				return nil, err
			}
		case e.Id.Equal(oidPoint):
			if err = l.scope(e.Value); err != nil {
				return nil, err
			}
		case e.Critical && !e.Id.Equal(oidAKI):
			return nil, fmt.Errorf("the list of %s has an unsupported critical extension (%s)", l.name, e.Id)
		}
	}
	for i := range crl.RevokedCertificateEntries {
		if err := l.add(&crl.RevokedCertificateEntries[i]); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// removeFromCRL is the reason code that takes a certificate off the list.
const removeFromCRL = 8

// add takes an entry. One that is listed twice is revoked if one entry says so.
func (l *list) add(e *x509.RevocationListEntry) error {
	for _, x := range e.Extensions {
		if x.Critical && !x.Id.Equal(oidReason) && !x.Id.Equal(oidInvalidity) {
			return fmt.Errorf("the list of %s has an entry with an unsupported critical extension (%s)", l.name, x.Id)
		}
	}
	serial := string(e.SerialNumber.Bytes())
	removed, twice := l.serials[serial]
	l.serials[serial] = e.ReasonCode == removeFromCRL && (removed || !twice)
	return nil
}

func (l *list) delta(value []byte) error {
	l.base = new(big.Int)
	if rest, err := asn1.Unmarshal(value, &l.base); err != nil || len(rest) > 0 {
		return fmt.Errorf("the delta list of %s has a damaged base number", l.name)
	}
	return nil
}

// scope reads the issuing distribution point: what the list is complete for.
func (l *list) scope(value []byte) error {
	var idp struct {
		Point struct {
			FullName []asn1.RawValue `asn1:"optional,tag:0"`
			Relative asn1.RawValue   `asn1:"optional,tag:1"`
		} `asn1:"optional,tag:0"`
		OnlyUser bool           `asn1:"optional,tag:1"`
		OnlyCA   bool           `asn1:"optional,tag:2"`
		Reasons  asn1.BitString `asn1:"optional,tag:3"`
		Indirect bool           `asn1:"optional,tag:4"`
		OnlyAttr bool           `asn1:"optional,tag:5"`
	}
	if rest, err := asn1.Unmarshal(value, &idp); err != nil || len(rest) > 0 {
		return fmt.Errorf("the list of %s has a damaged distribution point", l.name)
	}
	if idp.Indirect || idp.OnlyAttr || idp.Reasons.BitLength > 0 || len(idp.Point.Relative.FullBytes) > 0 {
		return fmt.Errorf("the list of %s is for other issuers, for some reasons only or for attributes, which is not supported", l.name)
	}
	l.onlyUser, l.onlyCA = idp.OnlyUser, idp.OnlyCA
	for _, n := range idp.Point.FullName {
		if n.Class == asn1.ClassContextSpecific && n.Tag == 6 {
			l.points = append(l.points, string(n.Bytes))
		}
	}
	if len(idp.Point.FullName) > 0 && len(l.points) == 0 {
		return fmt.Errorf("the list of %s is for a distribution point that is no URI, which is not supported", l.name)
	}
	return nil
}

func (l *list) kind() string {
	if l.base != nil {
		return "delta revocation list"
	}
	return "revocation list"
}

// covers tells whether the list would name c if c were revoked.
func (l *list) covers(c *x509.Certificate) bool {
	if l.onlyUser && c.IsCA || l.onlyCA && !c.IsCA {
		return false
	}
	if len(l.points) == 0 {
		return true
	}
	for _, p := range l.points {
		for _, q := range c.CRLDistributionPoints {
			if p == q {
				return true
			}
		}
	}
	return false
}

// signed tells whether issuer signed the list. It checks once for each key:
// the text of a list may be megabytes.
func (l *list) signed(issuer *x509.Certificate) bool {
	if l.keyID != "" && len(issuer.SubjectKeyId) > 0 && l.keyID != string(issuer.SubjectKeyId) {
		return false
	}
	if issuer.KeyUsage != 0 && issuer.KeyUsage&x509.KeyUsageCRLSign == 0 {
		return false
	}
	key := sha256.Sum256(issuer.RawSubjectPublicKeyInfo)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.tbs == nil:
		return key == l.signedBy
	case key == l.wrong:
		return false
	case issuer.CheckSignature(l.algo, l.tbs, l.sig) != nil:
		l.wrong = key
		return false
	}
	l.signedBy, l.tbs, l.sig = key, nil, nil
	return true
}

// expired tells whether the list has ended: at its end it has, as for OpenSSL,
// so that who looks again at that moment finds it so.
func (l *list) expired(now time.Time) bool { return !l.next.IsZero() && !now.Before(l.next) }
