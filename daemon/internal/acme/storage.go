package acme

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"netserver/internal/place"
	"netserver/tlsparams"
)

// A Storage is the directory that certificates and the account's keys are in:
//
//	account-DIGEST.key   an account's key, for each directory URL
//	certificates/        NAME.pem: key and chain, which TLS ports serve
//	retired/             the same of names that are no longer wanted
//	state.json           failures so far, so that a start does not forget them
//
// Every file is written under another name first and then takes its place.
type Storage struct {
	dir  string
	root *os.Root
}

const (
	dirCertificates = "certificates"
	dirRetired      = "retired"
	fileState       = "state.json"

	suffix     = ".pem"
	temporary  = ".tmp-"
	maxFile    = 1 << 20
	ownerFile  = 0o600
	ownerDir   = 0o700
	othersMode = 0o077
)

// CheckStorage returns why dir cannot be a storage. It changes nothing: a
// directory that is not there yet is good if it can be made.
func CheckStorage(dir string) error {
	if !filepath.IsAbs(dir) {
		return errors.New("must be an absolute path")
	}
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		parent := filepath.Dir(dir)
		if _, err := os.Stat(parent); err != nil {
			return fmt.Errorf("cannot be made: %w", err)
		}
		return guarded(place.Guarded(dir))
	}
	switch {
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		return errors.New("is a symbolic link; give the directory itself")
	case !info.IsDir():
		return errors.New("is no directory")
	case runtime.GOOS != "windows" && info.Mode()&othersMode != 0:
		return fmt.Errorf("has keys in it, and others than its owner may use it (mode %04o): chmod 700 %s", info.Mode().Perm(), dir)
	}
	return guarded(place.Unwritable(dir))
}

func guarded(err error) error {
	if err != nil {
		return fmt.Errorf("could be exchanged: %w", place.WithoutPath(err))
	}
	return nil
}

// OpenStorage opens a storage, and makes what is missing of it.
func OpenStorage(dir string) (*Storage, error) {
	if err := CheckStorage(dir); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, ownerDir); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := CheckStorage(dir); err != nil { // of what is there now
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	s := &Storage{dir: dir, root: root}
	for _, sub := range []string{dirCertificates, dirRetired} {
		err := root.Mkdir(sub, ownerDir)
		if err == nil || errors.Is(err, fs.ErrExist) {
			err = CheckStorage(filepath.Join(dir, sub))
		}
		if err != nil {
			root.Close()
			return nil, fmt.Errorf("%s %w", sub, err)
		}
	}
	return s, nil
}

// Close closes the directory.
func (s *Storage) Close() error { return s.root.Close() }

// certificate is the file of a name, below the storage.
func certificate(name string) string { return filepath.Join(dirCertificates, name+suffix) }

func retired(name string) string { return filepath.Join(dirRetired, name+suffix) }

// read reads a file of ours.
func (s *Storage) read(name string) ([]byte, error) {
	f, err := s.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", name)
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is too long", name)
	}
	return data, err
}

// write puts data into the place of a file, whole or not at all.
func (s *Storage) write(name string, data []byte) (err error) {
	dir, file := filepath.Split(name)
	temp := filepath.Join(dir, temporary+file)
	s.root.Remove(temp) // of a process that was killed
	f, err := s.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, ownerFile)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.root.Remove(temp)
		}
	}()
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return s.root.Rename(temp, name)
}

// room is about what a key, a chain and the other files of an order take.
const room = 64 << 10

// checkRoom returns why nothing could be written. An order that cannot be kept
// is not made: authorities count them.
func (s *Storage) checkRoom() error {
	const name = "room"
	err := s.write(name, make([]byte, room))
	return errors.Join(err, s.remove(name))
}

func (s *Storage) remove(name string) error {
	if err := s.root.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// accountKey returns the key of the account at a directory, which is made where
// there is none.
func (s *Storage) accountKey(directory string) (crypto.Signer, error) {
	name := account(directory)
	data, err := s.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		key, text, err := newKey()
		if err != nil {
			return nil, err
		}
		return key, s.write(name, text)
	}
	if err != nil {
		return nil, err
	}
	key, err := parseAccount(data)
	if err != nil {
		return nil, fmt.Errorf("%s %w; move it away to make a new account", filepath.Join(s.dir, name), err)
	}
	return key, nil
}

