package acme

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"netserver/cluster"
	"netserver/daemon/internal/wire"
)

// A sharing is a Manager's part in a cluster. Nil is no cluster: each of its
// methods that a Manager calls does nothing then.
type sharing struct {
	m      *Manager
	c      Cluster
	prefix string            // of all keys
	holder string            // tells this Manager's leases from others'
	names  map[string]string // by label

	sealedBy  string        // the key by which all in the store was sealed; tick's
	reseal    bool          // the account's key is to be looked at
	acked     chan struct{} // has something if a node answers another challenge
	deploying sync.Mutex

	mu      sync.Mutex
	synced  bool                 // all that is in the store was seen, and changes come
	lost    time.Time            // since when the store cannot be used; zero if it can
	said    map[string]bool      // names of which was said that they wait for it
	hold    map[string]time.Time // no order for a name before
	leases  map[string]seenLease // of others, by name
	open    map[string]openAnswer
	nodes   map[string]seenNode // other nodes
	offers  map[string]bool     // certificates to be put into the store; true: whatever is there
	beaten  time.Time           // when this node was last written
	refused time.Time           // no line of a refused value before
}

// An openAnswer is what a challenge is answered with, this node's own or
// another's.
type openAnswer struct {
	wire.Challenge
	id    string
	own   bool
	until time.Time
}

type seenNode struct {
	shown map[string]bool
	at    time.Time
}

const (
	tickEvery    = 5 * time.Second
	nodeEvery    = 20 * time.Second
	nodeTTL      = time.Minute
	ackTime      = 10 * time.Second // for other nodes to answer a challenge
	challengeTTL = orderTime + time.Minute
	stateTTL     = 14 * day
	maxClockOff  = 10 * time.Minute // of nodes
	offersAtOnce = 10               // in a tick
	refusedEvery = time.Minute
	watchAgain   = time.Second

	day = 24 * time.Hour
)

func newSharing(m *Manager, c *Cluster) *sharing {
	s := &sharing{
		m: m, c: *c, prefix: prefixOf(m.c.Directory), holder: rand.Text(), names: make(map[string]string), acked: make(chan struct{}, 1),
		said: make(map[string]bool), hold: make(map[string]time.Time), leases: make(map[string]seenLease),
		open: make(map[string]openAnswer), nodes: make(map[string]seenNode), offers: make(map[string]bool),
	}
	for _, name := range m.c.Names {
		s.names[labelOf(name)] = name
	}
	return s
}

// begin shares until ctx ends. The returned function waits for that.
func (s *sharing) begin(ctx context.Context) (end func()) {
	if s == nil {
		return func() {}
	}
	s.lost = s.m.now()
	s.offerAll()
	var wg sync.WaitGroup
	wg.Go(func() { s.watch(ctx) })
	wg.Go(func() { s.tick(ctx) })
	return func() {
		wg.Wait()
		s.remove(ctx, s.key(kindNode, s.c.Node), 0)
	}
}

