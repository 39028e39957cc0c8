package certfile

import (
	"crypto"
	"crypto/x509"
	"errors"
)

// A Loader reads certificates with their keys. The zero Loader reads from
// disk and has no passwords.
type Loader struct {
	// ReadFile replaces reading from disk, for a process without permission to
	// open the files.
	ReadFile func(file string) ([]byte, error)
	// ReadDir replaces List for the same reason.
	ReadDir func(dir string) ([]Entry, error)
	// Password returns the password of an encrypted file. The Loader
	// overwrites the result after use.
	Password func(file string) ([]byte, error)
	// Client says that the certificates are shown to servers, and need be made
	// for clients, not for servers.
	Client bool
}

// Read returns a file's contents; errors are *Error.
func (l *Loader) Read(role Role, file string) ([]byte, error) {
	if l.ReadFile == nil {
		return Read(role, file)
	}
	data, err := l.ReadFile(file)
	var known *Error
	if errors.As(err, &known) { // from Read, perhaps in another process
		e := *known
		e.Role = role
		return nil, &e
	}
	if err != nil {
		e := osError(file, err)
		e.Role = role
		return nil, e
	}
	return data, nil
}

// Load reads and checks a certificate file and its key file. With an empty
// keyFile the certificate file holds the key too. Errors are *Error.
func (l *Loader) Load(certFile, keyFile string) (*Pair, error) {
	certData, err := l.Read(RoleCert, certFile)
	if err != nil {
		return nil, err
	}
	var keyData []byte
	if keyFile != "" && keyFile != certFile {
		if keyData, err = l.Read(RoleKey, keyFile); err != nil {
			return nil, err
		}
	}
	p, err := l.Parse(certFile, certData, keyFile, keyData)
	clear(keyData)
	return p, err
}

// Parse is Load for contents already read; the names are for errors and
// password prompts. keyData is nil if the certificate's data holds the key.
func (l *Loader) Parse(certFile string, certData []byte, keyFile string, keyData []byte) (*Pair, error) {
	p, b, err := l.parseCert(certFile, certData, keyData == nil)
	if err != nil {
		return nil, err
	}
	switch {
	case keyData != nil:
		if b, err = splitPEM(RoleKey, keyFile, keyData); err == nil {
			p.Key, err = l.parseKey(RoleKey, keyFile, b, keyData)
		}
	case p.Key == nil && len(b.keys) == 0:
		return nil, bad(RoleCert, certFile, "holds no private key; add it to the file or name its file with SSL_key_file")
	case p.Key == nil:
		p.Key, err = l.parseKey(RoleCert, certFile, b, certData)
	}
	if err != nil {
		return nil, err
	}
	if !matches(p.Chain[0], p.Key) {
		if keyData == nil {
			return nil, bad(RoleCert, certFile, "holds a private key that does not match its first certificate (%s); the server's own certificate comes first", Name(p.Chain[0]))
		}
		return nil, bad(RoleKey, keyFile, "does not match the certificate %s (%s)", certFile, Name(p.Chain[0]))
	}
	if reason := checkChain(p.Chain, l.Client); reason != "" {
		return nil, bad(RoleCert, certFile, "%s", reason)
	}
	return p, nil
}

// parseCert reads a chain as PEM, DER or PKCS#12; the last may include the
// key.
func (l *Loader) parseCert(file string, data []byte, wantKey bool) (*Pair, blocks, error) {
	b, err := splitPEM(RoleCert, file, data)
	if err != nil {
		return nil, b, err
	}
	if len(b.certs) > 0 {
		chain, err := parseChain(file, b.certs)
		return &Pair{Chain: chain}, b, err
	}
	switch {
	case len(b.keys) > 0:
		return nil, b, bad(RoleCert, file, "holds a private key but no certificate; were SSL_cert_file and SSL_key_file swapped?")
	case b.pem:
		return nil, b, bad(RoleCert, file, "holds no certificate but: %s", b.idle)
	}
	if c, err := x509.ParseCertificate(data); err == nil {
		return &Pair{Chain: []*x509.Certificate{c}}, b, nil
	}
	if isPKCS12(data) {
		p, err := l.parsePKCS12(file, data)
		if err == nil && !wantKey {
			p.Key = nil // SSL_key_file overrides it
		}
		return p, b, err
	}
	return nil, b, bad(RoleCert, file, "holds no certificate in PEM, DER or PKCS#12 form")
}

func (l *Loader) parseKey(role Role, file string, b blocks, data []byte) (crypto.Signer, error) {
	switch {
	case len(b.keys) > 1:
		return nil, bad(role, file, "holds %d private keys (lines %d and %d); keep only the one that belongs to the certificate", len(b.keys), b.keys[0].Line, b.keys[1].Line)
	case len(b.keys) > 0:
		return l.keyBlock(role, file, &b.keys[0])
	case len(b.certs) > 0:
		return nil, bad(role, file, "holds a certificate but no private key")
	case b.pem:
		return nil, bad(role, file, "holds no private key but: %s", b.idle)
	}
	if k, reason := parseKeyDER(data); reason == "" {
		return k, nil
	}
	if isEncryptedPKCS8(data) {
		return l.encryptedPKCS8(role, file, data)
	}
	if isPKCS12(data) {
		p, err := l.parsePKCS12(file, data)
		if err != nil {
			var e *Error
			if errors.As(err, &e) {
				e.Role = role
			}
			return nil, err
		}
		return p.Key, nil
	}
	return nil, bad(role, file, "holds no private key in PEM, DER or PKCS#12 form")
}
