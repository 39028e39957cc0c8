package certfile

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Pair is a certificate chain, leaf first, with the leaf's private key.
type Pair struct {
	Chain []*x509.Certificate
	Key   crypto.Signer
}

// TLS returns the pair in crypto/tls's form.
func (p *Pair) TLS() *tls.Certificate {
	c := &tls.Certificate{PrivateKey: p.Key, Leaf: p.Chain[0]}
	for _, x := range p.Chain {
		c.Certificate = append(c.Certificate, x.Raw)
	}
	return c
}

func matches(leaf *x509.Certificate, key crypto.Signer) bool {
	switch pub := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		return pub.Equal(key.Public())
	case *ecdsa.PublicKey:
		return pub.Equal(key.Public())
	case ed25519.PublicKey:
		return pub.Equal(key.Public())
	}
	return false
}

// checkChain returns why a server, or a client, must not present chain, or "".
func checkChain(chain []*x509.Certificate, client bool) string {
	leaf := chain[0]
	if k, ok := leaf.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() < 2048 {
		return fmt.Sprintf("has a weak key: RSA with %d bits; make one with 2048 or more, or ECDSA P-256", k.N.BitLen())
	}
	who, usage, usageName := "servers", x509.ExtKeyUsageServerAuth, "serverAuth"
	if client {
		who, usage, usageName = "clients", x509.ExtKeyUsageClientAuth, "clientAuth"
	}
	if len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) > 0 &&
		!slices.Contains(leaf.ExtKeyUsage, usage) &&
		!slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return fmt.Sprintf("is not made for %s: its extended key usage lacks %s", who, usageName)
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment|x509.KeyUsageKeyAgreement) == 0 {
		return fmt.Sprintf("is not made for %s: its key usage allows neither signatures nor key exchange", who)
	}
	for i, c := range chain[1:] {
		if !issuesOne(c, chain[:i+1]) {
			return fmt.Sprintf("has its chain out of order: certificate %d (%s) did not issue any certificate before it; put each certificate after the one it issued", i+2, Name(c))
		}
	}
	return ""
}

// issuesOne reports whether ca issued one of before. TLS 1.3 allows several
// issuers of one certificate (cross-signing), so checking only the last is not
// enough.
func issuesOne(ca *x509.Certificate, before []*x509.Certificate) bool {
	for _, c := range before {
		if string(c.RawIssuer) != string(ca.RawSubject) {
			continue
		}
		err := c.CheckSignatureFrom(ca)
		var old x509.InsecureAlgorithmError
		if err == nil || errors.As(err, &old) { // a SHA-1 signature cannot be verified; the names must suffice
			return true
		}
	}
	return false
}

// A Span is the period in which all certificates of a chain are valid. The
// zero Span is that of no chain.
type Span struct {
	From, To     time.Time
	Starts, Ends string // which of them starts last and ends first, for messages
}

// SpanOf returns the period in which chain is valid.
func SpanOf(chain []*x509.Certificate) (s Span) {
	for i, c := range chain {
		who := "its certificate"
		if i > 0 {
			who = "the certificate of its issuer " + Name(c)
		}
		if i == 0 || c.NotBefore.After(s.From) {
			s.From, s.Starts = c.NotBefore, who
		}
		if i == 0 || c.NotAfter.Before(s.To) {
			s.To, s.Ends = c.NotAfter, who
		}
	}
	return s
}

// At returns why the chain is not valid at now, or "".
func (s Span) At(now time.Time) string {
	switch {
	case now.After(s.To):
		return fmt.Sprintf("has expired: %s ended on %s", s.Ends, s.To.UTC().Format(time.DateTime))
	case now.Before(s.From):
		return fmt.Sprintf("is not valid yet: %s starts on %s (is the clock right?)", s.Starts, s.From.UTC().Format(time.DateTime))
	}
	return ""
}

// Name returns a short name for messages: the common name, or the first
// alternative name, or the subject.
func Name(c *x509.Certificate) string {
	switch {
	case c.Subject.CommonName != "":
		return "CN=" + c.Subject.CommonName
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case len(c.URIs) > 0:
		return c.URIs[0].String()
	}
	if s := c.Subject.String(); s != "" {
		return s
	}
	return "serial " + c.SerialNumber.Text(16)
}
