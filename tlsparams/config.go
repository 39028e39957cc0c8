package tlsparams

import (
	"context"
	"crypto/tls"
	"maps"
	"sync"
	"sync/atomic"

	"netserver/tlsparams/internal/sni"
)

// choice is what has to be settled for each client because a tls.Config cannot
// express it.
type choice struct {
	site    *site
	alpn    string // the protocol, by the client's preference
	noALPN  bool   // the client names protocols, and none of ours
	version uint16 // where the allowed versions have a hole; 0: between the ends
	suite   uint16 // where the order of suites is ours to imitate; 0: crypto/tls's choice
}

// A generation is everything that handshakes see, made at one time. Only its
// slots' certificates and its variants change.
type generation struct {
	src         *Source
	certs       hosts
	sites       sni.Table[*site]
	bySite      map[string]*site
	versions    versions
	curves      []tls.CurveID
	suites      []uint16 // without SSL_cipher_list
	alpn        []string
	clientOrder bool

	base     *tls.Config
	baseFor  choice
	mu       sync.Mutex // for adding variants
	variants atomic.Pointer[map[choice]*tls.Config]
}

// newGeneration makes a generation of what has been loaded.
func (s *Source) newGeneration(certs hosts, sites map[string]*site) *generation {
	g := &generation{src: s, certs: certs, bySite: sites, versions: s.versions, curves: s.curves, suites: defaultSuites(s.versions),
		alpn: s.p.ALPN, clientOrder: s.p.ClientOrder}
	for pattern, st := range sites {
		g.sites.Set(pattern, st)
	}
	g.baseFor = choice{site: sites[""]}
	g.base = g.make(g.baseFor)
	g.base.GetConfigForClient = g.forClient
	if h := s.env.Hooks.Config; h != nil {
		h(g.base)
	}
	g.variants.Store(&map[choice]*tls.Config{})
	return g
}

// forClient is the base's GetConfigForClient.
func (g *generation) forClient(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	st, _ := g.sites.Find(hello.ServerName)
	ch := choice{site: st}
	ch.alpn, ch.noALPN = pickALPN(g.alpn, hello.SupportedProtos)
	version := g.versions.best(hello.SupportedVersions)
	if g.versions.hole() {
		// A client with none in common gets one that it does not speak, and
		// so the right alert; base would let it use the hole.
		if ch.version = version; version == 0 {
			ch.version = g.versions.max()
		}
	}
	if st.suites != nil && version != 0 && version <= tls.VersionTLS12 {
		ch.suite = g.pickSuite(st, hello, version)
	}
	if ch == g.baseFor {
		return nil, nil
	}
	if c := (*g.variants.Load())[ch]; c != nil {
		return c, nil
	}
	return g.addVariant(ch), nil
}

// maxVariants bounds the configurations that are kept. There are no more
// choices than the parameters have protocols times versions times suites times
// names, but clients could bring all of them about, and each costs a copy of
// the map.
const maxVariants = 1024

// addVariant makes the configuration for a choice, and keeps it.
func (g *generation) addVariant(ch choice) *tls.Config {
	g.mu.Lock()
	defer g.mu.Unlock()
	old := *g.variants.Load()
	if c := old[ch]; c != nil {
		return c
	}
	c := g.make(ch)
	if h := g.src.env.Hooks.Config; h != nil {
		h(c)
	}
	if len(old) >= maxVariants {
		return c
	}
	all := maps.Clone(old)
	all[ch] = c
	g.variants.Store(&all)
	return c
}

func (g *generation) make(ch choice) *tls.Config {
	st := ch.site
	c := &tls.Config{
		GetCertificate:   g.certificate,
		MinVersion:       g.versions.min(),
		MaxVersion:       g.versions.max(),
		CurvePreferences: g.curves,
		CipherSuites:     g.suites,
		Time:             g.src.env.Now,
	}
	switch {
	case ch.alpn != "":
		c.NextProtos = []string{ch.alpn}
	case ch.noALPN:
		c.NextProtos = g.alpn
	}
	if st.listed != nil {
		c.CipherSuites = st.listed
	}
	if ch.version != 0 {
		c.MinVersion, c.MaxVersion = ch.version, ch.version
		if ch.version == tls.VersionTLS12 {
			// A client that knows TLS 1.3 would have that; with it allowed
			// the random number has the mark against downgrades.
			c.MaxVersion = g.versions.max()
		}
	}
	if ch.suite != 0 {
		c.CipherSuites = []uint16{ch.suite}
	}
	g.clients(c, st)
	g.tieTickets(c, st)
	return c
}

// clients sets how certificates are asked for. crypto/tls never judges them
// itself: it would do so on full handshakes only, and pins, callbacks and
// other names than the anchors' could not have their say.
func (g *generation) clients(c *tls.Config, st *site) {
	switch st.mode() {
	case VerifyOptional:
		c.ClientAuth = tls.RequestClientCert
	case VerifyRequired:
		c.ClientAuth = tls.RequireAnyClientCert
	default:
		return
	}
	c.ClientCAs = st.names
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		_, err := st.rule.Judge(context.Background(), &cs, g.src.env.now())
		return err
	}
}

// certificate is GetCertificate: nil without an error sends unrecognized_name.
func (g *generation) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	h, ok := g.certs.forHello(hello)
	if !ok {
		return nil, nil
	}
	return h.pick(hello, g.clientOrder), nil
}
