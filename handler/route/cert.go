package route

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// A cert condition holds for clients with a certificate that says something.
type cert struct {
	names
	of func(*x509.Certificate) []string
}

// CertCN holds for clients whose certificate has one of these common names:
// exact ones or regular expressions between slashes. Like the other conditions
// on certificates it says nothing of whether the certificate is trusted: that
// is for the port's SSL_verify_mode.
func CertCN(values ...string) (Condition, error) {
	return newCert(kindCN, plainPattern, values, func(c *x509.Certificate) []string {
		if c.Subject.CommonName == "" {
			return nil
		}
		return []string{c.Subject.CommonName}
	})
}

// CertDNS holds for clients whose certificate is for one of these DNS names:
// exact ones, wildcards for one label, or regular expressions between slashes.
func CertDNS(values ...string) (Condition, error) {
	return newCert(kindDNS, hostPattern, values, func(c *x509.Certificate) []string {
		list := slices.Clone(c.DNSNames)
		for i := range list {
			list[i] = strings.ToLower(list[i])
		}
		return list
	})
}

// CertURI holds for clients whose certificate has one of these URIs, as SPIFFE
// has them: exact ones or regular expressions between slashes.
func CertURI(values ...string) (Condition, error) {
	return newCert(kindURI, plainPattern, values, func(c *x509.Certificate) []string {
		list := make([]string, len(c.URIs))
		for i, u := range c.URIs {
			list[i] = u.String()
		}
		return list
	})
}

// CertFingerprint holds for clients whose certificate has one of these SHA-256
// fingerprints, in hexadecimal, with or without colons, as openssl x509
// -fingerprint -sha256 prints them.
func CertFingerprint(values ...string) (Condition, error) {
	return newCert(kindFingerprint, fingerprintPattern, values, func(c *x509.Certificate) []string {
		sum := sha256.Sum256(c.Raw)
		return []string{hex.EncodeToString(sum[:])}
	})
}

func plainPattern(v string) (string, error) {
	if v == "" {
		return "", fmt.Errorf("a value is empty")
	}
	if strings.HasPrefix(v, "*") {
		return "", fmt.Errorf("%q: a star means nothing here; write an expression between slashes", v)
	}
	return v, nil
}

func fingerprintPattern(v string) (string, error) {
	low := strings.ToLower(strings.ReplaceAll(v, ":", ""))
	if b, err := hex.DecodeString(low); err != nil || len(b) != sha256.Size {
		return "", fmt.Errorf("%q is no SHA-256 fingerprint: it takes 64 hexadecimal digits", v)
	}
	return low, nil
}

func newCert(k kind, check func(string) (string, error), values []string, of func(*x509.Certificate) []string) (Condition, error) {
	n, err := newNames(k, check, values)
	if err != nil {
		return nil, err
	}
	return &cert{*n.(*names), of}, nil
}

func (c *cert) holds(f *Facts) verdict {
	switch {
	case f.Certificate != nil && slices.ContainsFunc(c.of(f.Certificate), c.matches):
		return Yes
	case f.Certificate == nil && !f.Decrypted && !f.Plain && !f.Datagram:
		return More // the handshake is still to come
	}
	return No
}
