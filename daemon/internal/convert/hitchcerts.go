package convert

import (
	"maps"
	"path/filepath"
	"slices"
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
// it, of which the last certificate with a name has it, and the last of all the
// others too.
func (c *converter) certificates(l *section, certs []hitchCert) {
	end := certs[len(certs)-1]
	byName := make(map[string]hitchCert)
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
			byName[name] = f
		}
		if f.staple != "" {
			c.note("pem-file", "ocsp-resp-file of %s is not taken over: SSL_ocsp_staple = 1 fetches responses for all certificates", f.file)
		}
	}
	names, _ := c.names(end.file)
	for _, name := range names {
		delete(byName, name)
	}
	c.certificate(end, func(key, toml string) { l.set(key, toml) })
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		c.certificate(byName[name], func(key, toml string) { c.setFor(l, name, key, toml) })
	}
	if end.staple != "" {
		l.text("SSL_ocsp_staple_file", end.staple)
	}
}

// certificate writes what one says with set.
func (c *converter) certificate(f hitchCert, set func(key, toml string)) {
	set("SSL_cert_file", quote(f.file))
	if f.key != "" {
		set("SSL_key_file", quote(f.key))
	}
	if mode := verifyModes[f.verify]; mode != "" {
		set("SSL_verify_mode", mode)
	} else if f.verify != "" {
		c.note("pem-file", "client-verify: %s is not taken over", f.verify)
		set("SSL_verify_mode", "3") // none is let in by a mistake
	}
	if f.ca != "" {
		set("SSL_ca_file", quote(f.ca))
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
