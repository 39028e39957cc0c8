package supervisor

import (
	"context"
	"errors"
	"testing"
	"time"

	"netserver/cluster"
	"netserver/daemon/internal/wire"
)

func certKeys(t *testing.T) *cluster.Keys {
	t.Helper()
	keys, err := cluster.ParseKeysFor(cluster.PurposeCertificates, []byte("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// A keptRig is a supervisor with a cluster process that a test plays.
func keptRig(t *testing.T) (*clusterProcess, func() wire.Message) {
	s := newWireState()
	s.cluster.proc = s.w
	go func() {
		for {
			select {
			case f := <-s.calls:
				f()
			case <-s.quit:
				return
			}
		}
	}()
	t.Cleanup(func() { close(s.quit); s.gens[0].stopTimers() })
	return s.cluster, func() wire.Message { return <-s.w.outbox }
}

func (c *clusterProcess) says(id uint64, k wire.Kept) (err error) {
	c.s.do(func() { err = c.hear(c.proc, wire.Message{Op: wire.OpKept, ID: id, Kept: &k}) })
	return err
}

// Calls are answered by their numbers; what was not asked for is against the
// protocol, and what comes too late is nothing.
func TestKeptCalls(t *testing.T) {
	c, asked := keptRig(t)
	store := c.certificates().Store()
	type result struct {
		v   cluster.Value
		err error
	}
	got := make(chan result, 1)
	get := func(ctx context.Context) {
		v, err := store.Get(ctx, "acme/x/cert/a.example")
		got <- result{v, err}
	}
	go get(t.Context())
	q := asked()
	if q.Op != wire.OpKeep || q.Keep.Verb != wire.KeepGet || q.Keep.Key != "acme/x/cert/a.example" {
		t.Errorf("%+v", q)
	}
	if c.says(q.ID+1, wire.Kept{}) == nil || c.says(0, wire.Kept{}) == nil || c.says(q.ID, wire.Kept{Events: make([]wire.KeptEvent, 1)}) == nil {
		t.Error("what was not asked for is taken")
	}
	if err := c.says(q.ID, wire.Kept{Data: []byte("v"), Rev: 7}); err != nil {
		t.Error(err)
	}
	if r := <-got; r.err != nil || string(r.v.Data) != "v" || r.v.Rev != 7 {
		t.Errorf("%+v", r)
	}
	if err := c.says(q.ID, wire.Kept{Data: []byte("again")}); err != nil {
		t.Error(err)
	}
	go get(t.Context())
	c.says(asked().ID, wire.Kept{Failed: wire.KeptMissing})
	if r := <-got; !errors.Is(r.err, cluster.ErrNotFound) {
		t.Errorf("%+v", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go get(ctx)
	asked()
	cancel()
	if r := <-got; !errors.Is(r.err, context.Canceled) {
		t.Errorf("%+v", r)
	}
	go get(t.Context())
	asked()
	c.s.do(func() { c.ended(c.proc); c.proc = nil })
	if r := <-got; r.err == nil {
		t.Error("a process that is gone has answered")
	}
	if _, err := store.Get(t.Context(), "x"); !errors.Is(err, errNotSharing) {
		t.Error(err)
	}
	c.s.do(func() {
		if len(c.keeps) != 0 {
			t.Errorf("%d calls are left", len(c.keeps))
		}
	})
}

// A watch ends when the process is gone, or tells more than is taken.
func TestKeptWatch(t *testing.T) {
	c, asked := keptRig(t)
	store := c.certificates().Store()
	seen, over, wait := make(chan cluster.Event, 10), make(chan error, 1), make(chan struct{})
	go func() {
		over <- store.Watch(t.Context(), "acme/x/", func(e cluster.Event) { seen <- e; <-wait })
	}()
	id := asked().ID
	c.says(id, wire.Kept{Events: []wire.KeptEvent{{Key: "acme/x/a", Data: []byte("1"), Rev: 1}, {Synced: true}}})
	if e := <-seen; e.Key != "acme/x/a" || string(e.Value.Data) != "1" {
		t.Errorf("%+v", e)
	}
	wait <- struct{}{}
	if e := <-seen; !e.Synced {
		t.Errorf("%+v", e)
	}
	for range keptRoom + 1 {
		if err := c.says(id, wire.Kept{Events: []wire.KeptEvent{{Key: "acme/x/a", Deleted: true}}}); err != nil {
			t.Fatal(err)
		}
	}
	go func() { // what has come is still taken
		for range seen {
		}
	}()
	close(wait)
	select {
	case err := <-over:
		if !errors.Is(err, errKeptSlow) {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("the watch goes on")
	}
	close(seen)
}
