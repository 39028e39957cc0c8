package supervisor

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"netserver/daemon/internal/wire"
	"netserver/internal/certfile"
	"netserver/internal/signer"
	"netserver/port"
	"netserver/tlsparams"
)

// A keyAgent has the private keys of a generation, which its workers have not.
// It reads certificates for them and has the keys sign. It is safe for
// concurrent use.
type keyAgent struct {
	ring    signer.Ring
	server  *signer.Server
	allowed *allowed
	ports   []agentPort
	threads bool // a thread waits for each worker

	mu    sync.Mutex // one pair is read at a time
	pairs map[pairKey]*loadedPair
	sweep int // of how many pairs those are dropped whose files are gone

	self   []byte // PEM of the certificate made in memory
	selfID uint32
}

// An agentPort is what one port's parameters say of certificates.
type agentPort struct {
	params         tlsparams.Params
	checked, fresh tlsparams.PairFunc // files as they were checked, and as they are now
	changed        bool               // the program's own code may change the versions of TLS
	client         bool               // it is no port: the certificates are shown to targets
}

// A pairKey names a pair of files, as they are now or as they were checked.
type pairKey struct {
	tlsparams.Files
	fresh bool
}

// A loadedPair is what was read last of a pair of files.
type loadedPair struct {
	digest [32]byte
	chain  [][]byte
	ids    []uint32 // of its keys, the newest last

	failed   error // of the contents with that digest
	failedOf [32]byte
	failedAt time.Time
}

const (
	// maxKeys is how many keys of one pair of files stay open: those before
	// the newest are for workers that are not there yet.
	maxKeys = 4
	// maxPairs is how many pairs may be there before those are looked for
	// whose files are gone.
	maxPairs = 256
	// failKeep is for how long a pair that is no good is not tried again
	// unless its files have changed: it may take a second's work to find
	// that out, and a worker can ask at any rate.
	failKeep = 500 * time.Millisecond
)

// maxThreads is for how many workers a thread each waits, which saves the
// wake-ups of other threads.
const maxThreads = 16

// newKeyAgent returns the key agent of what is to be a generation, or nil if its
// workers read keys themselves.
func (s *supervisor) newKeyAgent(c *Settings, pl *wire.Plan, may *allowed) (*keyAgent, error) {
	if !pl.Isolate {
		return nil, nil
	}
	k := &keyAgent{allowed: may, pairs: make(map[pairKey]*loadedPair)}
	k.server = signer.New(&k.ring, c.SignRate)
	k.threads = max(c.Scale.Min, c.Scale.Max) <= maxThreads
	plain := false
	for _, r := range pl.Ports {
		params, err := c.TLS.With(r.Spec.Params)
		if err != nil {
			return nil, err
		}
		switch r.Spec.Kind() {
		case port.TCP, port.Unix:
			plain = true
		case port.UDP, port.UnixDgram: // without TLS
		default:
			k.addPort(s, params, r.Spec)
		}
	}
	if plain {
		k.addPort(s, c.TLS, port.Spec{Host: "*", Port: "STARTTLS", Proto: port.SSL, IPv: "*"})
	}
	for _, params := range c.Outbound {
		if params.CertFile != "" {
			k.addOutbound(params)
		}
	}
	if len(s.selfSigned) > 0 {
		return k, k.addSelf(s.selfSigned)
	}
	return k, nil
}

func (k *keyAgent) addPort(s *supervisor, params tlsparams.Params, spec port.Spec) {
	env := s.o.TLSEnv(spec)
	p := agentPort{params: params, changed: env.Hooks.Config != nil || env.TLSConfig != nil}
	for _, fresh := range []bool{false, true} {
		e := env
		e.ReadFile = func(path string) ([]byte, error) { return k.allowed.readKey(path, fresh) }
		if fresh {
			p.fresh = params.Pairs(&e)
		} else {
			p.checked = params.Pairs(&e)
		}
	}
	k.ports = append(k.ports, p)
}

// addOutbound adds what targets are shown.
func (k *keyAgent) addOutbound(params tlsparams.Params) {
	read := func(fresh bool) tlsparams.PairFunc {
		return params.ClientPairs(&tlsparams.Env{ReadFile: func(path string) ([]byte, error) { return k.allowed.readKey(path, fresh) }})
	}
	k.ports = append(k.ports, agentPort{params: params, client: true, checked: read(false), fresh: read(true)})
}

// addSelf takes the key of the certificate made in memory.
func (k *keyAgent) addSelf(text []byte) error {
	c, err := tls.X509KeyPair(text, text)
	if err != nil {
		return err
	}
	key, ok := c.PrivateKey.(crypto.Signer)
	if !ok {
		return errors.New("the key of the certificate generated in memory cannot sign")
	}
	k.self = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
	k.selfID, err = k.ring.Add(key, k.useFor(func(p agentPort) bool { return !p.client }))
	return err
}

// failPause slows down a worker that asks for what cannot be had: to find that
// out may take a while, as for a wrong password.
const failPause = 20 * time.Millisecond

