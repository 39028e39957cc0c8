package certfile

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
)

var (
	oidClientAuth = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
	oidAnyUse     = asn1.ObjectIdentifier{2, 5, 29, 37, 0}
)

// isCert reports whether blocks of a type hold a certificate.
func isCert(typ string) bool {
	return typ == "CERTIFICATE" || typ == "X509 CERTIFICATE" || typ == "TRUSTED CERTIFICATE"
}

// certificate parses a block. forClients is why it must not vouch for clients,
// or "": OpenSSL's form TRUSTED CERTIFICATE says so after the certificate.
func (b *Block) certificate() (c *x509.Certificate, forClients string, err error) {
	der := b.Bytes
	if b.Type == "TRUSTED CERTIFICATE" {
		if der, forClients, err = splitTrust(der); err != nil {
			return nil, "", err
		}
	}
	c, err = x509.ParseCertificate(der)
	return c, forClients, err
}

// splitTrust splits a block into the certificate and OpenSSL's trust settings.
func splitTrust(der []byte) (cert []byte, forClients string, err error) {
	var v asn1.RawValue
	rest, err := asn1.Unmarshal(der, &v)
	if err != nil || len(rest) == 0 {
		return der, "", err
	}
	var aux struct {
		Trust  []asn1.ObjectIdentifier `asn1:"optional"`
		Reject []asn1.ObjectIdentifier `asn1:"optional,tag:0"`
		Alias  string                  `asn1:"optional"`
		KeyID  []byte                  `asn1:"optional"`
		Other  []asn1.RawValue         `asn1:"optional,tag:1"`
	}
	if more, err := asn1.Unmarshal(rest, &aux); err != nil || len(more) > 0 {
		return nil, "", errors.New("its trust settings cannot be read")
	}
	uses := func(list []asn1.ObjectIdentifier) bool {
		return slices.ContainsFunc(list, func(o asn1.ObjectIdentifier) bool { return o.Equal(oidClientAuth) || o.Equal(oidAnyUse) })
	}
	switch {
	case uses(aux.Reject):
		forClients = "is marked as rejected for clients (openssl x509 -addreject)"
	case len(aux.Trust) > 0 && !uses(aux.Trust):
		forClients = "is marked as trusted for other things than clients (openssl x509 -addtrust)"
	}
	return v.FullBytes, forClients, nil
}

// Authorities returns the certificates of a file of authorities, in PEM, any
// number of them, or one in DER. Blocks of other kinds are allowed, also
// alone. The error follows the file's name.
func Authorities(data []byte) ([]*x509.Certificate, error) {
	bs, err := Blocks(data)
	if err != nil {
		return nil, err
	}
	if bs == nil {
		c, err := x509.ParseCertificate(data)
		if err != nil {
			return nil, fmt.Errorf("holds no certificate in PEM or DER form: %w", err)
		}
		return []*x509.Certificate{c}, nil
	}
	var certs []*x509.Certificate
	for i := range bs {
		b := &bs[i]
		if reason := b.Opaque(); reason != "" {
			return nil, errors.New(reason)
		}
		if !isCert(b.Type) {
			continue
		}
		c, forClients, err := b.certificate()
		if err != nil {
			return nil, fmt.Errorf("holds a damaged certificate in line %d: %w", b.Line, err)
		}
		if forClients != "" {
			return nil, fmt.Errorf("holds a certificate (%s, line %d) that %s; take it out", Name(c), b.Line, forClients)
		}
		certs = append(certs, c)
	}
	return certs, nil
}

// Opaque is why a block cannot be skipped, or "": it may hold certificates or
// lists in an unsupported form.
func (b *Block) Opaque() string {
	switch b.Type {
	case "PKCS7", "PKCS #7 SIGNED DATA", "CMS":
		return fmt.Sprintf("holds a block %s in line %d, which is not supported; convert its contents to PEM: openssl pkcs7 -print_certs", b.Type, b.Line)
	case "ATTRIBUTE CERTIFICATE":
		return fmt.Sprintf("holds an attribute certificate in line %d, which is not supported", b.Line)
	}
	return ""
}
