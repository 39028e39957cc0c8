package certfile

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
)

// blocks are the parts of a PEM file that matter here.
type blocks struct {
	certs [][]byte     // DER, in file order
	keys  []*pem.Block // private keys, encrypted or not
	other []string     // types of the blocks that are neither
}

// splitPEM sorts the blocks of a PEM text. It has no blocks if data is not PEM.
func splitPEM(data []byte) (b blocks) {
	for {
		var block *pem.Block
		block, data = pem.Decode(data)
		if block == nil {
			return b
		}
		switch t := block.Type; {
		case t == "CERTIFICATE" || t == "X509 CERTIFICATE" || t == "TRUSTED CERTIFICATE":
			b.certs = append(b.certs, block.Bytes)
		case strings.HasSuffix(t, "PRIVATE KEY"):
			b.keys = append(b.keys, block)
		case t == "EC PARAMETERS":
			// openssl ecparam writes them before the key, which names them again.
		default:
			b.other = append(b.other, t)
		}
	}
}

// looksPEM tells a damaged PEM text from other garbage.
func looksPEM(data []byte) bool { return bytes.Contains(data, []byte("-----BEGIN ")) }

func parseChain(file string, ders [][]byte) ([]*x509.Certificate, error) {
	chain := make([]*x509.Certificate, len(ders))
	for i, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			e := bad(RoleCert, file, "holds a damaged certificate (number %d): %v", i+1, err)
			e.Err = err
			return nil, e
		}
		chain[i] = c
	}
	return chain, nil
}

// parseKeyDER parses an unencrypted private key in any of the usual forms. Its
// error names no content.
func parseKeyDER(der []byte) (crypto.Signer, string) {
	if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return asSigner(k)
	}
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return k, ""
	}
	k, err := x509.ParseECPrivateKey(der)
	if err == nil {
		return k, ""
	}
	return nil, "holds a damaged private key, or one of an unknown kind"
}

func asSigner(k any) (crypto.Signer, string) {
	switch k := k.(type) {
	case *rsa.PrivateKey:
		return k, ""
	case *ecdsa.PrivateKey:
		return k, ""
	case ed25519.PrivateKey:
		return k, ""
	}
	return nil, "holds a private key of a kind that TLS does not use here; RSA, ECDSA (P-256, P-384, P-521) and Ed25519 keys work"
}
