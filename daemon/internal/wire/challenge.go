package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"netserver/handler/httpd/challenge"
	"netserver/tlsparams"
)

// A Challenge is what a certificate authority is shown that looks whether a
// name is ours: by a handshake (TLS-ALPN-01) a certificate, or by HTTP (HTTP-01)
// a text. Its key proves that for as long as the authority looks, and nothing
// else, and its text has the digest of the account's public key: workers may have
// both.
type Challenge struct {
	Name  string
	Chain [][]byte `json:",omitempty"` // DER
	Key   []byte   `json:",omitempty"` // PKCS #8

	Token string `json:",omitempty"` // of HTTP-01, for which there is no certificate
	Text  string `json:",omitempty"`
}

// NewChallenge makes a Challenge of a certificate with the answer in it.
func NewChallenge(name string, c *tls.Certificate) (Challenge, error) {
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	return Challenge{Name: name, Chain: c.Certificate, Key: key}, err
}

// NewHTTPChallenge makes a Challenge of HTTP-01. The error is that of a token
// that is none, or of a text that does not belong to it.
func NewHTTPChallenge(name, token, text string) (Challenge, error) {
	c := Challenge{Name: name, Token: token, Text: text}
	a := c.answer()
	return c, a.Check()
}

func (c *Challenge) answer() challenge.Answer {
	return challenge.Answer{Name: c.Name, Token: c.Token, Text: c.Text}
}

// errNoHTTP is that of a server without HTTP.
var errNoHTTP = errors.New("no port here answers challenges over HTTP")

// SetChallenges has ports answer these challenges, and no others: those of
// HTTP-01 by answers, which may be nil if there are none. After an error those
// before are answered.
func SetChallenges(sources []*tlsparams.Source, answers *challenge.Answers, all []Challenge) error {
	certs := make(map[string]*tls.Certificate, len(all))
	var texts []challenge.Answer
	for _, c := range all {
		if c.Token != "" {
			texts = append(texts, c.answer())
			continue
		}
		key, err := x509.ParsePKCS8PrivateKey(c.Key)
		if err != nil || len(c.Chain) == 0 {
			return fmt.Errorf("the answer to the challenge for %s cannot be used", c.Name)
		}
		certs[c.Name] = &tls.Certificate{Certificate: c.Chain, PrivateKey: key}
	}
	if answers != nil {
		if err := answers.Set(texts); err != nil {
			return fmt.Errorf("the answers to challenges cannot be used: %w", err)
		}
	} else if len(texts) > 0 {
		return errNoHTTP
	}
	for _, s := range sources {
		s.SetChallenges(certs)
	}
	return nil
}
