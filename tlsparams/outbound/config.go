package outbound

import (
	"crypto/tls"
	"errors"
	"sync"
)

// Bounds of what a Source keeps.
const (
	maxSessions = 1024 // to be resumed, of all targets
	maxConfigs  = 1024 // of as many targets and names
)

// A generation is everything that handshakes see, made at one time.
type generation struct {
	src  *Source
	cert *tls.Certificate // nil if servers are shown none
	*anchors
	sessions tls.ClientSessionCache

	mu      sync.RWMutex
	configs map[server]*tls.Config
}

// A server is a target under a name: sessions with one are resumed with no other.
type server struct{ target, asked, verified string }

func (s *Source) newGeneration() *generation {
	return &generation{src: s, sessions: tls.NewLRUClientSessionCache(maxSessions), configs: make(map[server]*tls.Config)}
}

// Config returns the configuration for the next connection to target, which is
// host:port, [address]:port or the path of a socket. client is the name that the
// client has asked for, "" for none. Ask again for each connection, as a reload
// swaps it. It must not be changed.
func (s *Source) Config(target, client string) *tls.Config {
	asked, verified := s.p.names(target, client)
	g, to := s.cur.Load(), server{target, asked, verified}
	g.mu.RLock()
	c := g.configs[to]
	g.mu.RUnlock()
	if c != nil {
		return c
	}
	c = g.make(to)
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.configs) >= maxConfigs {
		clear(g.configs) // clients may ask for any number of names; the sessions stay
	}
	g.configs[to] = c
	return c
}

func (g *generation) make(to server) *tls.Config {
	s := g.src
	c := &tls.Config{
		ServerName: to.asked, NextProtos: s.p.ALPN,
		MinVersion: s.versions.Min(), MaxVersion: s.versions.Max(), CipherSuites: s.suites, CurvePreferences: s.curves,
		Time: s.env.Now, ClientSessionCache: &sessions{g.sessions, to},
		InsecureSkipVerify: true, // verify does it
		VerifyConnection:   func(cs tls.ConnectionState) error { return g.verify(&cs, to) },
	}
	if g.cert != nil {
		c.GetClientCertificate = g.certificate
	}
	return c
}

// certificate returns what a server that asks for a certificate is shown:
// always the one that there is, since many do not know or do not say which
// authorities they accept, and their own refusal tells more than ours.
func (g *generation) certificate(asks *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if g.src.env.SignOnly && asks.Version < tls.VersionTLS13 {
		return nil, errSignOnly
	}
	return g.cert, nil
}

var errSignOnly = errors.New("it asks for a certificate with a version of TLS before 1.3, for which a key that stays with the supervisor cannot sign: set key_isolation 0, or have the target speak TLS 1.3")

// sessions are the sessions with one server, to be resumed.
type sessions struct {
	all tls.ClientSessionCache
	of  server
}

func (s *sessions) key(name string) string {
	return s.of.target + "\x00" + s.of.asked + "\x00" + s.of.verified + "\x00" + name
}

// Get returns a session.
func (s *sessions) Get(key string) (*tls.ClientSessionState, bool) { return s.all.Get(s.key(key)) }

// Put keeps a session, and drops that of the key for nil.
func (s *sessions) Put(key string, cs *tls.ClientSessionState) { s.all.Put(s.key(key), cs) }
