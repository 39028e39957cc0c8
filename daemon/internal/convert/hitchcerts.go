package convert

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A hitchCert is a pem-file of hitch.
type hitchCert struct {
	file, key, staple string
	verify, ca        string // client-verify and client-verify-ca of its own
}

func hitchCertOf(s setting) hitchCert {
	if s.block == nil {
		return hitchCert{file: s.value}
	}
	return hitchCert{file: last(s.block, "cert"), key: last(s.block, "private-key"), staple: last(s.block, "ocsp-resp-file"),
		verify: last(s.block, "client-verify"), ca: last(s.block, "client-verify-ca")}
}

// verifyModes are values of client-verify, as SSL_verify_mode has them.
var verifyModes = map[string]string{"none": "0", "optional": "1", "required": "3"}

// certificates writes the files of a port. Of several, each serves the names in
// it, and the last the others too.
func (c *converter) certificates(l *section, certs []hitchCert) {
	files, keys, modes, cas := make(map[string]string), make(map[string]string), make(map[string]string), make(map[string]string)
	give := func(name string, f hitchCert) {
		for _, v := range []struct {
			in    map[string]string
			value string
		}{{files, f.file}, {keys, f.key}, {modes, verifyModes[f.verify]}, {cas, f.ca}} {
			delete(v.in, name)
			if v.value != "" {
				v.in[name] = v.value
			}
		}
	}
	end := certs[len(certs)-1]
	for _, f := range certs[:len(certs)-1] {
		names, err := c.names(f.file)
		if err != nil {
			c.note("pem-file", "%s is not taken over, because its names could not be read: %v; write SSL_cert_file = { \"\" = \"DEFAULT\", \"its.name\" = \"%s\" }", f.file, err, f.file)
			if verifyModes[f.verify] > "0" {
				c.note("pem-file", "client-verify = %s of %s is not taken over with it", f.verify, f.file)
			}
			continue
		}
		for _, name := range names {
			give(name, f)
		}
		if f.staple != "" {
			c.note("pem-file", "ocsp-resp-file of %s is not taken over: SSL_ocsp_staple = 1 fetches responses for all certificates", f.file)
		}
	}
	names, _ := c.names(end.file)
	for _, name := range names { // the last one that has a name serves it
		give(name, hitchCert{})
	}
	give("", end)
	if len(cas) > 0 && cas[""] == "" && l.values["SSL_ca_file"]+c.top.values["SSL_ca_file"] == "" {
		cas[""] = cas[slices.Min(slices.Collect(maps.Keys(cas)))] // for all other names, whose clients show nothing
	}
	if len(modes) > 0 && modes[""] == "" {
		modes[""] = "0"
		for _, s := range []*section{&c.top, l} {
			if v := s.values["SSL_verify_mode"]; v != "" && !strings.HasPrefix(v, "{") {
				modes[""] = v
			}
		}
	}
	l.named("SSL_cert_file", files, quote)
	l.named("SSL_key_file", keys, quote)
	l.named("SSL_verify_mode", modes, func(s string) string { return s })
	l.named("SSL_ca_file", cas, quote)
	if end.staple != "" {
		l.text("SSL_ocsp_staple_file", end.staple)
	}
}

// named writes the values of a key by server name, or the one for all.
func (s *section) named(key string, values map[string]string, toml func(string) string) {
	if len(values) == 0 {
		return
	}
	if v, ok := values[""]; ok && len(values) == 1 {
		s.set(key, toml(v))
		return
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		pairs = append(pairs, quote(name)+" = "+toml(values[name]))
	}
	s.set(key, "{ "+strings.Join(pairs, ", ")+" }")
}

// The most that is read of a file of certificates, and of names in one.
const (
	maxCertBytes = 1 << 20
	maxCertNames = 1000
)

var hostName = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)

// namesIn returns the host names in the first certificate of a file.
func namesIn(file string) ([]string, error) {
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
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return nil, errNoCert
		}
		if !strings.HasSuffix(b.Type, "CERTIFICATE") {
			continue
		}
		cert, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, errNoCert
		}
		var names []string
		for _, name := range append(cert.DNSNames, cert.Subject.CommonName) {
			if name = strings.ToLower(name); hostName.MatchString(name) && len(names) < maxCertNames && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		if len(names) == 0 {
			return nil, errNoNames
		}
		return names, nil
	}
}

// pemDir returns the certificates of pem-dir, where SSL_cert_dir would not find
// them all by how their files are called. Otherwise it writes that key.
func (c *converter) pemDir(all []setting) []hitchCert {
	dir, glob := last(all, "pem-dir"), last(all, "pem-dir-glob")
	if dir == "" {
		return nil
	}
	entries, err := c.list(dir)
	plain := err == nil && glob == ""
	var certs []hitchCert
	for _, name := range entries {
		if ok, err := filepath.Match(glob, name); glob != "" && (!ok || err != nil) {
			continue
		}
		plain = plain && slices.Contains([]string{".pem", ".crt", ".cer"}, filepath.Ext(name))
		certs = append(certs, hitchCert{file: filepath.Join(dir, name)})
	}
	switch {
	case err != nil && glob != "":
		c.note("pem-dir-glob", "it is not taken over: %s cannot be read, and SSL_cert_dir serves what ends in .pem, .crt and so on", dir)
	case !plain && err == nil && len(certs) > 0:
		c.note("pem-dir", "the files that are in %s now are taken over, each by its name; for later ones give them names that end in .pem, and SSL_cert_dir", dir)
		return certs
	}
	c.top.text("SSL_cert_dir", dir)
	return nil
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
