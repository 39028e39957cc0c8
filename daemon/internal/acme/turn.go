package acme

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"netserver/cluster"
)

const (
	leaseTTL   = time.Minute // an order of a node that has died is made by another after that
	leaseEvery = leaseTTL / 4
	// leaseMargin is how long before its end a lease that cannot be renewed is
	// given up, and the order with it.
	leaseMargin = 10 * time.Second
	// otherWait is about how long another node's order is waited for until the
	// store is asked again; its end is told of.
	otherWait = 10 * time.Second
	// aloneAfter is how long a node without a certificate waits for the store
	// until it orders alone, and alonePart the part of its life that is left
	// of a certificate that is renewed so.
	aloneAfter = time.Minute
	alonePart  = 6

	askAgain     = 2 * time.Second // for a certificate that is missing
	askAgainSlow = time.Minute
)

var (
	errLost      = errors.New("another node may order it now")
	errNotSynced = errors.New("not all of the store has been seen yet")
	errNotYet    = errors.New("it is not valid yet by the clock of this machine")
)

// A turn is the lease of a name: no other node makes an order for it. Nil is an
// order that nobody else knows of.
type turn struct {
	s    *sharing
	name string
	key  string
	rev  uint64
	last time.Time // when it was renewed

	cancel context.CancelCauseFunc
	ctx    context.Context
	wg     sync.WaitGroup
}

// A seenLease is another's, and since when it is unchanged.
type seenLease struct {
	rev uint64
	at  time.Time
}

// turn reports whether an order for a name is to be made by this node now. Where
// another node has a certificate, or has failed just now, it takes that over.
func (s *sharing) turn(ctx context.Context, name string) (t *turn, mine bool) {
	if s == nil || s.m.unsaved[name] != nil {
		return nil, true
	}
	t, err := s.lease(ctx, name)
	switch {
	case ctx.Err() != nil:
		return nil, false
	case err != nil:
		return nil, s.alone(name, err)
	}
	s.answers()
	if t == nil {
		s.wait(name, otherWait+rand.N(otherWait))
		return nil, false
	}
	needless, err := s.latest(ctx, name)
	if err == nil && !needless {
		return t, true
	}
	t.end()
	return nil, err != nil && ctx.Err() == nil && s.alone(name, err)
}

// answers notes that the store can be used.
func (s *sharing) answers() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = time.Time{}
	clear(s.said)
}

// lease gets the lease of a name; nil if another has it.
func (s *sharing) lease(ctx context.Context, name string) (*turn, error) {
	s.mu.Lock()
	synced, seen := s.synced, s.leases[name]
	s.mu.Unlock()
	if !synced {
		return nil, errNotSynced
	}
	began, key, v := s.m.now(), s.key(kindLease, labelOf(name)), shared{Holder: s.holder}
	rev, err := s.put(ctx, key, v, 0, leaseTTL)
	if errors.Is(err, cluster.ErrChanged) {
		have, at, gerr := s.get(ctx, key)
		switch {
		case errors.Is(gerr, cluster.ErrNotFound):
			return nil, nil
		case gerr != nil && !errors.Is(gerr, errRefused):
			return nil, gerr
		case gerr == nil && have.Holder == s.holder: // the answer to our Put was lost
			rev, err = at, nil
		case at == seen.rev && s.m.now().Sub(seen.at) > 2*leaseTTL: // who had it is no more, and the store keeps it
			rev, err = s.put(ctx, key, v, at, leaseTTL)
		case at != seen.rev:
			s.mu.Lock()
			s.leases[name] = seenLease{at, s.m.now()}
			s.mu.Unlock()
			return nil, nil
		}
	}
	if errors.Is(err, cluster.ErrChanged) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t := &turn{s: s, name: name, key: key, rev: rev, last: began}
	t.ctx, t.cancel = context.WithCancelCause(ctx)
	t.wg.Go(t.renew)
	return t, nil
}

// renew renews the lease until it ends.
func (t *turn) renew() {
	tick := time.NewTicker(leaseEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-t.ctx.Done():
			return
		}
		began := t.s.m.now()
		rev, err := t.s.put(t.ctx, t.key, shared{Holder: t.s.holder}, t.rev, leaseTTL)
		switch {
		case err == nil:
			t.rev, t.last = rev, began
		case t.ctx.Err() != nil:
			return
		case errors.Is(err, cluster.ErrChanged):
			// An answer that was lost, or another's.
			v, rev, gerr := t.s.get(t.ctx, t.key)
			if gerr == nil && v.Holder == t.s.holder {
				t.rev = rev
				continue
			}
			t.cancel(errLost)
		}
		if t.s.m.now().Sub(t.last) > leaseTTL-leaseMargin-leaseEvery {
			t.cancel(errLost)
		}
	}
}

// within returns the context of the order, which ends with the lease.
func (t *turn) within(ctx context.Context) context.Context {
	if t == nil {
		return ctx
	}
	return t.ctx
}

// lost reports whether the lease is another's.
func (t *turn) lost() bool { return t != nil && context.Cause(t.ctx) == errLost }

// end gives the lease back, unless others are to wait for its end: what was
// obtained could not be shared yet.
func (t *turn) end() {
	if t == nil {
		return
	}
	t.cancel(nil)
	t.wg.Wait()
	t.s.mu.Lock()
	wait := t.s.offers[t.name]
	t.s.mu.Unlock()
	if !wait {
		t.s.remove(t.ctx, t.key, t.rev)
	}
}

// alone reports whether an order is to be made although the store cannot be
// used, and says once what is waited for.
func (s *sharing) alone(name string, why error) bool {
	now, leaf := s.m.now(), s.m.store.held(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.synced && errors.Is(why, errNotSynced) {
		return false // it has been by now: try again
	}
	if s.lost.IsZero() {
		s.lost = now
	}
	from, again := s.lost.Add(aloneAfter), askAgain
	if leaf != nil {
		from, again = leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore)/alonePart), askAgainSlow
	}
	if !now.Before(from) {
		s.m.log.Warn(fmt.Sprintf("acme: this node orders a certificate for %s by itself, as the store of the cluster cannot be used: %v", name, why))
		return true
	}
	s.hold[name] = now.Add(min(again+rand.N(again/2), from.Sub(now)+time.Second))
	if !s.said[name] && !errors.Is(why, errNotSynced) {
		s.said[name] = true
		s.m.log.Warn(fmt.Sprintf("acme: a certificate for %s is due, and waits for the store of the cluster, which cannot be used; without it this node orders by itself from %s on: %v", name, date(from), why))
	}
	return false
}
