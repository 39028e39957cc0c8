package certfile

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"strings"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// pfx is the outer structure of PKCS#12, enough to recognise one and to bound
// its work.
type pfx struct {
	Version int
	Auth    asn1.RawValue
	Mac     struct {
		Mac        asn1.RawValue
		Salt       []byte
		Iterations int `asn1:"optional,default:1"`
	} `asn1:"optional"`
}

func isPKCS12(data []byte) bool {
	var p pfx
	_, err := asn1.Unmarshal(data, &p)
	return err == nil && p.Version == 3
}

// parsePKCS12 tries no password first, then the one given, as the original.
func (l *Loader) parsePKCS12(file string, data []byte) (*Pair, error) {
	if n := work(data, 0); n > maxIterations {
		return nil, bad(RoleCert, file, "is refused: it needs %[2]d iterations to open, and the limit for PKCS#12 files is %[1]d", maxIterations, n)
	}
	key, leaf, cas, err := pkcs12.DecodeChain(data, "")
	if errors.Is(err, pkcs12.ErrIncorrectPassword) {
		var pw []byte
		if pw, err = l.password(RoleCert, file); err != nil {
			return nil, err
		}
		key, leaf, cas, err = pkcs12.DecodeChain(data, string(pw))
		clear(pw)
	}
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return nil, bad(RoleCert, file, "%v", errPassword)
	case err != nil:
		return nil, bad(RoleCert, file, "is a PKCS#12 file that cannot be used: %v", err)
	}
	s, reason := asSigner(key)
	if reason != "" {
		return nil, bad(RoleCert, file, "%s", reason)
	}
	chain, stranger := sortChain(s, append([]*x509.Certificate{leaf}, cas...))
	if stranger != nil {
		return nil, bad(RoleCert, file, "holds a certificate (%s) that did not issue any other in it, or was altered; leave it out", Name(stranger))
	}
	return &Pair{Chain: chain, Key: s}, nil
}

// sortChain puts the key's certificate first and each authority after what it
// issued: PKCS#12 has no order. It returns a certificate that fits nowhere.
func sortChain(key crypto.Signer, certs []*x509.Certificate) (chain []*x509.Certificate, stranger *x509.Certificate) {
	certs = once(certs)
	first := max(0, slices.IndexFunc(certs, func(c *x509.Certificate) bool { return matches(c, key) }))
	chain = []*x509.Certificate{certs[first]}
	certs = slices.Delete(certs, first, first+1)
	for len(certs) > 0 {
		next := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return issuesOne(c, chain) })
		if next < 0 {
			return chain, certs[0]
		}
		chain = append(chain, certs[next])
		certs = slices.Delete(certs, next, next+1)
	}
	return chain, nil
}

// maxNesting bounds the depth that work inspects. PKCS#12 files are about ten
// deep.
const maxNesting = 24

// work returns how many iterations deriving the keys of a PKCS#12 file takes,
// as far as visible without the password, or a number over the limit if it is
// not DER. The contents of an encrypted part come from somebody who has the
// password.
func work(der []byte, depth int) (n int) {
	var p pfx
	if _, err := asn1.Unmarshal(der, &p); depth == 0 && err == nil {
		n = max(0, p.Mac.Iterations)
	}
	for rest := der; len(rest) > 0 && n <= maxIterations; {
		var v asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &v); err != nil {
			return n // the contents of a string need not be DER
		}
		if depth == maxNesting {
			return maxIterations + 1
		}
		if v.IsCompound || v.Class == asn1.ClassUniversal && v.Tag == asn1.TagOctetString {
			n += min(rounds(v), maxIterations+1) + work(v.Bytes, depth+1)
		}
	}
	return n
}

// rounds returns the iterations of v if it names a function that derives a key
// from a password.
func rounds(v asn1.RawValue) int {
	var a pkix.AlgorithmIdentifier
	if _, err := asn1.Unmarshal(v.FullBytes, &a); err != nil {
		return 0
	}
	times := 1 // PBKDF2
	switch id := a.Algorithm.String(); {
	case strings.HasPrefix(id, "1.2.840.113549.1.12.1."):
		times = 2 // key and initialization vector
	case id != idPBKDF2:
		return 0
	}
	var p struct {
		Salt       asn1.RawValue
		Iterations *big.Int
	}
	if _, err := asn1.Unmarshal(a.Parameters.FullBytes, &p); err != nil {
		return 0 // it cannot be opened anyway
	}
	if !p.Iterations.IsInt64() || p.Iterations.Int64() > maxIterations {
		return maxIterations + 1
	}
	return times * int(max(0, p.Iterations.Int64()))
}
