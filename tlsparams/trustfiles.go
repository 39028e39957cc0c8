package tlsparams

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"netserver/internal/certfile"
	"netserver/tlsparams/internal/trust"
)

// A trustFile is one to read: must is set for those that have to hold what is
// looked for. A file found in a directory may hold other things; what is
// damaged is an error there too.
type trustFile struct {
	key, path string
	must      bool
}

// read reads a file of the trust parameters; the site is made again when it
// changes.
func (b *siteBuilder) read(key, path string) ([]byte, bool) {
	b.follow(path)
	data, err := b.src.loader().Read(certfile.RoleCert, path)
	if err != nil {
		b.errs = append(b.errs, b.src.fileError(key, err))
		return nil, false
	}
	return data, true
}

func (b *siteBuilder) follow(path string) {
	if !slices.Contains(b.site.files, path) {
		b.site.files = append(b.site.files, path)
	}
}

// inDirs lists the files of directories that may hold certificates, or lists.
func (b *siteBuilder) inDirs(key string, dirs []string, lists bool) []trustFile {
	var out []trustFile
	for _, dir := range dirs {
		b.follow(dir)
		entries, err := b.src.loader().List(dir)
		if err != nil {
			b.errs = append(b.errs, b.src.fileError(key, err))
			continue
		}
		for _, e := range entries {
			read, must := certfile.AuthorityName(e.Name), false
			if lists {
				read, must = certfile.ListName(e.Name)
			}
			path := filepath.Join(dir, e.Name)
			switch {
			case !read || e.Dir:
			case e.Gone && !must:
				// Debian leaves such links behind for authorities that it has
				// dropped. Fewer are trusted by that, not more.
				b.warn(key, path, "is a link that leads nowhere")
			default:
				out = append(out, trustFile{key, path, must})
			}
		}
	}
	return out
}

func (b *siteBuilder) crlFiles() []trustFile {
	var out []trustFile
	for _, f := range b.c.CRLFiles {
		out = append(out, trustFile{"SSL_crl_file", f, true})
	}
	for _, f := range b.c.CAFiles {
		out = append(out, trustFile{"SSL_ca_file", f, false})
	}
	out = append(out, b.inDirs("SSL_crl_path", b.c.CRLPath, true)...)
	return append(out, b.inDirs("SSL_ca_path", b.c.CAPath, true)...)
}

// roots reads the anchors and what is named to clients.
func (b *siteBuilder) roots() {
	st := b.site
	files := b.inDirs("SSL_ca_path", b.c.CAPath, false)
	for _, f := range b.c.CAFiles {
		files = append(files, trustFile{"SSL_ca_file", f, true})
	}
	if len(b.c.CAFiles)+len(b.c.CAPath) > 0 {
		pool, n := b.pool(files)
		if n == 0 && len(b.errs) == 0 {
			b.fail("SSL_ca_path", strings.Join(b.c.CAPath, string(os.PathListSeparator)), "holds no certificate", nil)
		}
		st.rule.Roots, st.names = pool, pool
	} else if b.src.env.ClientCAs != nil {
		st.rule.Roots, st.names = b.src.env.ClientCAs, b.src.env.ClientCAs
	} else if own := b.src.env.TLSConfig; own != nil && own.ClientCAs != nil {
		st.rule.Roots, st.names = own.ClientCAs, own.ClientCAs
		st.rule.Anchors = "TLSConfig.ClientCAs"
		//lint:ignore SA1019 the names are for the digest only
		for _, name := range own.ClientCAs.Subjects() {
			b.note("TLSConfig.ClientCAs", name)
		}
	} else if !b.c.ForceFingerprint && !b.c.anyAllow() {
		b.warn("SSL_verify_mode", "", "asks for client certificates, and each that an authority of the system has signed is accepted; name yours with SSL_ca_file")
	}
	key := "SSL_ca_file"
	if b.c.ClientCAFile != "" {
		key = "SSL_client_ca_file"
		st.names, _ = b.pool([]trustFile{{key, b.c.ClientCAFile, true}})
	}
	b.boundNames(key)
}

func (b *siteBuilder) pool(files []trustFile) (*x509.CertPool, int) {
	pool, n := x509.NewCertPool(), 0
	for _, f := range files {
		data, ok := b.read(f.key, f.path)
		if !ok {
			continue
		}
		b.note(f.key, data)
		certs, err := certfile.Authorities(data)
		if err != nil {
			b.fail(f.key, f.path, err.Error(), err)
			continue
		}
		if len(certs) == 0 && f.must {
			b.fail(f.key, f.path, "holds no certificate", nil)
		}
		for _, c := range certs {
			pool.AddCert(c)
			n++
		}
	}
	return pool, n
}

// allowFiles reads the allow lists and pins that stand in files. One without
// any entry is refused: as a list it would let everyone in.
func (b *siteBuilder) allowFiles() {
	for _, f := range b.c.AllowFiles {
		data, ok := b.read("SSL_allow_file", f)
		if !ok {
			continue
		}
		b.note("allow file", data)
		n, err := trust.AddAllowed(b.site.rule, data)
		switch {
		case err != nil:
			b.fail("SSL_allow_file", f, err.Error(), err)
		case n == 0:
			b.fail("SSL_allow_file", f, "holds no entry, and would let everyone in; to let nobody in, name somebody who does not exist", nil)
		}
	}
}