// load reads a pair for a worker that has the contents of digest have.
func (k *keyAgent) load(f tlsparams.Files, have [32]byte, fresh bool) *wire.PairAnswer {
	if k == nil {
		return &wire.PairAnswer{File: f.Cert, Reason: "is not available: key_isolation is off"}
	}
	c, err := k.read(f, fresh)
	if err != nil {
		time.Sleep(failPause)
		a := &wire.PairAnswer{File: f.Cert, Reason: "cannot be used: " + err.Error()}
		var fe *certfile.Error
		if errors.As(err, &fe) {
			a.Role, a.File, a.Reason = fe.Role, fe.File, fe.Reason
		}
		return a
	}
	if c.digest == have {
		return &wire.PairAnswer{Same: true, Digest: have}
	}
	return &wire.PairAnswer{Chain: c.chain, Key: c.ids[len(c.ids)-1], Digest: c.digest}
}

// read reads a pair as the first of the ports does that names it, and can.
func (k *keyAgent) read(f tlsparams.Files, fresh bool) (loadedPair, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var first error
	for _, p := range k.ports {
		if !p.params.Names(f) {
			continue
		}
		c, err := k.readAs(p, f, fresh)
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = &certfile.Error{File: f.Cert, Reason: "is not in the configuration"}
	}
	return loadedPair{}, first
}

func (k *keyAgent) readAs(p agentPort, f tlsparams.Files, fresh bool) (loadedPair, error) {
	at := pairKey{f, fresh}
	c := k.pairs[at]
	if c == nil {
		c = &loadedPair{}
	}
	load := p.checked
	if fresh {
		load = p.fresh
	}
	have, knownBad := c.digest, c.failed != nil && time.Since(c.failedAt) < failKeep
	if knownBad {
		have = c.failedOf
	}
	pair, digest, err := load(f, have)
	switch {
	case err != nil:
		if digest != have { // it could be read
			c.failed, c.failedOf, c.failedAt = err, digest, time.Now()
			k.remember(at, c)
		}
		return *c, err
	case pair == nil && knownBad:
		return *c, c.failed
	case pair == nil:
		return *c, nil
	}
	c.failed = nil
	id, err := k.ring.Add(pair.Key, k.useFor(func(p agentPort) bool { return p.params.Names(f) }))
	if err != nil {
		return *c, err
	}
	c.digest, c.chain = digest, (*certfile.Pair)(pair).TLS().Certificate
	c.ids = append(c.ids, id)
	if len(c.ids) > maxKeys {
		k.ring.Drop(c.ids[0])
		c.ids = c.ids[1:]
	}
	k.remember(at, c)
	return *c, nil
}

// remember keeps what was read of a pair. Certificates come and go in a directory:
// now and then those are dropped whose files are gone.
func (k *keyAgent) remember(at pairKey, c *loadedPair) {
	k.pairs[at] = c
	if len(k.pairs) <= max(k.sweep, maxPairs) {
		return
	}
	for old, c := range k.pairs {
		if _, err := os.Lstat(old.Cert); old == at || !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		for _, id := range c.ids {
			k.ring.Drop(id)
		}
		delete(k.pairs, old)
	}
	k.sweep = 2 * len(k.pairs)
}

// useFor returns what the ports that show a certificate need its key for.
func (k *keyAgent) useFor(shows func(agentPort) bool) signer.Use {
	u := signer.Use{Marked: true}
	for _, p := range k.ports {
		if !shows(p) {
			continue
		}
		if p.client {
			u.Client = u.Client || p.params.Allows(tls.VersionTLS13)
			continue
		}
		u.TLS13 = u.TLS13 || p.changed || p.params.Allows(tls.VersionTLS13)
		u.TLS12 = u.TLS12 || p.changed || p.params.Allows(tls.VersionTLS12)
		u.Old = u.Old || p.params.Allows(tls.VersionTLS10) || p.params.Allows(tls.VersionTLS11)
		if p.changed || !p.params.Allows(tls.VersionTLS13) {
			u.Marked = false
		}
	}
	return u
}

// signatures describes what the keys of a generation were asked for.
func (g *generation) signatures() []string {
	if g.keyAgent == nil {
		return nil
	}
	list := []string{fmt.Sprintf("state: private keys of generation %d: %d", g.id, g.keyAgent.ring.Len())}
	for _, w := range g.sorted() {
		if l := w.keyLink; l != nil {
			list = append(list, fmt.Sprintf("state: worker %d, handshakes signed %d, requests refused %d, delayed %d",
				w.id, l.counts.Signed.Load(), l.counts.Refused.Load(), l.counts.Slowed.Load()))
		}
	}
	return list
}

// digestOf takes a digest from a message; one that is none fits no content.
func digestOf(b []byte) (d [32]byte) {
	if len(b) == len(d) {
		copy(d[:], b)
	}
	return d
}

// needsSelfSigned reports whether a port of the plan may show a certificate
// that is made in memory. All workers must show the same.
func needsSelfSigned(p *wire.Plan) bool {
	ports := p.Ports
	if p.Admin != nil {
		ports = append(ports[:len(ports):len(ports)], p.Admin.Port)
	}
	for _, r := range ports {
		if !r.Spec.IsTLS() {
			continue
		}
		file := r.Spec.Params.Get("SSL_cert_file")
		if file == "" {
			file = p.Values.Get("SSL_cert_file")
		}
		if file == "" || file == tlsparams.ForceSelfSigned {
			return true
		}
	}
	return false
}

// newSelfSigned makes a certificate and its key, as PEM.
func newSelfSigned(now time.Time) ([]byte, error) {
	c, err := tlsparams.SelfSigned(now)
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.TLS().PrivateKey)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.TLS().Certificate[0]})
	pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: key})
	return b.Bytes(), nil
}
