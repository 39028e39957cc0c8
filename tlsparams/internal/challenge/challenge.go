// Package challenge answers certificate authorities that look whether a name is
// ours by a TLS handshake: TLS-ALPN-01, RFC 8737.
//
// It imports nothing of this module. Start reading at Set.Answer.
package challenge

import (
	"crypto/tls"
	"slices"
	"strings"
)

// Protocol is the only one that such a handshake offers by ALPN.
const Protocol = "acme-tls/1"

// A Set has the answers that are open, by lower-case name. It is not changed
// once made.
type Set map[string]*tls.Config

// New makes a Set of certificates by name, each of which has the answer in it.
// It returns nil if there are none.
func New(certs map[string]*tls.Certificate) *Set {
	if len(certs) == 0 {
		return nil
	}
	set := make(Set, len(certs))
	for name, c := range certs {
		set[strings.ToLower(name)] = &tls.Config{
			Certificates: []tls.Certificate{*c}, NextProtos: []string{Protocol}, MinVersion: tls.VersionTLS12,
			SessionTicketsDisabled: true, // such a session must not become a client's
		}
	}
	return &set
}

// Has reports whether there is an answer for who offers these protocols and
// asks for that name.
func (s *Set) Has(name string, protocols []string) bool { return s.find(name, protocols) != nil }

func (s *Set) find(name string, protocols []string) *tls.Config {
	if s == nil || !slices.Equal(protocols, []string{Protocol}) {
		return nil
	}
	return (*s)[strings.ToLower(name)]
}

// A Marked connection is told that its handshake answers a challenge: what
// comes after it is no client's, and must be ended.
type Marked interface{ AnswersChallenge() }

// Answer returns the configuration for a handshake that looks for an answer;
// nil for every other, and where nobody would end the connection.
func (s *Set) Answer(hello *tls.ClientHelloInfo) *tls.Config {
	c := s.find(hello.ServerName, hello.SupportedProtos)
	m, ok := hello.Conn.(Marked)
	if c == nil || !ok {
		return nil
	}
	m.AnswersChallenge()
	return c
}
