package acme

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"netserver/cluster"
	"netserver/daemon/internal/wire"
)

// oidIdentifier is that of the extension with the answer (RFC 8737).
var oidIdentifier = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}

// A proof is what an authority is to see who looks whether a name is ours, of one
// of the two kinds.
type proof struct {
	digest      []byte // TLS-ALPN-01: SHA-256 of the key authorization
	token, text string // HTTP-01: the token, and the key authorization
}

// newProof makes the proof of a kind for the key authorization of the token that
// an authority has given for name.
func newProof(kind, name, token, text string) (proof, error) {
	if kind == HTTP01 {
		if _, err := wire.NewHTTPChallenge(name, token, text); err != nil {
			return proof{}, fmt.Errorf("the authority gave %w", err)
		}
		return proof{token: token, text: text}, nil
	}
	digest := sha256.Sum256([]byte(text))
	return proof{digest: digest[:]}, nil
}

// newAnswer makes what those who serve name show.
func newAnswer(name string, p proof) (wire.Challenge, error) {
	if p.token != "" {
		c, err := wire.NewHTTPChallenge(name, p.token, p.text)
		if err != nil {
			err = fmt.Errorf("the answer to the challenge: %w", err)
		}
		return c, err
	}
	value, err := asn1.Marshal(p.digest)
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
func (m *Manager) show(ctx context.Context, name string, p proof) (hide func(), err error) {
	answer, err := newAnswer(name, p)
	if err != nil {
		return nil, err
	}
	if m.sharing != nil {
		return m.sharing.show(ctx, answer, p)
	}
	if err := m.deploy(ctx, []wire.Challenge{answer}); err != nil {
		return nil, err
	}
	return func() { m.deploy(context.WithoutCancel(ctx), nil) }, nil
}

// showOther has this node answer another's challenge.
func (s *sharing) showOther(ctx context.Context, label string, v *shared) error {
	now := s.m.now()
	p := proof{digest: v.Digest, token: v.Token, text: v.Text}
	if checkName(v.Name) != nil || labelOf(v.Name) != label || v.ID == "" || len(v.ID) > maxLabel || (p.token == "") != (len(p.digest) == sha256.Size) {
		return errRefused
	}
	if p.token != "" && s.m.c.Kind() != HTTP01 {
		return errNoHTTP
	}
	if now.Sub(time.UnixMilli(v.Time)) > challengeTTL+maxClockOff {
		return nil // its time is over
	}
	answer, err := newAnswer(v.Name, p)
	if err != nil {
		return err
	}
	s.mu.Lock()
	have, is := s.open[v.Name]
	if have.own || have.id == v.ID || !is && len(s.open) >= cluster.MaxNodes {
		s.mu.Unlock()
		return nil
	}
	s.open[v.Name] = openAnswer{Challenge: answer, id: v.ID, until: now.Add(challengeTTL)}
	s.mu.Unlock()
	if err := s.deploy(ctx); err != nil {
		return fmt.Errorf("the answer to the challenge does not reach the processes that serve: %w", err)
	}
	s.m.log.Debug("acme challenge of another node", "name", v.Name, "node", v.Node)
	s.beat(ctx)
	return nil
}
