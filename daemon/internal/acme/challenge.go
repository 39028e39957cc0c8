package acme

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"netserver/daemon/internal/wire"
)

// oidIdentifier is that of the extension with the answer (RFC 8737).
var oidIdentifier = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}

// newAnswer makes the certificate that an authority wants to see who looks
// whether name is ours. digest is SHA-256 of the key authorization.
func newAnswer(name string, digest []byte) (wire.Challenge, error) {
	value, err := asn1.Marshal(digest)
	if err != nil {
		return wire.Challenge{}, err
	}
	key, _, err := newKey()
	if err != nil {
		return wire.Challenge{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ACME challenge"}, DNSNames: []string{name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		ExtraExtensions: []pkix.Extension{{Id: oidIdentifier, Critical: true, Value: value}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return wire.Challenge{}, fmt.Errorf("the answer to the challenge: %w", err)
	}
	return wire.NewChallenge(name, &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
}

// show has all who serve a name answer its challenge, until hide.
func (m *Manager) show(ctx context.Context, name string, digest []byte) (hide func(), err error) {
	answer, err := newAnswer(name, digest)
	if err != nil {
		return nil, err
	}
	if m.sharing != nil {
		return m.sharing.show(ctx, answer, digest)
	}
	if err := m.deploy(ctx, []wire.Challenge{answer}); err != nil {
		return nil, err
	}
	return func() { m.deploy(context.WithoutCancel(ctx), nil) }, nil
}
