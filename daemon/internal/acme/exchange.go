package acme

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"netserver/cluster"
	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
)

// latest takes over what other nodes have in the store for a name, and reports
// whether that makes an order needless.
func (s *sharing) latest(ctx context.Context, name string) (needless bool, err error) {
	key := s.key(kindCert, labelOf(name))
	v, _, err := s.get(ctx, key)
	if err == nil {
		needless, err = s.take(name, v)
		switch {
		case errors.Is(err, errNotYet):
			s.refuse(key, err)
			s.wait(name, lookEvery)
			return true, nil
		case err != nil:
			s.refuse(key, err)
		case needless:
			return true, nil
		}
	} else if lost(err) {
		return false, err
	}
	v, _, err = s.get(ctx, s.key(kindState, labelOf(name)))
	if err == nil && v.Past != nil {
		s.adopt(name, v)
	}
	if lost(err) {
		return false, err
	}
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now() // changes may have been told of in between
	return m.past[name].due(now, m.store.held(name)).After(now), nil
}

// lost reports whether err is that of a store that cannot be used.
func lost(err error) bool {
	return err != nil && !errors.Is(err, errRefused) && !errors.Is(err, cluster.ErrNotFound)
}

// take serves a certificate of another node, if it is newer than what is there,
// and reports whether it does.
func (s *sharing) take(name string, v *shared) (took bool, err error) {
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	leaf, err := check([]byte(v.Cert), name, now)
	if err != nil {
		if c, cerr := tls.X509KeyPair([]byte(v.Cert), []byte(v.Cert)); cerr == nil && now.Before(c.Leaf.NotBefore) {
			err = fmt.Errorf("%w: %w", errNotYet, err)
		}
		return false, err
	}
	if isPlaceholder(leaf) {
		return false, errors.New("no authority has signed it")
	}
	p, have := m.past[name], m.store.held(name)
	if have == nil && p.Leaf == digestOf(leaf) || have != nil && !newer(leaf, have, now) {
		return false, nil // one that was taken away here, to order another
	}
	if err := m.store.write(certificate(name), []byte(v.Cert)); err != nil {
		return false, fmt.Errorf("it cannot be written to acme_storage %s: %w", m.c.Storage, err)
	}
	p.succeeded(now, leaf)
	m.keepState()
	s.mu.Lock()
	delete(s.hold, name)
	s.mu.Unlock()
	logging.Notice(m.log, fmt.Sprintf("acme: certificate for %s taken from node %s, valid until %s; to be renewed on %s", name, v.Node, date(leaf.NotAfter), date(m.due(name, now, leaf))))
	signal(m.look)
	return true, nil
}

// newer reports whether a certificate is to be served in the place of another:
// it was not issued before that and ends later, or that is to be renewed by now.
func newer(leaf, have *x509.Certificate, now time.Time) bool {
	if !leaf.NotBefore.Before(have.NotBefore) && leaf.NotAfter.After(have.NotAfter) {
		return true
	}
	return leaf.NotBefore.After(have.NotBefore) && now.After(renewal(have)) && now.Before(renewal(leaf))
}

// adopt takes over what has failed at another node, if that was after what is
// known here.
func (s *sharing) adopt(name string, v *shared) {
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	now, p := m.now(), m.past[name]
	if !v.Past.Last.After(p.Last) || v.Past.Last.After(now.Add(maxClockOff)) || v.Past.Failures < 1 {
		return
	}
	if have := m.store.held(name); have != nil && v.Past.Last.Before(have.NotBefore) {
		return // an old one: there was a certificate since
	}
	leaf := p.Leaf
	*p = *v.Past
	p.Failures, p.Error, p.Leaf = min(p.Failures, len(pauses)), wire.Clean(p.Error, maxReason), leaf
	if p.Next.After(now.Add(maxTold)) {
		p.Next = now.Add(maxTold)
	}
	m.keepState()
	m.log.Debug("acme failure of another node", "name", name, "node", v.Node, "next", p.Next, "err", p.Error)
	signal(m.look)
}

// ordered tells other nodes how an order has ended.
func (s *sharing) ordered(ctx context.Context, name string, p past) {
	if s == nil || s.m.unsaved[name] != nil {
		return
	}
	key := s.key(kindState, labelOf(name))
	if p.Failures == 0 {
		s.remove(ctx, key, 0)
		return
	}
	if err := s.set(ctx, key, shared{Past: &p}, stateTTL); err != nil {
		s.m.log.Debug("acme: a failure is not shared", "name", name, "err", err)
	}
}

