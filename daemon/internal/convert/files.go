package convert

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// The most that is read of a file of certificates, and of names in one.
const (
	maxCertBytes = 1 << 20
	maxCertNames = 1000
)

var hostName = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)

// namesIn returns the host names in the first certificate of a file.
func namesIn(file string) ([]string, error) {
	certs, err := certsIn(file, 1)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range append(certs[0].DNSNames, certs[0].Subject.CommonName) {
		if name = strings.ToLower(name); hostName.MatchString(name) && len(names) < maxCertNames && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, errNoNames
	}
	return names, nil
}

// A pin is how a certificate is recognized, in hexadecimal: the SHA-256 of all
// of it, and of its public key.
type pin struct{ whole, key string }

// pinsIn returns those of the certificates in a file.
func pinsIn(file string) ([]pin, error) {
	certs, err := certsIn(file, maxCertNames)
	if err != nil {
		return nil, err
	}
	var pins []pin
	for _, cert := range certs {
		whole, key := sha256.Sum256(cert.Raw), sha256.Sum256(cert.RawSubjectPublicKeyInfo)
		pins = append(pins, pin{hex.EncodeToString(whole[:]), hex.EncodeToString(key[:])})
	}
	return pins, nil
}

// certsIn returns the first n certificates of a file, one at least.
func certsIn(file string, n int) ([]*x509.Certificate, error) {
	st, err := os.Stat(file)
	if err != nil {
		return nil, plainError(err)
	}
	if !st.Mode().IsRegular() {
		return nil, errNoFile
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, plainError(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCertBytes))
	if err != nil {
		return nil, plainError(err)
	}
	var certs []*x509.Certificate
	for len(certs) < n {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		if !strings.HasSuffix(b.Type, "CERTIFICATE") {
			continue
		}
		cert, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, errNoCert
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errNoCert
	}
	return certs, nil
}

// listDir returns the names of the files in a directory, in order.
func listDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, plainError(err)
	}
	var names []string
	for _, e := range entries {
		if st, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && st.Mode().IsRegular() && len(names) < maxCertNames {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

var (
	errNoFile  = errors.New("it is no plain file")
	errNoCert  = errors.New("there is no certificate in it")
	errNoNames = errors.New("there are no host names in it")
)

// plainError takes the path out of an error that names the file anyway.
func plainError(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}
