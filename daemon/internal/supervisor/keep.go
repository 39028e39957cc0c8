package supervisor

import (
	"context"
	"errors"
	"time"

	"netserver/cluster"
	"netserver/daemon/internal/acme"
	"netserver/daemon/internal/clustering"
	"netserver/daemon/internal/wire"
)

const (
	// keepTime is how long the cluster process has for a call of the store.
	keepTime = 5 * time.Second
	// keptRoom is how many messages of a watch may wait to be taken.
	keptRoom = 64
)

var (
	errNotSharing = errors.New("the cluster process is not there")
	errKeptSlow   = errors.New("more changes than can be taken")
)

// A keptStore is the store of the cluster as the supervisor has it: the cluster
// process does what it is asked for. Its values are sealed before and opened
// behind it.
type keptStore struct{ c *clusterProcess }

// A keptCall is one that waits for its answer, or for more of them.
type keptCall struct {
	got   chan wire.Kept // has room
	watch bool
	over  error // why there are no more; set before got is closed
}

// certificates returns how certificates are shared; nil without a cluster.
func (c *clusterProcess) certificates() *acme.Cluster {
	if c == nil {
		return nil
	}
	return &acme.Cluster{Store: func() acme.Store { return keptStore{c} }, Keys: c.certKeys.Load, Namespace: c.start.Namespace, Node: c.start.Name}
}

// ask asks the cluster process, unless it is not there or does not listen. It
// must not be called by the loop.
func (k keptStore) ask(q *wire.Keep, call *keptCall) (id uint64, err error) {
	c := k.c
	err = errNotSharing
	c.s.do(func() {
		w := c.proc
		if w == nil || !w.ready || len(w.outbox) >= newsRoom {
			return
		}
		c.lastKeep++
		id, err = c.lastKeep, nil
		if c.keeps == nil {
			c.keeps = make(map[uint64]*keptCall)
		}
		c.keeps[id] = call
		w.tell(wire.Message{Op: wire.OpKeep, ID: id, Keep: q})
	})
	return id, err
}

// forget is called with the number of a call that nobody waits for any more.
func (k keptStore) forget(id uint64) {
	k.c.s.do(func() { delete(k.c.keeps, id) })
}

func (k keptStore) call(ctx context.Context, q *wire.Keep) (a wire.Kept, err error) {
	call := &keptCall{got: make(chan wire.Kept, 1)}
	id, err := k.ask(q, call)
	if err != nil {
		return a, err
	}
	t := time.NewTimer(keepTime)
	defer t.Stop()
	select {
	case a, ok := <-call.got:
		if !ok {
			return a, call.over
		}
		return a, a.Err()
	case <-t.C:
		err = context.DeadlineExceeded
	case <-ctx.Done():
		err = ctx.Err()
	case <-k.c.s.quit:
		err = errNotSharing
	}
	k.forget(id)
	return a, err
}

func (k keptStore) Get(ctx context.Context, key string) (cluster.Value, error) {
	a, err := k.call(ctx, &wire.Keep{Verb: wire.KeepGet, Key: key})
	return cluster.Value{Data: a.Data, Rev: a.Rev}, err
}

func (k keptStore) Put(ctx context.Context, key string, data []byte, rev uint64, ttl time.Duration) (uint64, error) {
	a, err := k.call(ctx, &wire.Keep{Verb: wire.KeepPut, Key: key, Data: data, Rev: rev, TTL: ttl})
	return a.Rev, err
}

func (k keptStore) Set(ctx context.Context, key string, data []byte, ttl time.Duration) (uint64, error) {
	a, err := k.call(ctx, &wire.Keep{Verb: wire.KeepSet, Key: key, Data: data, TTL: ttl})
	return a.Rev, err
}

func (k keptStore) Delete(ctx context.Context, key string, rev uint64) error {
	_, err := k.call(ctx, &wire.Keep{Verb: wire.KeepDelete, Key: key, Rev: rev})
	return err
}

// Watch is the Watch of a cluster.Store, of which the process has one.
func (k keptStore) Watch(ctx context.Context, prefix string, f func(cluster.Event)) error {
	call := &keptCall{got: make(chan wire.Kept, keptRoom), watch: true}
	id, err := k.ask(&wire.Keep{Verb: wire.KeepWatch, Key: prefix}, call)
	if err != nil {
		return err
	}
	defer k.forget(id)
	for {
		select {
		case a, ok := <-call.got:
			switch {
			case !ok:
				return call.over
			case a.Failed != "":
				return a.Err()
			}
			for _, e := range a.Events {
				f(cluster.Event{Key: e.Key, Value: cluster.Value{Data: e.Data, Rev: e.Rev}, Deleted: e.Deleted, Synced: e.Synced})
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-k.c.s.quit:
			return errNotSharing
		}
	}
}

// hearKept takes what came of a call. One that nobody waits for any more is
// none.
func (c *clusterProcess) hearKept(id uint64, a *wire.Kept) error {
	call := c.keeps[id]
	switch {
	case id == 0 || id > c.lastKeep:
		return errors.New("kept: nothing was asked for")
	case call == nil:
		return nil
	case !call.watch && len(a.Events) > 0:
		return errors.New("kept: events that were not asked for")
	case len(call.got) == cap(call.got):
		c.endKeep(id, errKeptSlow)
		return nil
	}
	call.got <- *a
	if !call.watch {
		delete(c.keeps, id)
	}
	return nil
}

func (c *clusterProcess) endKeep(id uint64, why error) {
	call := c.keeps[id]
	call.over = why
	close(call.got)
	delete(c.keeps, id)
}

// endKeeps is called when the process has ended.
func (c *clusterProcess) endKeeps() {
	for id := range c.keeps {
		c.endKeep(id, errNotSharing)
	}
}

// staplesAtOnce is how many of a worker's messages about OCSP responses are
// carried out at the same time; more are refused.
const staplesAtOnce = 8

// useStaples has workers share OCSP responses with other nodes.
func (c *clusterProcess) useStaples() {
	c.staples.Use(func() clustering.StapleStore { return keptStore{c} }, c.certKeys.Load, c.start.Namespace)
}

// hearStaple takes an OCSP response that a worker has fetched, or answers it
// with one of another node. What that is worth the worker judges.
func (s *supervisor) hearStaple(w *child, m wire.Message) error {
	if s.cluster == nil || w.staples.Add(1) > staplesAtOnce {
		if s.cluster != nil {
			w.staples.Add(-1)
		}
		if len(m.Data) > 0 {
			return nil
		}
		return wire.Send(w.proc.Link, wire.Message{Op: wire.OpData, ID: m.ID, Failed: "none"})
	}
	go func() {
		defer w.staples.Add(-1)
		share, leaf := &s.cluster.staples, [32]byte(m.Have)
		if len(m.Data) > 0 {
			share.Put(leaf, m.Data)
			return
		}
		wire.Send(w.proc.Link, wire.Message{Op: wire.OpData, ID: m.ID, Data: share.Get(context.Background(), leaf)})
	}()
	return nil
}
