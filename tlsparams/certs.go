package tlsparams

import (
	"cmp"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"netserver/internal/certfile"
	"netserver/tlsparams/internal/sni"
)

// A host is what one name serves: a certificate for each key type, those that
// are cheaper to sign with first.
type host struct {
	slots []*slot
	given bool // those of a tls.Config, in its order
}

// pick returns the first certificate that the client can take, or the last.
func (h *host) pick(hello *tls.ClientHelloInfo, clientOrder bool) *tls.Certificate {
	if len(h.slots) == 1 {
		return h.slots[0].cur.Load()
	}
	if h.given {
		return h.pickGiven(hello)
	}
	if clientOrder {
		if c := h.bySignature(hello); c != nil {
			return c
		}
	}
	var c *tls.Certificate
	for _, s := range h.slots {
		if c = s.cur.Load(); supports(hello, c) {
			return c
		}
	}
	return c
}

// bySignature returns the certificate for the first signature scheme in the
// client's order that one can make.
func (h *host) bySignature(hello *tls.ClientHelloInfo) *tls.Certificate {
	one := *hello
	one.ServerName = ""
	for i := range hello.SignatureSchemes {
		one.SignatureSchemes = hello.SignatureSchemes[i : i+1]
		for _, s := range h.slots {
			if c := s.cur.Load(); one.SupportsCertificate(c) == nil {
				return c
			}
		}
	}
	return nil
}

func (h *host) add(s *slot) {
	h.slots = append(h.slots, s)
	slices.SortStableFunc(h.slots, func(a, b *slot) int { return rank(a) - rank(b) })
}

func rank(s *slot) int {
	if _, ok := s.cur.Load().Leaf.PublicKey.(*rsa.PublicKey); ok {
		return 1
	}
	return 0
}

// hasType tells whether the host has a certificate of the slot's key type.
func (h *host) hasType(s *slot) bool {
	for _, o := range h.slots {
		if rank(o) == rank(s) {
			return true
		}
	}
	return false
}

// loadCerts loads everything that the parameters name and fills s.named,
// s.fromDir and the table.
func (s *Source) loadCerts() error {
	p := &s.p
	if reason := p.certConflict(); reason != nil {
		reason.Where = s.env.Where
		return reason
	}
	var errs []error
	add := func(name string, sl *slot, err error) {
		if err != nil {
			errs = append(errs, err)
			return
		}
		sl.name = name
		s.named = append(s.named, sl)
	}
	if err := s.defaultCert(add); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(p.CertFiles)) {
		sl, err := s.fileSlot("SSL_cert_file", certfile.Files{Cert: p.CertFiles[name], Key: p.KeyFiles[name]})
		add(name, sl, err)
	}
	for _, name := range slices.Sorted(maps.Keys(s.env.Certificates)) {
		sl, err := s.codeSlot("SSL_cert", name, s.env.Certificates[name])
		add(name, sl, err)
	}
	if own := s.env.TLSConfig; own != nil {
		for i := range own.Certificates {
			sl, err := s.codeSlot(keyCode, "", &own.Certificates[i])
			add("", sl, err)
		}
	}
	if p.CertDir != "" {
		found, err := s.loader().Scan(p.CertDir)
		if err != nil {
			errs = append(errs, s.fileError("SSL_cert_dir", err))
		}
		for _, f := range found {
			sl, err := s.fileSlot("SSL_cert_dir", f)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			s.fromDir = append(s.fromDir, sl)
		}
	}
	return errors.Join(errs...)
}

