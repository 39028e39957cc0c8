package tlsparams

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strconv"
	"strings"

	"netserver/tlsparams/internal/cipherlist"
	"netserver/tlsparams/internal/protocol"
	"netserver/tlsparams/internal/revoke"
	"netserver/tlsparams/internal/sni"
	"netserver/tlsparams/internal/trust"
)

// A site is what differs by SNI name beside the certificate: who may come in,
// and the suites. It is not changed once made.
type site struct {
	pattern string
	rule    *trust.Rule
	names   *x509.CertPool // authorities named to clients, or nil
	listed  []uint16       // from SSL_cipher_list, or nil
	suites  []suiteInfo    // to pick from where the order has to be imitated; nil: crypto/tls picks
	digest  [32]byte       // of all that decides who may come in
	lists   *revoke.Lists  // nil without SSL_check_crl
	files   []string       // files and directories that it was made from
}

// sitePatterns returns the names that have rules or suites of their own.
func (p *Params) sitePatterns() []string {
	set := map[string]bool{"": true}
	for n := range p.Clients {
		set[sni.Normal(n)] = true
	}
	for n := range p.CipherLists {
		set[sni.Normal(n)] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// clientFor merges what applies to a pattern: its own entry, the wildcard's
// that covers it, the port's. A name that has only suites of its own must not
// lose the wildcard's rules by that.
func (p *Params) clientFor(pattern string) Client {
	if pattern == "" {
		return p.Client
	}
	c := Client{}
	wild := ""
	for name, cl := range p.Clients {
		switch n := sni.Normal(name); {
		case n == pattern:
			c = cl
		case strings.HasPrefix(n, "*.") && !strings.HasPrefix(pattern, "*.") && pattern[max(0, strings.IndexByte(pattern, '.')):] == n[1:]:
			wild = name
		}
	}
	if wild != "" {
		c = c.over(p.Clients[wild])
	}
	return c.over(p.Client)
}

// cipherListFor does the same for suites.
func (p *Params) cipherListFor(pattern string) string {
	var t sni.Table[string]
	t.Set("", p.CipherList)
	for n, l := range p.CipherLists {
		t.Set(n, l)
	}
	if strings.HasPrefix(pattern, "*.") {
		if l, ok := t.At(pattern); ok {
			return l
		}
		return p.CipherList
	}
	l, _ := t.Find(pattern)
	return l
}

// loadSites makes the sites of all names from the parameters and their files.
// old holds what was made before, to take lists from; it may be nil.
func (s *Source) loadSites(old map[string]*site) (map[string]*site, []string, error) {
	sites := make(map[string]*site)
	var errs []error
	var warnings []string
	for _, pattern := range s.p.sitePatterns() {
		if reason := sni.Check(pattern); reason != "" {
			return nil, nil, s.p.fail(s.env.Where, "SSL_verify_mode", "", reason, nil)
		}
		b := &siteBuilder{src: s, c: s.p.clientFor(pattern), site: &site{pattern: pattern}, old: old[pattern], sum: sha256.New()}
		b.build()
		errs = append(errs, b.errs...)
		warnings = append(warnings, b.warnings...)
		sites[pattern] = b.site
	}
	return sites, warnings, errors.Join(errs...)
}

type siteBuilder struct {
	src      *Source
	c        Client
	site     *site
	old      *site
	sum      hash.Hash
	errs     []error
	warnings []string
}

func (b *siteBuilder) fail(key, value, reason string, cause error) {
	b.errs = append(b.errs, b.src.p.fail(b.src.env.Where, key, value, reason, cause))
}

func (b *siteBuilder) warn(key, value, reason string) {
	b.warnings = append(b.warnings, b.src.p.fail(b.src.env.Where, key, value, reason, nil).Error())
}

// note adds something to the digest that tickets are tied to.
func (b *siteBuilder) note(what string, data []byte) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(data)))
	b.sum.Write([]byte(what))
	b.sum.Write(n[:])
	b.sum.Write(data)
}

func (b *siteBuilder) build() {
	st := b.site
	b.suites()
	st.rule = &trust.Rule{Verify: b.src.env.Hooks.Verify}
	b.note("pattern", []byte(st.pattern))
	b.note("mode", []byte{byte(b.c.VerifyMode)})
	switch b.c.VerifyMode {
	case VerifyOptional:
		st.rule.Mode = trust.Optional
	case VerifyRequired:
		st.rule.Mode = trust.Required
	case VerifyNone:
	case VerifyDefault:
		b.modeOfProgram()
	default:
		b.fail("SSL_verify_mode", strconv.Itoa(int(b.c.VerifyMode)), "is none of VerifyNone, VerifyOptional and VerifyRequired", nil)
		return
	}
	if st.rule.Mode == trust.None || st.rule.Unverified {
		if st.rule.Mode == trust.None {
			b.idle()
		} else {
			b.unverified()
		}
		b.sum.Sum(st.digest[:0])
		return
	}
	b.roots()
	b.pins()
	b.lists()
	b.ocsp()
	b.allow()
	b.allowFiles()
	b.sum.Sum(st.digest[:0])
}