// offer puts a certificate that was obtained into the store, now or later.
func (s *sharing) offer(ctx context.Context, name string, text []byte) {
	if s == nil {
		return
	}
	err := s.publish(ctx, name, text, true)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.offers, name)
	switch {
	case errors.Is(err, errTooLong):
		s.m.log.Warn(fmt.Sprintf("acme: the certificate for %s is not shared: %v", name, err))
	case err != nil:
		s.offers[name] = true
		s.m.log.Warn(fmt.Sprintf("acme: the certificate for %s is shared when the store of the cluster can be used: %v", name, err))
	}
}

// offerSome puts certificates into the store that are not there.
func (s *sharing) offerSome(ctx context.Context) {
	type offered struct {
		name  string
		force bool
	}
	var list []offered
	if s.reseal {
		for _, directory := range []string{s.m.c.Directory, s.m.c.Staging} {
			if err := s.resealAccount(ctx, directory); lost(err) && !errors.Is(err, cluster.ErrChanged) {
				return // the next time
			}
		}
		s.reseal = false
	}
	s.mu.Lock()
	for name, force := range s.offers {
		if list = append(list, offered{name, force}); len(list) == offersAtOnce {
			break
		}
	}
	s.mu.Unlock()
	for _, o := range list {
		text, err := s.m.store.read(certificate(o.name))
		if err == nil && s.m.store.held(o.name) != nil {
			err = s.publish(ctx, o.name, text, o.force)
		}
		if lost(err) && !errors.Is(err, errTooLong) {
			return // the next time
		}
		s.mu.Lock()
		if s.offers[o.name] == o.force {
			delete(s.offers, o.name)
		}
		s.mu.Unlock()
	}
}

// publish puts a certificate into the store, unless that or a newer one is
// there. One that is not older is replaced only if force is set.
func (s *sharing) publish(ctx context.Context, name string, text []byte, force bool) error {
	mine, err := tls.X509KeyPair(text, text)
	if err != nil {
		return err
	}
	key, now := s.key(kindCert, labelOf(name)), s.m.now()
	ttl := min(mine.Leaf.NotAfter.Sub(now)+day, cluster.MaxTTL)
	if ttl <= day {
		return nil // it has ended
	}
	for range 3 {
		v, rev, gerr := s.get(ctx, key)
		switch {
		case lost(gerr):
			return gerr
		case gerr == nil:
			c, cerr := tls.X509KeyPair([]byte(v.Cert), []byte(v.Cert))
			if cerr == nil && c.Leaf.Equal(mine.Leaf) && v.aging {
				break // sealed again
			}
			if cerr == nil && (c.Leaf.Equal(mine.Leaf) || newer(c.Leaf, mine.Leaf, now) || !force && !newer(mine.Leaf, c.Leaf, now)) {
				return nil
			}
		}
		if rev == 0 && errors.Is(gerr, errRefused) { // no value at all
			return s.set(ctx, key, shared{Cert: string(text)}, ttl)
		}
		if _, err = s.put(ctx, key, shared{Cert: string(text)}, rev, ttl); !errors.Is(err, cluster.ErrChanged) {
			return err
		}
	}
	return err
}

// resealAccount seals the account's key again if that has to be done.
func (s *sharing) resealAccount(ctx context.Context, directory string) error {
	key := s.accountAt(directory)
	v, rev, err := s.get(ctx, key)
	if err == nil && v.aging {
		_, err = s.put(ctx, key, shared{Key: v.Key}, rev, 0)
	}
	return err
}

func (s *sharing) accountAt(directory string) string {
	return s.key(kindAccount, shortDigest(directory))
}

// accountKey returns the key of the account at a directory: the one that all
// nodes have, or else this node's own.
func (s *sharing) accountKey(ctx context.Context, store *Storage, directory string) (crypto.Signer, error) {
	if s == nil {
		return store.accountKey(directory)
	}
	key := s.accountAt(directory)
	for range 2 {
		v, _, err := s.get(ctx, key)
		switch {
		case err == nil:
			return s.sharedAccount(store, directory, v)
		case !errors.Is(err, cluster.ErrNotFound):
			s.m.log.Warn(fmt.Sprintf("acme: this node's own account is used, as that of the cluster cannot be had: %v", err))
			return store.accountKey(directory)
		}
		own, err := store.accountKey(directory)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(own)
		if err != nil {
			return nil, err
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		if _, err := s.put(ctx, key, shared{Key: string(text)}, 0, 0); !errors.Is(err, cluster.ErrChanged) {
			return own, nil
		}
	}
	return store.accountKey(directory)
}

// sharedAccount takes over the account's key that another node has made, if it
// is one.
func (s *sharing) sharedAccount(store *Storage, directory string, v *shared) (crypto.Signer, error) {
	if key, err := parseAccount([]byte(v.Key)); err == nil {
		return key, store.replaceAccount(directory, []byte(v.Key))
	}
	return store.accountKey(directory)
}