// defaultCert loads the certificate for all names, if there is to be one.
func (s *Source) defaultCert(add func(string, *slot, error)) error {
	p := &s.p
	_, code := s.env.Certificates[""]
	own := s.env.TLSConfig
	others := len(p.CertFiles) > 0 || p.CertDir != "" || len(s.env.Certificates) > 0 || certified(own) || own != nil && own.GetConfigForClient != nil
	switch {
	case p.CertFile == "" && !others && !s.env.Loopback && s.env.Hooks.Config != nil:
		return nil // which may give one
	case p.CertFile == "" && !others && !s.env.Loopback:
		return s.noCertificate()
	case p.CertFile == ForceSelfSigned || p.CertFile == "" && !others:
		s.self = s.env.SelfSigned
		if s.self == nil {
			var err error
			if s.self, err = SelfSigned(s.env.now()); err != nil {
				return err
			}
		}
		sl := &slot{key: "SSL_cert_file", since: s.env.now(), span: certfile.SpanOf([]*x509.Certificate{s.self.tls.Leaf})}
		sl.cur.Store(s.self.tls)
		add("", sl, nil)
	case p.CertFile != "" && !code:
		sl, err := s.fileSlot("SSL_cert_file", certfile.Files{Cert: p.CertFile, Key: p.KeyFile})
		add("", sl, err)
	}
	return nil
}

// noCertificate is the error of a port that has none.
func (s *Source) noCertificate() error {
	return s.p.fail(s.env.Where, "SSL_cert_file", "",
		"is missing: a TLS port needs a certificate; give SSL_cert_file (and SSL_key_file), or SSL_cert_file=self-signed for one made in memory that clients cannot verify", nil)
}

// certConflict finds parameters about certificates that exclude each other.
func (p *Params) certConflict() *Error {
	if p.CertFile == "" && p.KeyFile != "" {
		return p.fail("", "SSL_key_file", p.KeyFile, "is given without SSL_cert_file", nil)
	}
	if p.CertFile == ForceSelfSigned && p.KeyFile != "" {
		return p.fail("", "SSL_key_file", p.KeyFile, "is given, but SSL_cert_file is self-signed, which makes its own key", nil)
	}
	for _, name := range slices.Sorted(maps.Keys(p.KeyFiles)) {
		if p.CertFiles[name] == "" {
			return p.fail("", "SSL_key_file", p.KeyFiles[name], fmt.Sprintf("is given for the name %q, which has no SSL_cert_file", name), nil)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.CertFiles)) {
		main, _, further := strings.Cut(name, "%")
		if reason := checkName(name, "SSL_cert_file"); reason != "" {
			return p.fail("", "SSL_cert_file", "", reason, nil)
		}
		if further && p.CertFiles[main] == "" && (main != "" || p.CertFile == "") {
			return p.fail("", "SSL_cert_file", p.CertFiles[name], fmt.Sprintf("is a further key type for %q, which has no SSL_cert_file of its own", main), nil)
		}
	}
	return nil
}

func (s *Source) fileSlot(key string, f certfile.Files) (*slot, error) {
	sl := &slot{key: key, files: f}
	if _, err := sl.load(s.pairs(), &s.share, s.env.now()); err != nil {
		return nil, s.fileError(key, err)
	}
	return sl, nil
}

func (s *Source) codeSlot(key, name string, c *tls.Certificate) (*slot, error) {
	if c == nil || len(c.Certificate) == 0 || c.PrivateKey == nil {
		return nil, s.p.fail(s.env.Where, key, "", fmt.Sprintf("from code for the name %q has no certificate or no key", name), nil)
	}
	own := *c
	if own.Leaf == nil {
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			return nil, s.p.fail(s.env.Where, key, "", fmt.Sprintf("from code for the name %q is damaged: %v", name, err), err)
		}
		own.Leaf = leaf
	}
	if reason := tooLarge(&own); reason != "" {
		return nil, s.p.fail(s.env.Where, key, "", fmt.Sprintf("from code for the name %q %s", name, reason), nil)
	}
	chain := []*x509.Certificate{own.Leaf}
	for _, der := range c.Certificate[1:] {
		// What a program gives is sent as it is; its dates are of interest.
		if ca, err := x509.ParseCertificate(der); err == nil {
			chain = append(chain, ca)
		}
	}
	sl := &slot{key: key, since: s.env.now(), span: certfile.SpanOf(chain)}
	sl.cur.Store(&own)
	return sl, nil
}