// own returns what is given for the site itself: what a name has from its port
// is meant for others, and what the port has may be meant for names. ok is false
// for a port whose names ask for certificates.
func (b *siteBuilder) own() (c Client, ok bool) {
	if b.site.pattern != "" {
		return b.src.p.ownOf(b.site.pattern), true
	}
	return b.src.p.Client, !b.src.p.anyNameAsks()
}

// idle finds parameters that would be ignored, as no certificate is asked for.
func (b *siteBuilder) idle() {
	c, ok := b.own()
	if !ok {
		return
	}
	program := b.src.env.TLSConfig
	ask := "set SSL_verify_mode to 1 or 3"
	if program != nil && b.c.VerifyMode == VerifyDefault {
		ask += ", or TLSConfig.ClientAuth to VerifyClientCertIfGiven or RequireAndVerifyClientCert"
	}
	if key := c.needless(); key != "" {
		b.fail(key, "", "is given, but SSL_verify_mode is 0 and clients are asked for no certificate; "+ask, nil)
	}
	if b.site.pattern != "" {
		return
	}
	if b.src.env.ClientCAs != nil {
		b.fail("SSL_ca", "", "is given in code, but SSL_verify_mode is 0 and clients are asked for no certificate; set it to VerifyOptional or VerifyRequired", nil)
	}
	switch {
	case program == nil || program.ClientCAs == nil:
	case program.ClientAuth == tls.NoClientCert:
		b.fail("TLSConfig.ClientCAs", "", "is given, but clients are asked for no certificate; set TLSConfig.ClientAuth or SSL_verify_mode", nil)
	default:
		b.fail("SSL_verify_mode", "0", "asks clients for no certificate, but TLSConfig has ClientAuth "+program.ClientAuth.String()+" and ClientCAs; leave SSL_verify_mode out, set it to 1 or 3, or take both away from the port with Server.TLS.ForPort", nil)
	}
}

// modeOfProgram takes the mode from the program's TLSConfig, as no parameter
// gives one.
func (b *siteBuilder) modeOfProgram() {
	own := b.src.env.TLSConfig
	if own == nil {
		return
	}
	b.site.rule.Mode, b.site.rule.Unverified, _ = clientAuth(own.ClientAuth)
	b.note("TLSConfig.ClientAuth", []byte{byte(own.ClientAuth)})
}

// unverified is for clients that are asked for a certificate which is not
// verified, as TLSConfig.ClientAuth asks: nothing can be allowed by it.
func (b *siteBuilder) unverified() {
	own := b.src.env.TLSConfig
	c, meant := b.own()
	if key := c.needless(); meant && key != "" {
		b.fail(key, "", "is given, but TLSConfig.ClientAuth "+own.ClientAuth.String()+" takes certificates without verifying them; set SSL_verify_mode to 1 or 3, or ClientAuth to VerifyClientCertIfGiven or RequireAndVerifyClientCert", nil)
	}
	if meant && b.src.env.ClientCAs != nil {
		b.fail("SSL_ca", "", "is given in code, but TLSConfig.ClientAuth "+own.ClientAuth.String()+" takes certificates without verifying them", nil)
	}
	b.site.names = own.ClientCAs
	b.boundNames("TLSConfig.ClientCAs")
}

// ownOf returns what is given for a pattern itself.
func (p *Params) ownOf(pattern string) Client {
	for name, c := range p.Clients {
		if sni.Normal(name) == pattern {
			return c
		}
	}
	return Client{}
}

// anyNameAsks reports whether clients are asked for a certificate under a name.
func (p *Params) anyNameAsks() bool {
	for name := range p.Clients {
		if m := p.clientFor(sni.Normal(name)).VerifyMode; m == VerifyOptional || m == VerifyRequired {
			return true
		}
	}
	return false
}

func (b *siteBuilder) suites() {
	st, p := b.site, &b.src.p
	if text := p.cipherListFor(st.pattern); text != "" {
		ids, err := cipherlist.Parse(text)
		if err != nil {
			b.fail("SSL_cipher_list", protocol.Quote(text), err.Error(), err)
			return
		}
		st.listed = b.signable(text, ids)
	}
	switch {
	case st.listed != nil:
		st.suites = infoOf(st.listed)
	case p.ClientOrder:
		st.suites = infoOf(b.src.agreement.suites)
	}
}

