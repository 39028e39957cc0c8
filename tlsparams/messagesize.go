package tlsparams

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"netserver/internal/certfile"
)

// What handshake messages hold, in bytes. crypto/tls writes what it is given,
// or fails in the middle of each handshake, so sizes are checked before.
const (
	// maxNames bounds the names of authorities in a request for a
	// certificate: the list has a length of two bytes and shares its message
	// with other extensions.
	maxNames = 63 << 10
	// maxEntry bounds what is sent with a certificate, as the extensions of
	// its entry have a length of two bytes: the OCSP response and the signed
	// timestamps (SCTs).
	maxEntry = 63 << 10
	// maxChain is the largest chain that crypto/tls reads as a client, and
	// manyChain the largest that OpenSSL does.
	maxChain  = 256 << 10
	manyChain = 100 << 10
)

// boundNames names no authorities to clients where all are too many.
func (b *siteBuilder) boundNames(key string) {
	n := namesSize(b.site.names)
	if n <= maxNames {
		return
	}
	b.site.names = nil
	b.warn(key, "", fmt.Sprintf("holds authorities whose names take %d bytes, and a handshake holds %d at most: clients are told none, and choose among all their certificates; put the authorities to name into SSL_client_ca_file", n, maxNames))
}

// namesSize is what the names of a pool take in a handshake.
func namesSize(p *x509.CertPool) (n int) {
	if p == nil {
		return 0
	}
	//lint:ignore SA1019 a pool of the system's, which does not tell its names, is sent without names
	for _, name := range p.Subjects() {
		n += 2 + len(name)
	}
	return n
}

// tooLarge returns why no client could take a certificate, or "".
func tooLarge(c *tls.Certificate) string {
	if n := chainSize(c); n > maxChain {
		return fmt.Sprintf("has a chain of %d certificates and %d bytes, and clients take %d at most; leave only the server's own and its intermediates in the file", len(c.Certificate), n, maxChain)
	}
	n := len(c.OCSPStaple)
	for _, sct := range c.SignedCertificateTimestamps {
		if len(sct) == 0 {
			return "has an empty signed certificate timestamp, which ends every handshake"
		}
		n += 2 + len(sct)
	}
	if n > maxEntry {
		return fmt.Sprintf("has an OCSP response and signed certificate timestamps of %d bytes, and a handshake holds %d at most", n, maxEntry)
	}
	return ""
}

// large returns why some clients cannot take a certificate, or "".
func large(c *tls.Certificate) string {
	if n := chainSize(c); n > manyChain && n <= maxChain {
		return fmt.Sprintf("has a chain of %d certificates and %d bytes, and many clients take %d at most; leave only the server's own and its intermediates in the file", len(c.Certificate), n, manyChain)
	}
	return ""
}

func chainSize(c *tls.Certificate) (n int) {
	for _, der := range c.Certificate {
		n += 3 + len(der)
	}
	return n
}

// checkSize is tooLarge as an error about the file of a slot.
func (s *slot) checkSize(c *tls.Certificate) error {
	if reason := tooLarge(c); reason != "" {
		return &certfile.Error{File: s.files.Cert, Reason: reason}
	}
	return nil
}
