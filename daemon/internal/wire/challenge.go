package wire

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"netserver/tlsparams"
)

// A Challenge is what a certificate authority is shown that looks whether a
// name is ours. Its key proves that for as long as the authority looks, and
// nothing else: workers may have it.
type Challenge struct {
	Name  string
	Chain [][]byte // DER
	Key   []byte   // PKCS #8
}

// NewChallenge makes a Challenge of a certificate with the answer in it.
func NewChallenge(name string, c *tls.Certificate) (Challenge, error) {
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	return Challenge{Name: name, Chain: c.Certificate, Key: key}, err
}

// SetChallenges has ports answer these challenges, and no others.
func SetChallenges(sources []*tlsparams.Source, all []Challenge) error {
	certs := make(map[string]*tls.Certificate, len(all))
	for _, c := range all {
		key, err := x509.ParsePKCS8PrivateKey(c.Key)
		if err != nil || len(c.Chain) == 0 {
			return fmt.Errorf("the answer to the challenge for %s cannot be used", c.Name)
		}
		certs[c.Name] = &tls.Certificate{Certificate: c.Chain, PrivateKey: key}
	}
	for _, s := range sources {
		s.SetChallenges(certs)
	}
	return nil
}