func (b *siteBuilder) pins() {
	r := b.site.rule
	for _, t := range b.c.Fingerprints {
		pin, err := trust.ParsePin(t)
		if err != nil {
			b.fail("SSL_fingerprint", "", err.Error(), err)
			continue
		}
		if pin.Weak() {
			b.warn("SSL_fingerprint", t, "is of a weak kind that can be forged; use sha256")
		}
		b.note("pin", []byte(pin.String()))
		r.Pins = append(r.Pins, pin)
	}
	r.ForcePin = b.c.ForceFingerprint
	if r.ForcePin {
		b.note("force", nil)
		if len(r.Pins) == 0 && len(b.c.AllowFiles) == 0 {
			b.fail("SSL_force_fingerprint", "", "is given without SSL_fingerprint, and would deny everyone", nil)
		}
	}
}

func (b *siteBuilder) allow() {
	for _, k := range trust.Kinds() {
		for _, text := range *b.c.allow(k) {
			if err := b.site.rule.Allow.Add(k, text); err != nil {
				b.fail("SSL_allow_"+string(k), "", err.Error(), err)
			}
			b.note("allow "+string(k), []byte(text))
		}
	}
}

// lists reads the revocation lists.
func (b *siteBuilder) lists() {
	scope := b.c.crlScope()
	if scope == "" {
		if len(b.c.CRLFiles)+len(b.c.CRLPath) > 0 {
			b.fail("SSL_crl_file", "", "is given without SSL_check_crl, and would be ignored; set SSL_check_crl to 1, or to chain", nil)
		}
		return
	}
	policy, reason := crlPolicy(b.c.CRLPolicy)
	if reason != "" {
		b.fail("SSL_crl_policy", b.c.CRLPolicy, reason, nil)
	}
	l := &revoke.Lists{WholeChain: scope == "chain", Policy: policy}
	b.note("crl "+scope, []byte{byte(policy)})
	n := 0
	for _, f := range b.crlFiles() {
		data, ok := b.read(f.key, f.path)
		if !ok {
			continue
		}
		sum := sha256.Sum256(data)
		count, err := b.addList(l, f.path, sum, data)
		if err != nil && !f.must {
			// In a directory, or where authorities are, there may be one in DER.
			if _, certErr := x509.ParseCertificate(data); certErr == nil {
				continue
			}
		}
		if err != nil {
			b.fail(f.key, f.path, err.Error(), err)
			continue
		}
		if count > 0 {
			b.note("list", sum[:])
		} else if f.must {
			b.fail(f.key, f.path, "holds no revocation list", nil)
		}
		n += count
	}
	if n == 0 && policy != revoke.Open && len(b.errs) == 0 && b.c.OCSP == "" {
		b.warn("SSL_check_crl", "", "is set and there is no revocation list: every client certificate is denied; name one with SSL_crl_file or SSL_crl_path")
	}
	for _, line := range l.Stale(b.src.env.now(), 0) {
		b.warn("SSL_crl_file", "", line)
	}
	b.site.lists = l
	b.site.rule.Checkers = append(b.site.rule.Checkers, l)
}

// addList takes the lists of a file that has not changed from before: parsing
// a large one takes a good part of a second.
func (b *siteBuilder) addList(l *revoke.Lists, path string, sum [32]byte, data []byte) (int, error) {
	if b.old != nil && b.old.lists != nil {
		if n := l.Reuse(b.old.lists, path, sum); n > 0 {
			return n, nil
		}
	}
	return l.Add(path, sum, data)
}

func (b *siteBuilder) ocsp() {
	switch b.c.OCSP {
	case "", "off":
		return
	case "soft", "hard":
	default:
		b.fail("SSL_ocsp_check", b.c.OCSP, "must be off, soft or hard", nil)
		return
	}
	b.note("ocsp "+b.c.OCSP, []byte(b.c.OCSPResponder))
	ch, err := b.src.ocspChecker(b.c.OCSP == "hard", b.c.OCSPResponder)
	if err != nil {
		b.fail("SSL_ocsp_responder", b.c.OCSPResponder, err.Error(), err)
		return
	}
	b.site.rule.Checkers = append(b.site.rule.Checkers, ch)
}

// describe names a site for messages.
func (st *site) describe() string {
	if st.pattern == "" {
		return "all names"
	}
	return fmt.Sprintf("the name %q", st.pattern)
}
