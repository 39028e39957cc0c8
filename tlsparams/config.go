package tlsparams

import (
	"context"
	"crypto/tls"
	"maps"
	"sync"
	"sync/atomic"

	"netserver/tlsparams/internal/protocol"
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
	agreement
	src         *Source
	own         *tls.Config // the program's; nil if it has none
	certs       hosts
	sites       sni.Table[*site]
	bySite      map[string]*site
	clientOrder bool
	// getCertificate is the program's own, or nil.
	getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

	base     *tls.Config
	baseFor  choice
	mu       sync.Mutex // for adding variants, and for byOwn
	variants atomic.Pointer[map[choice]*tls.Config]
	byOwn    map[*tls.Config]*generation // by what the program's GetConfigForClient returned
	derives  bool                        // this is one of those
}

// newGeneration makes a generation of what has been loaded.
func (s *Source) newGeneration(certs hosts, sites map[string]*site) *generation {
	g := &generation{src: s, own: s.env.TLSConfig, agreement: s.agreement, certs: certs, bySite: sites, clientOrder: s.p.ClientOrder}
	if g.own != nil {
		g.getCertificate = g.own.GetCertificate
	}
	for pattern, st := range sites {
		g.sites.Set(pattern, st)
	}
	g.init()
	return g
}

// init makes the base and makes room for variants of it.
func (g *generation) init() {
	g.baseFor = choice{site: g.bySite[""]}
	g.base = g.make(g.baseFor)
	g.base.GetConfigForClient = g.forClient
	if h := g.src.env.Hooks.Config; h != nil {
		h(g.base)
	}
	g.variants.Store(&map[choice]*tls.Config{})
}

// forClient is the base's GetConfigForClient.
func (g *generation) forClient(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if open := g.src.challenges.Load(); open != nil {
		if c := open.Answer(hello); c != nil {
			return c, nil
		}
	}
	if g.own == nil || g.own.GetConfigForClient == nil {
		return g.choose(hello)
	}
	own, err := g.own.GetConfigForClient(hello)
	if err != nil {
		return nil, err
	}
	if own == nil || own == g.own {
		return g.choose(hello)
	}
	d, err := g.derived(own)
	if err != nil {
		return nil, err
	}
	c, err := d.choose(hello)
	if c == nil && err == nil {
		return d.base, nil
	}
	return c, err
}

// choose returns the configuration for a client; nil is the base.
func (g *generation) choose(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	st, _ := g.sites.Find(hello.ServerName)
	ch := choice{site: st}
	ch.alpn, ch.noALPN = protocol.PickALPN(g.offered(hello), hello.SupportedProtos)
	version := g.versions.Best(hello.SupportedVersions)
	if g.versions.Hole() {
		// A client with none in common gets one that it does not speak, and
		// so the right alert; base would let it use the hole.
		if ch.version = version; version == 0 {
			ch.version = g.versions.Max()
		}
	}
	if st.suites != nil && version != 0 && version <= tls.VersionTLS12 && !(g.derives && st.listed == nil) {
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

// noProtocol is what a client is offered that names none of Env.NextProtos.
var noProtocol = []string{"-"}

// offered returns the protocols that a client may choose from.
func (g *generation) offered(hello *tls.ClientHelloInfo) []string {
	f := g.src.env.NextProtos
	if f == nil || g.alpn != nil || g.ownALPN != nil || len(hello.SupportedProtos) == 0 {
		return g.alpn
	}
	return f(hello)
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
	c := newConfig(g.own)
	c.MinVersion, c.MaxVersion = g.versions.Min(), g.versions.Max()
	c.CurvePreferences, c.CipherSuites = g.curves, g.suites
	c.Time = g.src.env.Now
	if g.getCertificate != nil || !g.certs.empty() {
		c.GetCertificate = g.certificate
	}
	switch {
	case g.ownALPN != nil:
		c.NextProtos = g.ownALPN
	case ch.alpn != "":
		c.NextProtos = []string{ch.alpn}
	case ch.noALPN && g.alpn != nil:
		c.NextProtos = g.alpn
	case ch.noALPN:
		c.NextProtos = noProtocol
	}
	if st.listed != nil {
		c.CipherSuites = st.listed
	}
	if ch.version != 0 {
		c.MinVersion, c.MaxVersion = ch.version, ch.version
		if ch.version == tls.VersionTLS12 {
			// A client that knows TLS 1.3 would have that; with it allowed
			// the random number has the mark against downgrades.
			c.MaxVersion = g.versions.Max()
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
	own := g.own
	if own != nil && own.VerifyConnection == nil && own.VerifyPeerCertificate == nil {
		own = nil
	}
	asked := true
	switch st.mode() {
	case VerifyOptional:
		c.ClientAuth = tls.RequestClientCert
	case VerifyRequired:
		c.ClientAuth = tls.RequireAnyClientCert
	default:
		if own == nil {
			return
		}
		asked = false
	}
	c.ClientCAs = st.names
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		v, err := st.judge(context.Background(), &cs, g.src.env.now())
		if err == nil && own != nil {
			err = verifyOwn(own, cs, v, asked)
		}
		return err
	}
}

// certificate is GetCertificate: nil without an error sends unrecognized_name.
// The program's own is asked when crypto/tls would ask it: without certificates
// always, beside some for clients that name a server.
func (g *generation) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if f := g.getCertificate; f != nil && (hello.ServerName != "" || g.certs.empty()) {
		if c, err := f(hello); c != nil || err != nil {
			return c, err
		}
	}
	h, ok := g.certs.forHello(hello)
	if !ok {
		return nil, nil
	}
	return h.pick(hello, g.clientOrder), nil
}
