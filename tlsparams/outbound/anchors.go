package outbound

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"netserver/conf"
	"netserver/internal/certfile"
	"netserver/tlsparams/internal/revoke"
)

// anchors are what certificates of servers are verified by. They are not changed
// once made.
type anchors struct {
	roots  *x509.CertPool // nil: the system's
	lists  *revoke.Lists  // nil: none
	digest [32]byte       // of the files
}

// loadTrust reads authorities and revocation lists. What g has stays if they are
// the same.
func (s *Source) loadTrust(g *generation) error {
	l := trustLoader{s: s, t: &anchors{}, loader: certfile.Loader{ReadFile: s.env.ReadFile}}
	if read := s.env.ReadDir; read != nil {
		l.loader.ReadDir = func(dir string) ([]certfile.Entry, error) {
			found, err := read(dir)
			list := make([]certfile.Entry, len(found))
			for i, e := range found {
				list[i] = certfile.Entry(e)
			}
			return list, err
		}
	}
	if s.p.verifies() {
		l.authorities()
		l.revoked()
	}
	if err := errors.Join(l.errs...); err != nil {
		return err
	}
	if l.t.digest = sha256.Sum256(l.digests); g.anchors == nil || g.anchors.digest != l.t.digest {
		g.anchors = l.t
	}
	return nil
}

// A trustLoader reads anchors.
type trustLoader struct {
	s       *Source
	t       *anchors
	loader  certfile.Loader
	digests []byte
	errs    []error
}

// read returns the contents of a file, nil if it cannot be read.
func (l *trustLoader) read(key, path string) []byte {
	data, err := l.loader.Read(certfile.RoleCert, path)
	if err != nil {
		l.errs = append(l.errs, l.s.fileError(key, err))
		return nil
	}
	sum := sha256.Sum256(data)
	l.digests = append(append(l.digests, key...), sum[:]...)
	return data
}

func (l *trustLoader) fail(key, path string, reason any) {
	l.errs = append(l.errs, &conf.Problem{Key: key, Err: fmt.Errorf("%s %v", path, reason)})
}

// authorities reads the anchors.
func (l *trustLoader) authorities() {
	p := &l.s.p
	if len(p.CAFiles)+len(p.CAPath) == 0 {
		pool, err := x509.SystemCertPool() // now, while the files can be read
		if err != nil || pool.Equal(x509.NewCertPool()) {
			l.errs = append(l.errs, &conf.Problem{Key: "backend_ca_file", Err: errors.New("is not given, and this system has no authorities (or its root directory has none) to verify targets by"),
				Hint: "give it, or install the system's authorities: package ca-certificates"})
		}
		return
	}
	l.t.roots = x509.NewCertPool()
	for _, f := range p.CAFiles {
		if data := l.read("backend_ca_file", f); data != nil && l.add("backend_ca_file", f, data) == 0 {
			l.fail("backend_ca_file", f, "holds no certificate")
		}
	}
	for _, dir := range p.CAPath {
		entries, err := l.loader.List(dir)
		if err != nil {
			l.errs = append(l.errs, l.s.fileError("backend_ca_path", err))
			continue
		}
		n := 0
		for _, e := range entries {
			if !certfile.AuthorityName(e.Name) || e.Dir || e.Gone {
				continue // Debian leaves links behind for authorities that it has dropped
			}
			path := filepath.Join(dir, e.Name)
			if data := l.read("backend_ca_path", path); data != nil {
				n += l.add("backend_ca_path", path, data)
			}
		}
		if n == 0 && len(l.errs) == 0 {
			l.fail("backend_ca_path", dir, "holds no certificate")
		}
	}
}

// add adds the certificates in data to the anchors and returns their number.
func (l *trustLoader) add(key, path string, data []byte) int {
	certs, err := certfile.Authorities(data)
	if err != nil {
		l.fail(key, path, err)
		return -1
	}
	for _, c := range certs {
		l.t.roots.AddCert(c)
	}
	return len(certs)
}

// revoked reads the revocation lists.
func (l *trustLoader) revoked() {
	for _, f := range l.s.p.CRLFiles {
		data := l.read("backend_crl_file", f)
		if data == nil {
			continue
		}
		if l.t.lists == nil {
			l.t.lists = &revoke.Lists{}
		}
		switch n, err := l.t.lists.Add(f, sha256.Sum256(data), data); {
		case err != nil:
			l.fail("backend_crl_file", f, strings.ReplaceAll(err.Error(), "SSL_", "backend_"))
		case n == 0:
			l.fail("backend_crl_file", f, "holds no revocation list")
		}
	}
}
