package tlsparams

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"

	"netserver/internal/certfile"
	"netserver/tlsparams/internal/cipherlist"
)

// An Explanation tells what would happen to a client.
type Explanation struct {
	Certificate string // the certificates that would be served, or why none would
	Rule        string // the names that the rule is for, and what it asks
	Allowed     bool
	Reason      string // of the verdict on the client's certificate
	Required    bool   // without a client certificate nobody is let in
}

// Explain tells what would happen to a client that asks for name, "" for none,
// and shows chain, leaf first, or nothing. It may ask an OCSP responder.
func (s *Source) Explain(name string, chain []*x509.Certificate) Explanation {
	g := s.cur.Load()
	var e Explanation
	h, ok := g.certs.find(name, nil)
	if ok {
		var list []string
		for _, sl := range h.slots {
			c := sl.cur.Load()
			list = append(list, strings.TrimSpace(fmt.Sprintf("%s (%s) %s", certfile.Name(c.Leaf), c.Leaf.PublicKeyAlgorithm, sl.files.Cert)))
		}
		e.Certificate = strings.Join(list, ", ")
	} else {
		e.Certificate = "none: no certificate is for this name, and there is no default that is; the client gets the alert unrecognized_name"
	}
	st, _ := g.sites.Find(name)
	e.Rule = "for " + st.describe() + ": " + map[VerifyMode]string{VerifyNone: "no client certificate is asked for",
		VerifyOptional: "a client certificate is judged if one is sent", VerifyRequired: "a client certificate is required"}[st.mode()]
	e.Required = st.mode() == VerifyRequired
	v, err := st.judge(context.Background(), &tls.ConnectionState{ServerName: name, PeerCertificates: chain}, s.env.now())
	switch {
	case err != nil:
		e.Reason = err.Error()
	default:
		e.Allowed, e.Reason = ok, v.Reason
	}
	return e
}

// VersionName returns a TLS version as SSL_version has it, such as "TLSv1_3".
func VersionName(version uint16) string {
	switch version {
	case tls.VersionTLS10:
		return "TLSv1"
	case tls.VersionTLS11:
		return "TLSv1_1"
	case tls.VersionTLS12:
		return "TLSv1_2"
	case tls.VersionTLS13:
		return "TLSv1_3"
	}
	return fmt.Sprintf("0x%04x", version)
}

// CipherName returns a suite's name as OpenSSL has it.
func CipherName(id uint16) string { return cipherlist.Name(id) }
