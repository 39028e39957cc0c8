package tlsparams

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"

	"netserver/tlsparams/internal/cipherlist"
	"netserver/tlsparams/internal/protocol"
	"netserver/tlsparams/internal/trust"
)

// keyCode is how messages name the certificates of Env.TLSConfig.
const keyCode = "TLSConfig.Certificates"

// An agreement is what handshakes may agree on, as far as both parameters and
// a program's tls.Config can say it. Parameters go first.
type agreement struct {
	versions protocol.Versions
	curves   []tls.CurveID
	suites   []uint16 // before TLS 1.3, for names without an SSL_cipher_list
	alpn     []string // SSL_alpn_protocols: the client's order decides
	ownALPN  []string // TLSConfig.NextProtos: the server's order decides
}

// agreementWith merges the parameters with own, which may be nil, and checks both.
func (s *Source) agreementWith(own *tls.Config) (agreement, error) {
	p := &s.p
	var errs []error
	check := func(key, value, reason string) {
		if reason != "" {
			errs = append(errs, p.fail(s.env.Where, key, value, reason, nil))
		}
	}
	var a agreement
	var reason string
	a.versions, reason = protocol.ParseVersions(p.Version)
	check("SSL_version", p.Version, reason)
	a.curves, reason = protocol.ParseCurves(p.Curves)
	check("SSL_ecdh_curve", p.Curves, reason)
	a.alpn = p.ALPN
	check("SSL_alpn_protocols", "", protocol.CheckALPN(p.ALPN))
	if own != nil {
		if p.Version == "" && (own.MinVersion != 0 || own.MaxVersion != 0) {
			a.versions = versionsBetween(own.MinVersion, own.MaxVersion)
			if a.versions == 0 {
				check("TLSConfig.MinVersion", "", "and MaxVersion leave no version from TLS 1.0 to 1.3")
			}
		}
		if p.Curves == "" {
			a.curves = own.CurvePreferences
		}
		if len(p.ALPN) == 0 {
			a.ownALPN = own.NextProtos
			check("TLSConfig.NextProtos", "", protocol.CheckALPN(own.NextProtos))
		}
	}
	a.suites = cipherlist.Default(a.versions&protocol.OldVersions != 0)
	if own != nil && own.CipherSuites != nil {
		a.suites = own.CipherSuites
	}
	return a, errors.Join(errs...)
}

// versionsBetween returns what MinVersion and MaxVersion of a tls.Config mean.
func versionsBetween(low, high uint16) protocol.Versions {
	if low == 0 {
		low = tls.VersionTLS12
	}
	if high == 0 {
		high = tls.VersionTLS13
	}
	var set protocol.Versions
	for v := uint16(tls.VersionTLS10); v <= tls.VersionTLS13; v++ {
		if low <= v && v <= high {
			set |= protocol.Bit(v)
		}
	}
	return set
}

// certified reports whether own says which certificates are served.
func certified(own *tls.Config) bool {
	return own != nil && (len(own.Certificates) > 0 || own.GetCertificate != nil)
}

// checkTLSConfig finds what cannot be honoured of Env.TLSConfig.
func (s *Source) checkTLSConfig() error {
	own := s.env.TLSConfig
	if own == nil {
		return nil
	}
	var errs []error
	fail := func(key, value, reason string) {
		errs = append(errs, s.p.fail(s.env.Where, key, value, reason, nil))
	}
	if key, reason := impossible(own); key != "" {
		fail("TLSConfig."+key, "", reason)
	}
	field := keyCode
	if len(own.Certificates) == 0 {
		field = "TLSConfig.GetCertificate"
	}
	if key, value := s.certKey(); key != "" && certified(own) {
		fail(key, value, "and "+field+" are both given, and each says which certificate is served: remove one of them (Server.TLS.ForPort can take TLSConfig away from a port)")
	}
	if s.env.ClientCAs != nil && own.ClientCAs != nil {
		fail("TLSConfig.ClientCAs", "", "and Server.TLS.ClientCAs are both given: remove one of them")
	}
	if _, _, ok := clientAuth(own.ClientAuth); !ok {
		fail("TLSConfig.ClientAuth", own.ClientAuth.String(), "is no value of crypto/tls")
	}
	if len(own.Certificates) == 0 && own.GetCertificate != nil {
		for key, given := range map[string]bool{"SSL_ocsp_staple": s.p.Staple, "SSL_ocsp_staple_file": s.p.StapleFile != ""} {
			if given {
				fail(key, "", "is given, but the certificates come from TLSConfig.GetCertificate, which has to add their OCSP responses itself; remove it")
			}
		}
	}
	if own.KeyLogWriter != nil {
		s.warn("TLSConfig.KeyLogWriter", "", "is set: who reads what is written there can decrypt every connection")
	}
	return errors.Join(errs...)
}

// impossible returns a field of own that the engine cannot honour, and why; ""
// is none.
func impossible(own *tls.Config) (field, reason string) {
	const tickets = "cannot be honoured: tickets are tied to port, name and the rules for clients; "
	switch {
	case own.NameToCertificate != nil: //lint:ignore SA1019 it is refused
		return "NameToCertificate", "is deprecated: leave it nil, and certificates are found by their names"
	case own.SessionTicketKey != [32]byte{}: //lint:ignore SA1019 it is refused
		return "SessionTicketKey", tickets + "give keys with SSL_ticket_key_file or Server.TLS.Hooks.TicketKey"
	case own.WrapSession != nil:
		return "WrapSession", tickets + "give keys with Server.TLS.Hooks.TicketKey"
	case own.UnwrapSession != nil:
		return "UnwrapSession", tickets + "give keys with Server.TLS.Hooks.TicketKey"
	}
	return "", ""
}

