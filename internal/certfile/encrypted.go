package certfile

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"strings"
)

// password asks for a file's password.
func (l *Loader) password(role Role, file string) ([]byte, error) {
	if l.Password == nil {
		return nil, bad(role, file, "is encrypted and no password is given; name a file that holds it with SSL_passwd_file, or a program that prints it with SSL_passwd_command")
	}
	pw, err := l.Password(file)
	if err != nil {
		e := bad(role, file, "is encrypted, and getting its password failed: %v", err)
		e.Err = err
		return nil, e
	}
	return pw, nil
}

// keyBlock reads one PEM block, decrypting it if necessary.
func (l *Loader) keyBlock(role Role, file string, b *Block) (crypto.Signer, error) {
	if b.Type == "ENCRYPTED PRIVATE KEY" {
		if b.DEK != "" {
			return nil, bad(role, file, "is damaged: the key in line %d is encrypted twice", b.Line)
		}
		return l.encryptedPKCS8(role, file, b.Bytes)
	}
	der := b.Bytes
	if b.DEK != "" {
		var err error
		if der, err = l.traditional(role, file, b); err != nil {
			return nil, err
		}
		defer clear(der)
	}
	k, reason := parseKeyDER(der)
	switch {
	case reason != "" && b.DEK != "" && !isDER(der):
		// A wrong password passes the padding check one time in 256.
		return nil, bad(role, file, "%v", errPassword)
	case reason != "":
		return nil, bad(role, file, "%s", reason)
	}
	return k, nil
}

// traditional decrypts a key in OpenSSL's form before PKCS #8.
func (l *Loader) traditional(role Role, file string, b *Block) ([]byte, error) {
	algo, _, _ := strings.Cut(b.DEK, ",")
	switch algo {
	case "DES-CBC", "DES-EDE3-CBC", "AES-128-CBC", "AES-192-CBC", "AES-256-CBC":
	default:
		return nil, bad(role, file, "%v", errUnknown(fmt.Sprintf("%.40q", algo)))
	}
	pw, err := l.password(role, file)
	if err != nil {
		return nil, err
	}
	defer clear(pw)
	//lint:ignore SA1019 the format is old and weak, but it is what many files hold
	der, err := x509.DecryptPEMBlock(b.std(), pw)
	if err != nil {
		return nil, bad(role, file, "%v", errPassword)
	}
	return der, nil
}

func (l *Loader) encryptedPKCS8(role Role, file string, der []byte) (crypto.Signer, error) {
	var k encryptedKey
	if err := parse(der, &k); err != nil {
		return nil, bad(role, file, "%v", err)
	}
	if _, err := k.unlock(); err != nil {
		return nil, bad(role, file, "%v", err) // before anybody has to type a password
	}
	pw, err := l.password(role, file)
	if err != nil {
		return nil, err
	}
	defer clear(pw)
	plain, err := k.decrypt(pw)
	if err != nil {
		return nil, bad(role, file, "%v", err)
	}
	defer clear(plain)
	if !isDER(plain) {
		return nil, bad(role, file, "%v", errPassword)
	}
	s, reason := parseKeyDER(plain)
	if reason != "" {
		return nil, bad(role, file, "%s", reason)
	}
	return s, nil
}

// isEncryptedPKCS8 reports whether der has the form of an
// EncryptedPrivateKeyInfo.
func isEncryptedPKCS8(der []byte) bool {
	var k encryptedKey
	return parse(der, &k) == nil
}
