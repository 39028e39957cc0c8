package certfile

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"

	"github.com/youmark/pkcs8"
	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// maxIterations bounds the work that a file may ask for to check a password.
// openssl uses 2048 by default, careful users a million.
const maxIterations = 20_000_000

const wrongPassword = "cannot be decrypted: the password is wrong, or the file is damaged"

// password asks for a file's password.
func (l *Loader) password(role Role, file string) ([]byte, error) {
	if l.Password == nil {
		return nil, bad(role, file, "is encrypted and no password is given; name a file that holds it with SSL_passwd_file, or a program that prints it with SSL_passwd_command")
	}
	pw, err := l.Password(file)
	if err != nil {
		e := bad(role, file, "is encrypted and its password cannot be had: %v", err)
		e.Err = err
		return nil, e
	}
	return pw, nil
}

// keyBlock reads one PEM block, decrypting it if need be.
func (l *Loader) keyBlock(role Role, file string, b *pem.Block) (crypto.Signer, error) {
	if b.Type == "ENCRYPTED PRIVATE KEY" {
		return l.encryptedPKCS8(role, file, b.Bytes)
	}
	der := b.Bytes
	//lint:ignore SA1019 the format is old and weak, but it is what many files hold
	if x509.IsEncryptedPEMBlock(b) {
		pw, err := l.password(role, file)
		if err != nil {
			return nil, err
		}
		//lint:ignore SA1019 see above
		der, err = x509.DecryptPEMBlock(b, pw)
		clear(pw)
		if err != nil {
			return nil, bad(role, file, wrongPassword)
		}
		if k, reason := parseKeyDER(der); reason == "" {
			return k, nil
		}
		// A wrong password passes the padding check one time in 256.
		return nil, bad(role, file, wrongPassword)
	}
	k, reason := parseKeyDER(der)
	if reason != "" {
		return nil, bad(role, file, "%s", reason)
	}
	return k, nil
}

func (l *Loader) encryptedPKCS8(role Role, file string, der []byte) (crypto.Signer, error) {
	pw, err := l.password(role, file)
	if err != nil {
		return nil, err
	}
	defer clear(pw)
	k, err := pkcs8.ParsePKCS8PrivateKey(der, pw)
	if err != nil {
		return nil, bad(role, file, wrongPassword+" or encrypted in a way that is not known here")
	}
	s, reason := asSigner(k)
	if reason != "" {
		return nil, bad(role, file, "%s", reason)
	}
	return s, nil
}

// isEncryptedPKCS8 tells whether der has the shape of EncryptedPrivateKeyInfo.
func isEncryptedPKCS8(der []byte) bool {
	var info struct {
		Algo pkix.AlgorithmIdentifier
		Data []byte
	}
	rest, err := asn1.Unmarshal(der, &info)
	return err == nil && len(rest) == 0
}

// pfx is the outer shape of PKCS#12, enough to know one and to bound its work.
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
	var p pfx
	if _, err := asn1.Unmarshal(data, &p); err != nil || p.Mac.Iterations > maxIterations {
		return nil, bad(RoleCert, file, "is a PKCS#12 file that asks for more than %d iterations to check its password", maxIterations)
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
		return nil, bad(RoleCert, file, wrongPassword)
	case err != nil:
		return nil, bad(RoleCert, file, "is a PKCS#12 file that cannot be used: %v", err)
	}
	s, reason := asSigner(key)
	if reason != "" {
		return nil, bad(RoleCert, file, "%s", reason)
	}
	return &Pair{Chain: sortChain(leaf, cas), Key: s}, nil
}

// sortChain puts each authority after what it issued: PKCS#12 has no order.
func sortChain(leaf *x509.Certificate, cas []*x509.Certificate) []*x509.Certificate {
	chain := []*x509.Certificate{leaf}
	for len(cas) > 0 {
		found := -1
		for i, ca := range cas {
			if issuesOne(ca, chain) {
				found = i
				break
			}
		}
		if found < 0 {
			break // strangers are left out; clients could do nothing with them
		}
		chain = append(chain, cas[found])
		cas = append(cas[:found:found], cas[found+1:]...)
	}
	return chain
}