// certKey returns a parameter or field that names certificates, and its value;
// "" if there is none.
func (s *Source) certKey() (key, value string) {
	p := &s.p
	switch {
	case p.CertFile != "":
		return "SSL_cert_file", p.CertFile
	case len(p.CertFiles) > 0:
		return "SSL_cert_file", ""
	case p.CertDir != "":
		return "SSL_cert_dir", p.CertDir
	case len(s.env.Certificates) > 0:
		return "Server.TLS.Certificates", ""
	}
	return "", ""
}

// clientAuth returns what a tls.ClientAuthType means here: unverified tells
// that a certificate is not judged by its authority.
func clientAuth(t tls.ClientAuthType) (mode trust.Mode, unverified, ok bool) {
	switch t {
	case tls.NoClientCert:
		return trust.None, false, true
	case tls.RequestClientCert:
		return trust.Optional, true, true
	case tls.RequireAnyClientCert:
		return trust.Required, true, true
	case tls.VerifyClientCertIfGiven:
		return trust.Optional, false, true
	case tls.RequireAndVerifyClientCert:
		return trust.Required, false, true
	}
	return 0, false, false
}

// newConfig begins a configuration with what is taken from own as it is.
func newConfig(own *tls.Config) *tls.Config {
	if own == nil {
		return &tls.Config{}
	}
	return &tls.Config{
		Rand:                        own.Rand,
		KeyLogWriter:                own.KeyLogWriter,
		DynamicRecordSizingDisabled: own.DynamicRecordSizingDisabled,
		EncryptedClientHelloKeys:    own.EncryptedClientHelloKeys,
		GetEncryptedClientHelloKeys: own.GetEncryptedClientHelloKeys,
	}
}

// verifyOwn asks the functions of own about a client whose certificates the
// rules have accepted. crypto/tls itself would not ask VerifyPeerCertificate
// about resumed sessions.
func verifyOwn(own *tls.Config, cs tls.ConnectionState, v Verdict, asked bool) error {
	cs.VerifiedChains = v.Chains
	if f := own.VerifyPeerCertificate; f != nil && asked {
		raw := make([][]byte, len(cs.PeerCertificates))
		for i, c := range cs.PeerCertificates {
			raw[i] = c.Raw
		}
		if err := f(raw, v.Chains); err != nil {
			return &Denied{Reason: "by TLSConfig.VerifyPeerCertificate: " + err.Error(), Err: err}
		}
	}
	if f := own.VerifyConnection; f != nil {
		if err := f(cs); err != nil {
			return &Denied{Reason: "by TLSConfig.VerifyConnection: " + err.Error(), Err: err}
		}
	}
	return nil
}

// maxDerived bounds the generations kept for what GetConfigForClient returned.
const maxDerived = 256

// derived returns the generation that serves a client for whom the program's
// GetConfigForClient has returned own. It is kept, as a program often returns
// the same one of few.
func (g *generation) derived(own *tls.Config) (*generation, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d := g.byOwn[own]; d != nil {
		return d, nil
	}
	d, err := g.derive(own)
	if err != nil {
		return nil, err
	}
	if g.byOwn == nil || len(g.byOwn) >= maxDerived {
		g.byOwn = make(map[*tls.Config]*generation)
	}
	g.byOwn[own] = d
	return d, nil
}

func (g *generation) derive(own *tls.Config) (*generation, error) {
	s := g.src
	fail := func(format string, args ...any) error {
		return fmt.Errorf("TLSConfig.GetConfigForClient returned a configuration that cannot be used: "+format, args...)
	}
	if field, reason := impossible(own); field != "" {
		return nil, fail("%s %s", field, reason)
	}
	if own.ClientAuth != g.own.ClientAuth || own.ClientCAs != g.own.ClientCAs && !own.ClientCAs.Equal(g.own.ClientCAs) {
		return nil, fail("its ClientAuth and ClientCAs must be TLSConfig's, by which clients are judged again; give rules for a name with SSL_verify_mode and SSL_ca_file")
	}
	a, err := s.agreementWith(own)
	if err != nil {
		return nil, fail("%w", err)
	}
	d := &generation{src: s, own: own, agreement: a, certs: g.certs, sites: g.sites, bySite: g.bySite, clientOrder: g.clientOrder,
		derives: true, getCertificate: g.getCertificate}
	if certified(own) {
		if key, _ := s.certKey(); key != "" {
			return nil, fail("it has certificates, and so has %s", key)
		}
		d.getCertificate, d.certs = own.GetCertificate, hosts{refuse: g.certs.refuse}
		h := &host{given: true}
		for i := range own.Certificates {
			sl, err := s.codeSlot(keyCode, "", &own.Certificates[i])
			if err != nil {
				return nil, fail("%w", err)
			}
			h.slots = append(h.slots, sl)
		}
		if len(h.slots) > 0 {
			d.certs.names.Set("", h)
		}
	}
	d.init()
	return d, nil
}

// pickGiven chooses among the certificates of a tls.Config as crypto/tls does:
// the first that the client can take, by name and otherwise, or the first.
func (h *host) pickGiven(hello *tls.ClientHelloInfo) *tls.Certificate {
	for _, s := range h.slots {
		if c := s.cur.Load(); hello.SupportsCertificate(c) == nil {
			return c
		}
	}
	return h.slots[0].cur.Load()
}

// covers reports whether one of the host's certificates is made for name.
func (h *host) covers(name string) bool {
	return slices.ContainsFunc(h.slots, func(sl *slot) bool { return sl.cur.Load().Leaf.VerifyHostname(name) == nil })
}