func parseAccount(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("holds no key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	signer, ok := key.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, errors.New("holds no ECDSA key")
	}
	return signer, nil
}

// account is the file of the account's key at a directory.
func account(directory string) string { return "account-" + shortDigest(directory) + ".key" }

// replaceAccount puts the key of another account in the place of one that is
// there, which is kept aside.
func (s *Storage) replaceAccount(directory string, text []byte) error {
	name := account(directory)
	if have, err := s.read(name); err == nil && bytes.Equal(have, text) {
		return nil
	}
	if err := s.root.Rename(name, filepath.Join(dirRetired, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.write(name, text)
}

// newKey makes a key, and its PEM.
func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// held returns the certificate of a name. A placeholder, a damaged file and none
// at all are nil.
func (s *Storage) held(name string) *x509.Certificate {
	data, err := s.read(certificate(name))
	if err != nil {
		return nil
	}
	c, err := tls.X509KeyPair(data, data)
	if err != nil || isPlaceholder(c.Leaf) || c.Leaf.VerifyHostname(name) != nil {
		return nil
	}
	return c.Leaf
}

// isPlaceholder reports whether no authority has signed a certificate.
func isPlaceholder(c *x509.Certificate) bool {
	return string(c.RawIssuer) == string(c.RawSubject) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// Placeholder makes what is served under a name that has no certificate yet:
// one that no client trusts, and a key, as PEM.
func Placeholder(name string, now time.Time) ([]byte, error) {
	c, err := tlsparams.SelfSigned(now, name)
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.TLS().PrivateKey)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.TLS().Certificate[0]})...), nil
}

// Prepare sees to it that there is something to serve for each name: a
// certificate of before, or else a placeholder.
func Prepare(storage string, names []string, now time.Time) error {
	s, err := OpenStorage(storage)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, name := range names {
		if s.usable(name, now) {
			continue
		}
		s.root.Rename(retired(name), certificate(name)) // if there is one
		if s.usable(name, now) {
			continue
		}
		text, err := Placeholder(name, now)
		if err == nil {
			err = s.write(certificate(name), text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// usable reports whether a name's file can be served, whatever is in it. An
// expired placeholder would only make noise.
func (s *Storage) usable(name string, now time.Time) bool {
	data, err := s.read(certificate(name))
	if err != nil {
		return false
	}
	c, err := tls.X509KeyPair(data, data)
	return err == nil && c.Leaf.VerifyHostname(name) == nil && (!isPlaceholder(c.Leaf) || now.Before(c.Leaf.NotAfter))
}

// retire takes away what is served of names that are no longer wanted.
func (s *Storage) retire(wanted []string) (gone []string, err error) {
	keep := make(map[string]bool, len(wanted))
	for _, name := range wanted {
		keep[name] = true
	}
	entries, err := fs.ReadDir(s.root.FS(), dirCertificates)
	var errs []error
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok || keep[name] || strings.HasPrefix(name, ".") {
			continue
		}
		if err := s.root.Rename(certificate(name), retired(name)); err != nil {
			errs = append(errs, err)
			continue
		}
		gone = append(gone, name)
	}
	return gone, errors.Join(append(errs, err)...)
}

// Missing returns the files, by path, that Prepare would make of names, for a
// process that is to change nothing.
func Missing(storage string, names []string, now time.Time) (map[string][]byte, error) {
	if err := CheckStorage(storage); err != nil {
		return nil, err
	}
	missing := make(map[string][]byte)
	for _, name := range names {
		path := filepath.Join(storage, certificate(name))
		if _, err := os.Stat(path); err == nil {
			continue
		}
		text, err := Placeholder(name, now)
		if err != nil {
			return nil, err
		}
		missing[path] = text
	}
	return missing, nil
}
