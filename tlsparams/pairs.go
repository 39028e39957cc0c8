package tlsparams

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"netserver/internal/certfile"
	"netserver/tlsparams/internal/protocol"
)

// Files names a certificate's file and its key's; Key is "" if the first holds
// both.
type Files struct{ Cert, Key string }

// A Pair is a certificate, its leaf first, and its key, or the way to that.
type Pair struct {
	Chain []*x509.Certificate
	Key   crypto.Signer
}

// A PairFunc reads a certificate and its key. The digest is of the files'
// contents; if it is have, the pair is nil.
type PairFunc func(f Files, have [32]byte) (p *Pair, digest [32]byte, err error)

// An Entry is a directory entry.
type Entry struct {
	Name string
	Dir  bool // a directory, or a link to one
	Gone bool // a link that leads nowhere
}

// ReadDir returns what is in a directory, by name, as a Source without
// Env.ReadDir sees it. Links are followed.
func ReadDir(dir string) ([]Entry, error) {
	found, err := certfile.List(dir)
	if err != nil {
		return nil, err
	}
	list := make([]Entry, len(found))
	for i, e := range found {
		list[i] = Entry(e)
	}
	return list, nil
}

// lister makes of Env.ReadDir what a Loader has.
func lister(read func(dir string) ([]Entry, error)) func(dir string) ([]certfile.Entry, error) {
	if read == nil {
		return nil
	}
	return func(dir string) ([]certfile.Entry, error) {
		found, err := read(dir)
		list := make([]certfile.Entry, len(found))
		for i, e := range found {
			list[i] = certfile.Entry(e)
		}
		return list, err
	}
}

// pairs returns how this Source reads certificates.
func (s *Source) pairs() PairFunc {
	if s.env.Pair != nil {
		return s.env.Pair
	}
	return pairsBy(s.loader()) // which notes that a password was asked for
}

// Pairs returns a function that reads certificates with their keys as a Source
// with these parameters and env does, passwords included: for a process that
// keeps the keys for others. env.Pair is not looked at.
func (p Params) Pairs(env *Env) PairFunc {
	return pairsBy(&certfile.Loader{ReadFile: env.ReadFile, Password: p.passwords(env)})
}

// ClientPairs is Pairs for certificates that are shown to servers: they need be
// made for clients.
func (p Params) ClientPairs(env *Env) PairFunc {
	return pairsBy(&certfile.Loader{ReadFile: env.ReadFile, Password: p.passwords(env), Client: true})
}

func pairsBy(l *certfile.Loader) PairFunc {
	return func(f Files, have [32]byte) (*Pair, [32]byte, error) {
		snap, err := take(l, certfile.Files(f))
		if err != nil {
			return nil, have, err
		}
		defer clear(snap.key)
		if snap.digest == have {
			return nil, have, nil
		}
		pair, err := l.Parse(f.Cert, snap.cert, f.Key, snap.key)
		return (*Pair)(pair), snap.digest, err
	}
}

// Names reports whether the parameters name the pair of files f, itself or the
// directory that it was found in.
func (p Params) Names(f Files) bool {
	if f.Cert == "" || f.Cert == ForceSelfSigned {
		return false
	}
	if f == (Files{Cert: p.CertFile, Key: p.KeyFile}) {
		return true
	}
	for name, cert := range p.CertFiles {
		if f == (Files{Cert: cert, Key: p.KeyFiles[name]}) {
			return true
		}
	}
	return p.CertDir != "" && scanned(filepath.Clean(p.CertDir), f)
}

// scanned reports whether Scan of dir can return f, which it writes in one way
// only.
func scanned(dir string, f Files) bool {
	in, name := filepath.Dir(f.Cert), filepath.Base(f.Cert)
	if in == dir {
		return f.Cert == filepath.Join(dir, name) && certfile.Served(name) && (f.Key == "" || f.Key == filepath.Join(dir, certfile.KeyName(name)))
	}
	sub := filepath.Base(in)
	if filepath.Dir(in) != dir || strings.HasPrefix(sub, ".") {
		return false
	}
	for _, n := range certfile.SubNames() {
		if f == (Files{Cert: filepath.Join(dir, sub, n.Cert), Key: filepath.Join(dir, sub, n.Key)}) {
			return true
		}
	}
	return false
}

// Secrets returns the files that hold a private key or the password of one and
// nothing that a process without keys needs.
func (p Params) Secrets() []string {
	list := []string{p.KeyFile, p.PasswdFile}
	for _, f := range p.KeyFiles {
		list = append(list, f)
	}
	slices.Sort(list)
	return slices.DeleteFunc(slices.Compact(list), func(f string) bool { return f == "" })
}

// Allows reports whether a version of TLS is allowed, such as
// tls.VersionTLS12.
func (p Params) Allows(version uint16) bool {
	v, _ := protocol.ParseVersions(p.Version)
	return v.Has(version)
}

// signable leaves out suites whose key exchange is RSA's, where keys can sign
// only: the client's secret would have to be decrypted with the key.
func (b *siteBuilder) signable(text string, ids []uint16) []uint16 {
	if !b.src.env.SignOnly {
		return ids
	}
	var out []string
	kept := slices.DeleteFunc(slices.Clone(ids), func(id uint16) bool {
		rsa := strings.HasPrefix(tls.CipherSuiteName(id), "TLS_RSA_")
		if rsa {
			out = append(out, tls.CipherSuiteName(id))
		}
		return rsa
	})
	const why = "with key_isolation serving processes can sign with the private key but not decrypt, and key exchange by RSA (which has no forward secrecy) needs that"
	switch {
	case len(out) > 0 && len(kept) == 0:
		b.fail("SSL_cipher_list", protocol.Quote(text), "holds no suite but "+strings.Join(out, ", ")+": "+why+"; name suites that begin with ECDHE, or set key_isolation to 0", nil)
	case len(out) > 0:
		b.warn("SSL_cipher_list", protocol.Quote(text), fmt.Sprintf("is used without %s: %s", strings.Join(out, ", "), why))
	}
	return kept
}
