package tlsparams

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"time"

	"netserver/tlsparams/internal/trust"
)

// A Certificate is one that the server shows, with its key. It is not changed
// once made and may be shared by ports.
type Certificate struct {
	tls *tls.Certificate
}

// CertificateOf makes a Certificate of what TLS returned, in another process for
// instance. c.Leaf must be set.
func CertificateOf(c *tls.Certificate) *Certificate { return &Certificate{tls: c} }

// Fingerprint returns "sha256$HEX" of the certificate, the form that
// SSL_fingerprint takes.
func (c *Certificate) Fingerprint() string { return fingerprint(c.tls.Certificate[0]) }

// Leaf returns the certificate itself.
func (c *Certificate) Leaf() *x509.Certificate { return c.tls.Leaf }

// TLS returns the certificate in crypto/tls's form. It must not be changed.
func (c *Certificate) TLS() *tls.Certificate { return c.tls }

// Fingerprint returns "sha256$HEX" of a certificate, the form that
// SSL_fingerprint takes.
func Fingerprint(c *x509.Certificate) string { return trust.Fingerprint(c, false) }

// KeyFingerprint returns "sha256$pub$HEX" of a certificate's public key
// (SubjectPublicKeyInfo), which stays when the certificate is renewed.
func KeyFingerprint(c *x509.Certificate) string { return trust.Fingerprint(c, true) }

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return "sha256$" + hex.EncodeToString(sum[:])
}

// SelfSigned makes a certificate with a new ECDSA P-256 key, in memory, for
// names (host names or addresses). Without names it is for localhost,
// 127.0.0.1 and ::1. It is valid from a day before now, as clocks differ, for
// a year.
func SelfSigned(now time.Time, names ...string) (*Certificate, error) {
	if len(names) == 0 {
		names = []string{"localhost", "127.0.0.1", "::1"}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)),
		Subject:               pkix.Name{CommonName: names[0]},
		NotBefore:             now.Add(-24 * time.Hour),
		NotAfter:              now.AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a self-signed certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &Certificate{tls: &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}}, nil
}