func (s *Source) loader() *certfile.Loader {
	l := &certfile.Loader{ReadFile: s.env.ReadFile, ReadDir: lister(s.env.ReadDir)}
	if password := s.p.passwords(&s.env); password != nil {
		l.Password = func(file string) ([]byte, error) {
			s.asked.Store(true)
			return password(file)
		}
	}
	return l
}

// fileError names the parameter that brought the file.
func (s *Source) fileError(key string, err error) error {
	var fe *certfile.Error
	if !errors.As(err, &fe) {
		return err
	}
	if fe.Role == certfile.RoleKey && key == "SSL_cert_file" {
		key = "SSL_key_file"
	}
	return s.p.fail(s.env.Where, key, fe.File, fe.Reason, err)
}

// table arranges the slots by name: those given for a name, then those of the
// directory by the names that they are made for, which changes as certificates
// begin and end.
func (s *Source) table() (hosts, []string) {
	t := hosts{refuse: s.p.UnknownSNI == "refuse"}
	var warnings []string
	explicit := make(map[string]bool)
	for _, sl := range s.named {
		name, _, _ := strings.Cut(sl.name, "%")
		h, ok := t.names.At(name)
		if !ok {
			h = &host{}
			t.names.Set(name, h)
		}
		if sl.key == keyCode {
			h.slots, h.given = append(h.slots, sl), true // crypto/tls knows no addresses
		} else {
			h.add(sl)
			t.addAddrs(sl)
		}
		explicit[sni.Normal(name)] = true
		if reason := coverage(sl.cur.Load().Leaf, name); reason != "" {
			warnings = append(warnings, s.p.fail(s.env.Where, sl.key, sl.files.Cert, reason, nil).Error())
		}
	}
	s.arrange = begins(s.fromDir, s.env.now())
	for _, sl := range byDates(s.fromDir, s.env.now()) {
		t.addAddrs(sl)
		for _, name := range namesOf(sl.cur.Load().Leaf) {
			h, ok := t.names.At(name)
			switch {
			case explicit[sni.Normal(name)]:
			case !ok:
				h = &host{}
				h.add(sl)
				t.names.Set(name, h)
			case h.hasType(sl):
				warnings = append(warnings, s.p.fail(s.env.Where, sl.key, sl.files.Cert,
					fmt.Sprintf("is not served for %q: %s comes first", name, h.slots[0].files.Cert), nil).Error())
			default:
				h.add(sl)
			}
		}
	}
	return t, warnings
}

// coverage tells why clients that ask for name will not accept leaf, or "".
func coverage(leaf *x509.Certificate, name string) string {
	if name == "" || strings.HasPrefix(name, "*.") && slices.Contains(leaf.DNSNames, name) || leaf.VerifyHostname(name) == nil {
		return ""
	}
	return fmt.Sprintf("is given for the name %q, but is not made for it", name)
}

func namesOf(leaf *x509.Certificate) []string {
	names := leaf.DNSNames
	if len(names) == 0 && leaf.Subject.CommonName != "" {
		names = []string{leaf.Subject.CommonName}
	}
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "" || sni.Check(n) != "" })
}

// byDates puts first what is valid at now, and what ends last before what ends
// earlier.
func byDates(slots []*slot, now time.Time) []*slot {
	type dated struct {
		sl   *slot
		out  int // 1: not valid
		span certfile.Span
	}
	list := make([]dated, len(slots))
	for i, sl := range slots {
		list[i] = dated{sl: sl, span: sl.dates()}
		if list[i].span.At(now) != "" {
			list[i].out = 1
		}
	}
	slices.SortStableFunc(list, func(a, b dated) int {
		return cmp.Or(a.out-b.out, b.span.To.Compare(a.span.To), strings.Compare(a.sl.files.Cert, b.sl.files.Cert))
	})
	out := make([]*slot, len(list))
	for i := range list {
		out[i] = list[i].sl
	}
	return out
}
