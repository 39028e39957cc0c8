package netserver

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// clients is the set of all clients of a run, counted from accept to the end
// of close. Draining, cutting and limits all use this one set. It is split so
// that clients do not share a lock.
type clients struct {
	n      atomic.Int64
	wg     sync.WaitGroup
	shards [16]shard
}

type shard struct {
	mu     sync.Mutex
	set    map[*Conn]struct{}
	ctx    context.Context // parent of its clients' contexts
	cancel context.CancelCauseFunc
	_      [64]byte // its own cache line
}

// init makes the set ready. The clients' contexts carry ctx's values but not
// its end: that means drain, and clients may finish.
func (cs *clients) init(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	for i := range cs.shards {
		s := &cs.shards[i]
		s.set = make(map[*Conn]struct{})
		s.ctx, s.cancel = context.WithCancelCause(ctx)
	}
}

func (cs *clients) shard(c *Conn) *shard { return &cs.shards[c.id%uint64(len(cs.shards))] }

// prepare gives c its context. From then on it may be cut.
func (cs *clients) prepare(c *Conn) {
	c.ctx, c.cancel = context.WithCancelCause(cs.shard(c).ctx)
}

func (cs *clients) add(c *Conn) {
	cs.wg.Add(1)
	cs.n.Add(1)
	s := cs.shard(c)
	s.mu.Lock()
	s.set[c] = struct{}{}
	s.mu.Unlock()
}

func (cs *clients) remove(c *Conn) {
	s := cs.shard(c)
	s.mu.Lock()
	delete(s.set, c)
	s.mu.Unlock()
	cs.n.Add(-1)
	cs.wg.Done()
}

func (cs *clients) count() int { return int(cs.n.Load()) }

// gone returns a channel that is closed when the last client is gone.
func (cs *clients) gone() <-chan struct{} {
	c := make(chan struct{})
	go waitThenClose(&cs.wg, c)
	return c
}

// on returns the clients of a port.
func (cs *clients) on(l *listening) (all []*Conn) {
	for i := range cs.shards {
		s := &cs.shards[i]
		s.mu.Lock()
		for c := range s.set {
			if c.l == l {
				all = append(all, c)
			}
		}
		s.mu.Unlock()
	}
	return all
}

// cut ends every client and returns how many there were that drain had not cut
// before.
func (cs *clients) cut() (n int) {
	for i := range cs.shards {
		s := &cs.shards[i]
		s.mu.Lock()
		for c := range s.set {
			if !errors.Is(c.cause(), ErrCut) {
				n++
			}
			c.cut(ErrCut)
		}
		s.mu.Unlock()
	}
	return n
}

// release frees the contexts of the shards.
func (cs *clients) release() {
	for i := range cs.shards {
		cs.shards[i].cancel(nil)
	}
}

// all returns the clients, in no order.
func (cs *clients) all() (list []*Conn) {
	for i := range cs.shards {
		s := &cs.shards[i]
		s.mu.Lock()
		for c := range s.set {
			list = append(list, c)
		}
		s.mu.Unlock()
	}
	return list
}

// has reports whether the client is still here.
func (cs *clients) has(c *Conn) bool {
	s := cs.shard(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.set[c]
	return ok
}