func (s *sharing) watch(ctx context.Context) {
	for ctx.Err() == nil {
		s.c.Store().Watch(ctx, s.prefix, func(e cluster.Event) { s.receive(ctx, e) })
		s.mu.Lock()
		s.synced = false
		s.mu.Unlock()
		t := time.NewTimer(watchAgain/2 + mathrand.N(watchAgain))
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// tick says that this node is here, and forgets what is over.
func (s *sharing) tick(ctx context.Context) {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if s.forget() {
			s.deploy(ctx)
		}
		s.offerAll()
		s.mu.Lock()
		synced, due := s.synced, s.m.now().Sub(s.beaten) >= nodeEvery
		s.mu.Unlock()
		if synced && due {
			s.beat(ctx)
		}
		if synced {
			s.offerSome(ctx)
		}
	}
}

// offerAll has all that this node has offered to the store, at the start and
// when another key seals: what was sealed by the one before is sealed again.
func (s *sharing) offerAll() {
	first := s.c.Keys().IDs()[0]
	if first == s.sealedBy {
		return
	}
	s.sealedBy, s.reseal = first, true
	for _, name := range s.m.c.Names {
		if s.m.store.held(name) == nil {
			continue
		}
		s.mu.Lock()
		if !s.offers[name] { // which stays if it is set
			s.offers[name] = false
		}
		s.mu.Unlock()
	}
}

// forget forgets challenges whose time is over and nodes that are not heard of,
// and reports whether there were such challenges.
func (s *sharing) forget() (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.m.now()
	for name, a := range s.open {
		if !a.own && now.After(a.until) {
			delete(s.open, name)
			changed = true
		}
	}
	for name, n := range s.nodes {
		if now.Sub(n.at) > nodeTTL+tickEvery {
			delete(s.nodes, name)
			signal(s.acked)
		}
	}
	return changed
}

// beat writes which challenges of other nodes this one answers.
func (s *sharing) beat(ctx context.Context) {
	var v shared
	s.mu.Lock()
	for _, a := range s.open {
		if !a.own {
			v.Shown = append(v.Shown, a.id)
		}
	}
	s.mu.Unlock()
	if s.set(ctx, s.key(kindNode, s.c.Node), v, nodeTTL) == nil {
		s.mu.Lock()
		s.beaten = s.m.now()
		s.mu.Unlock()
	}
}

// receive takes what the store tells of a key.
func (s *sharing) receive(ctx context.Context, e cluster.Event) {
	if e.Synced {
		s.mu.Lock()
		s.synced = true
		clear(s.hold)
		s.mu.Unlock()
		s.beat(ctx)
		signal(s.m.look)
		return
	}
	kind, label := s.cut(e.Key)
	if e.Deleted || e.Err != nil {
		if e.Deleted {
			s.gone(ctx, kind, label)
		}
		return
	}
	if kind == kindLease || kind == kindAccount {
		return // these are asked for when they matter
	}
	v, err := s.unseal(e.Key, e.Value.Data)
	if err == nil && v.Node != s.c.Node {
		err = s.believe(ctx, kind, label, v)
	}
	if err != nil {
		s.refuse(e.Key, err)
	}
}

// believe takes a value that another node has sealed for its key.
func (s *sharing) believe(ctx context.Context, kind, label string, v *shared) (err error) {
	name := s.names[label] // "" if it is none of ours
	switch kind {
	case kindCert:
		if name != "" {
			_, err = s.take(name, v)
		}
	case kindState:
		if name != "" && v.Past != nil {
			s.adopt(name, v)
		}
	case kindChallenge:
		err = s.showOther(ctx, label, v)
	case kindNode:
		s.hear(label, v)
	}
	return err
}

// gone is called when a key is there no more.
func (s *sharing) gone(ctx context.Context, kind, label string) {
	switch kind {
	case kindLease:
		s.mu.Lock()
		delete(s.hold, s.names[label])
		s.mu.Unlock()
		signal(s.m.look)
	case kindChallenge:
		s.mu.Lock()
		changed := false
		for name, a := range s.open {
			if !a.own && labelOf(name) == label {
				delete(s.open, name)
				changed = true
			}
		}
		s.mu.Unlock()
		if changed {
			s.deploy(ctx)
		}
	case kindNode:
		s.mu.Lock()
		delete(s.nodes, label)
		s.mu.Unlock()
		signal(s.acked)
	}
}

// hear takes which challenges a node answers.
func (s *sharing) hear(node string, v *shared) {
	if node != v.Node || len(v.Shown) > cluster.MaxNodes {
		return
	}
	n := seenNode{shown: make(map[string]bool), at: s.m.now()}
	for _, id := range v.Shown {
		n.shown[id] = true
	}
	s.mu.Lock()
	if _, known := s.nodes[node]; known || len(s.nodes) < cluster.MaxNodes {
		s.nodes[node] = n
	}
	s.mu.Unlock()
	signal(s.acked)
}

// refuse says now and then that a value was not believed.
func (s *sharing) refuse(key string, err error) {
	now := s.m.now()
	s.mu.Lock()
	say := now.Sub(s.refused) >= refusedEvery
	if say {
		s.refused = now
	}
	s.mu.Unlock()
	if say {
		s.m.log.Warn(fmt.Sprintf("acme: refused what the store of the cluster has under %s: %s", key, wire.Clean(reason(err), maxReason)))
	}
}

// later returns when an order that is due at a time is made: not all nodes make
// theirs at once, nor any before its hold.
func (s *sharing) later(name string, leaf *x509.Certificate, due time.Time) time.Time {
	if s == nil {
		return due
	}
	if leaf != nil && due.Equal(renewal(leaf)) {
		due = due.Add(s.spread(leaf))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.m.now()
	if wait := s.hold[name].Sub(now); wait > 0 && now.Add(wait).After(due) { // by the steady clock
		return now.Add(wait)
	}
	return due
}

// maxSpread is how much later than the first the last node renews a certificate,
// if none has by then.
const maxSpread = 5 * time.Minute

func (s *sharing) spread(leaf *x509.Certificate) time.Duration {
	most := min(leaf.NotAfter.Sub(leaf.NotBefore)/200, maxSpread)
	sum := sha256.Sum256(append([]byte(s.c.Node), leaf.Raw...))
	return time.Duration(binary.BigEndian.Uint64(sum[:]) % uint64(max(1, most)))
}

// wait has no order made for a name for a while.
func (s *sharing) wait(name string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold[name] = s.m.now().Add(d)
}

// deploy has the processes that serve answer the challenges that are open.
func (s *sharing) deploy(ctx context.Context) error {
	s.deploying.Lock()
	defer s.deploying.Unlock()
	var list []wire.Challenge
	s.mu.Lock()
	for _, a := range s.open {
		list = append(list, a.Challenge)
	}
	s.mu.Unlock()
	return s.m.deploy(ctx, list)
}

// show has this node and all others answer a challenge, until hide. It waits for
// the others, but not for long: the authority may come to any of them.
func (s *sharing) show(ctx context.Context, answer wire.Challenge, p proof) (hide func(), err error) {
	name, id := answer.Name, rand.Text()
	key := s.key(kindChallenge, labelOf(name))
	s.mu.Lock()
	s.open[name] = openAnswer{Challenge: answer, id: id, own: true}
	s.mu.Unlock()
	hide = func() {
		s.mu.Lock()
		if s.open[name].id == id {
			delete(s.open, name)
		}
		s.mu.Unlock()
		s.deploy(context.WithoutCancel(ctx))
		s.remove(ctx, key, 0)
	}
	if err := s.deploy(ctx); err != nil {
		hide()
		return nil, err
	}
	if err := s.set(ctx, key, shared{Name: name, ID: id, Digest: p.digest, Token: p.token, Text: p.text}, challengeTTL); err != nil {
		s.m.log.Warn(fmt.Sprintf("acme: other nodes do not answer the challenge for %s, as the store of the cluster cannot be used: %v", name, err))
		return hide, nil
	}
	s.await(ctx, name, id)
	return hide, nil
}

// await waits until all nodes that live answer a challenge.
func (s *sharing) await(ctx context.Context, name, id string) {
	t := time.NewTimer(ackTime)
	defer t.Stop()
	for {
		missing := s.without(id)
		if len(missing) == 0 {
			return
		}
		select {
		case <-s.acked:
		case <-ctx.Done():
			return
		case <-t.C:
			s.m.log.Warn(fmt.Sprintf("acme: not all nodes of the cluster have said in %v that they answer the challenge for %s, which goes on without %s", ackTime, name, strings.Join(missing, ", ")))
			return
		}
	}
}

// without returns the nodes that do not answer a challenge yet.
func (s *sharing) without(id string) (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, n := range s.nodes {
		if !n.shown[id] {
			names = append(names, name)
		}
	}
	return names
}
