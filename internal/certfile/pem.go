package certfile

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
)

// blocks are the relevant parts of a PEM file.
type blocks struct {
	certs []Block // in file order
	keys  []Block // private keys, encrypted or not
	idle  string  // a kind of block that may stand beside them, or ""
	pem   bool    // the file is PEM
}

// splitPEM sorts the blocks of a PEM text. It has no blocks if data is not PEM.
func splitPEM(role Role, file string, data []byte) (b blocks, err error) {
	all, err := Blocks(data)
	if err != nil {
		return b, bad(role, file, "%s", err.Error())
	}
	b.pem = len(all) > 0
	for _, one := range all {
		switch t := one.Type; {
		case isCert(t):
			b.certs = append(b.certs, one)
		case t == "OPENSSH PRIVATE KEY":
			return b, bad(role, file, "holds a private key in OpenSSH's format (line %d); convert it to PEM: ssh-keygen -p -m PEM", one.Line)
		case strings.HasSuffix(t, "PRIVATE KEY"):
			b.keys = append(b.keys, one)
		case one.Opaque() != "":
			return b, bad(role, file, "%s", one.Opaque())
		default:
			// Parameters, which openssl writes before a key, requests, public
			// keys: nothing that a server presents or uses.
			b.idle = t
		}
	}
	return b, nil
}

func parseChain(file string, certs []Block) ([]*x509.Certificate, error) {
	chain := make([]*x509.Certificate, 0, len(certs))
	for i := range certs {
		c, _, err := certs[i].certificate()
		if err != nil {
			e := bad(RoleCert, file, "holds a damaged certificate (number %d, line %d): %v", i+1, certs[i].Line, err)
			e.Err = err
			return nil, e
		}
		chain = append(chain, c)
	}
	return once(chain), nil
}

// once removes duplicates from chain: clients gain nothing from a second copy.
func once(chain []*x509.Certificate) []*x509.Certificate {
	seen := make(map[string]bool, len(chain))
	out := chain[:0]
	for _, c := range chain {
		if !seen[string(c.Raw)] {
			seen[string(c.Raw)] = true
			out = append(out, c)
		}
	}
	return out
}

// parseKeyDER parses an unencrypted private key in any of the usual forms. Its
// error reveals no content.
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
	if kind := otherKey(der); kind != "" {
		return nil, "holds a private key of the kind " + kind + ", which TLS does not use here; RSA, ECDSA (P-256, P-384, P-521) and Ed25519 keys work"
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

// otherKey names the kind of a PKCS #8 key that is not supported.
func otherKey(der []byte) string {
	var info struct {
		Version int
		Algo    pkix.AlgorithmIdentifier
		Key     []byte
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return ""
	}
	oid := info.Algo.Algorithm.String()
	name := map[string]string{
		"1.2.840.113549.1.1.10": "RSA-PSS", "1.2.840.10040.4.1": "DSA", "1.2.840.113549.1.3.1": "DH", "1.2.840.10046.2.1": "DH",
		"1.2.840.10045.2.1": "EC on another curve", "1.3.101.110": "X25519", "1.3.101.111": "X448", "1.3.101.113": "Ed448",
	}[oid]
	if name == "" || name == "EC on another curve" && len(info.Algo.Parameters.FullBytes) == 0 {
		return ""
	}
	return name
}
