package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"netserver/internal/certfile"
	"netserver/tlsparams/internal/trust"
)

// An Untrusted is the error about a server whose certificate is not good. It
// says why and what to do.
type Untrusted struct {
	Reason string
	Err    error // the cause, or nil
}

// Error returns the reason.
func (e *Untrusted) Error() string { return e.Reason }

// Unwrap returns the cause.
func (e *Untrusted) Unwrap() error { return e.Err }

// verify judges a server after its handshake, which may have resumed a session.
func (g *generation) verify(cs *tls.ConnectionState, to server) error {
	p, certs := &g.src.p, cs.PeerCertificates
	if p.Unverified {
		return nil
	}
	if len(certs) == 0 {
		return &Untrusted{Reason: "it shows no certificate"}
	}
	leaf := certs[0]
	if len(p.Pins) > 0 {
		if _, ok := g.src.pins.Match(leaf); !ok {
			return &Untrusted{Reason: fmt.Sprintf("its key is not that of backend_pin: the certificate (%s) has the key %s", about(leaf), trust.Fingerprint(leaf, true))}
		}
		if !p.verifies() {
			return nil
		}
	}
	now := g.src.env.Now()
	var chains [][]*x509.Certificate
	// A session of this generation was verified when it began, but for times.
	if !cs.DidResume || g.lists != nil || certfile.SpanOf(certs).At(now) != "" {
		var err error
		if chains, err = g.build(certs, now); err != nil {
			return &Untrusted{Reason: chainReason(p, certs, err, now), Err: err}
		}
	}
	if err := leaf.VerifyHostname(to.verified); err != nil {
		return &Untrusted{Reason: nameReason(leaf, to), Err: err}
	}
	return g.checkLists(chains, now)
}

// build returns the chains from the server's certificate to an anchor.
func (g *generation) build(certs []*x509.Certificate, now time.Time) ([][]*x509.Certificate, error) {
	opts := x509.VerifyOptions{Roots: g.roots, CurrentTime: now, Intermediates: x509.NewCertPool(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, c := range certs[1:] {
		opts.Intermediates.AddCert(c)
	}
	return certs[0].Verify(opts)
}

// checkLists asks the revocation lists, one of whose answers for a chain
// suffices.
func (g *generation) checkLists(chains [][]*x509.Certificate, now time.Time) error {
	if g.lists == nil {
		return nil
	}
	var last error
	for _, chain := range chains {
		_, err := g.lists.Check(context.Background(), chain, now)
		if err == nil {
			return nil
		}
		if last == nil || errors.Is(err, trust.ErrRevoked) {
			last = err
		}
	}
	return &Untrusted{Reason: strings.ReplaceAll(last.Error(), "SSL_", "backend_"), Err: last}
}

// about describes a certificate in a few words.
func about(c *x509.Certificate) string {
	return fmt.Sprintf("%s, valid until %s", plain(certfile.Name(c)), c.NotAfter.UTC().Format(time.DateTime))
}

// plain returns what a stranger has written, quoted if that is not plain text.
func plain(s string) string {
	s = s[:min(len(s), 200)]
	if q := strconv.QuoteToASCII(s); q[1:len(q)-1] != s {
		return q
	}
	return s
}

// chainReason says why a server's certificate leads to no anchor.
func chainReason(p *Params, certs []*x509.Certificate, err error, now time.Time) string {
	leaf := certs[0]
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown) && isSelfSigned(leaf):
		return fmt.Sprintf("its certificate is self-signed (%s); if it is the right one, name it with backend_ca_file, or its key with backend_pin %s", about(leaf), trust.Fingerprint(leaf, true))
	case errors.As(err, &unknown):
		hint := "give backend_ca_file"
		if len(p.CAFiles)+len(p.CAPath) > 0 {
			hint = "its issuer, " + plain(leaf.Issuer.String()) + ", is not in backend_ca_file or backend_ca_path, nor is a certificate between them sent"
		}
		return fmt.Sprintf("certificate signed by unknown authority (%s); %s", about(leaf), hint)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		if now.Before(invalid.Cert.NotBefore) {
			return fmt.Sprintf("the certificate %s is not valid before %s; is the clock right?", plain(certfile.Name(invalid.Cert)), invalid.Cert.NotBefore.UTC().Format(time.DateTime))
		}
		return fmt.Sprintf("the certificate %s expired on %s", plain(certfile.Name(invalid.Cert)), invalid.Cert.NotAfter.UTC().Format(time.DateTime))
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return fmt.Sprintf("its certificate (%s) is not made for servers: its extended key usage lacks serverAuth", about(leaf))
	}
	return fmt.Sprintf("its certificate (%s) cannot be verified: %s", about(leaf), plain(err.Error()))
}

func isSelfSigned(c *x509.Certificate) bool {
	return string(c.RawIssuer) == string(c.RawSubject) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// nameReason says what a certificate is for.
func nameReason(leaf *x509.Certificate, to server) string {
	if to.verified == "" {
		return "the name that its certificate has to be for is not known: give backend_verify_name"
	}
	var names []string
	for _, n := range leaf.DNSNames {
		names = append(names, plain(n))
	}
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	const most = 5
	if len(names) > most {
		names = append(names[:most], fmt.Sprintf("%d others", len(names)-most))
	}
	is := strings.Join(names, ", ")
	if is == "" {
		is = "no name (" + plain(certfile.Name(leaf)) + " does not count)"
	}
	return fmt.Sprintf("its certificate is for %s, not for %s; give the right one with backend_verify_name", is, to.verified)
}
