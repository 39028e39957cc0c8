package clustering

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"netserver/cluster"
	"netserver/daemon/internal/wire"
)

const (
	keepsAtOnce = 16                     // calls; others wait
	eventsEvery = 100 * time.Millisecond // the least time between two messages with events
	watchAgain  = time.Second            // after the store was lost
)

// A Keeper does in the store what the supervisor wants of it, whose values it
// cannot read.
type Keeper struct {
	s     *Sharing
	tell  func(id uint64, k wire.Kept)
	slots chan struct{}
	wg    sync.WaitGroup
	watch context.CancelFunc // the one that runs; nil is none
}

// NewKeeper returns a Keeper in the store of s, which tells what came of calls.
func NewKeeper(s *Sharing, tell func(id uint64, k wire.Kept)) *Keeper {
	return &Keeper{s: s, tell: tell, slots: make(chan struct{}, keepsAtOnce)}
}

// Do does it, on a goroutine of its own. It must not be called by two at once.
func (k *Keeper) Do(ctx context.Context, id uint64, q *wire.Keep) {
	if q.Verb == wire.KeepWatch {
		if k.watch != nil {
			k.watch()
		}
		ctx, k.watch = context.WithCancel(ctx)
		k.wg.Go(func() { k.follow(ctx, id, q.Key) })
		return
	}
	k.wg.Go(func() {
		k.slots <- struct{}{}
		defer func() { <-k.slots }()
		k.tell(id, k.call(ctx, q))
	})
}

func (k *Keeper) call(ctx context.Context, q *wire.Keep) (a wire.Kept) {
	var err error
	switch store := k.s.Store(); q.Verb {
	case wire.KeepGet:
		var v cluster.Value
		v, err = store.Get(ctx, q.Key)
		a.Data, a.Rev = v.Data, v.Rev
	case wire.KeepPut:
		a.Rev, err = store.Put(ctx, q.Key, q.Data, q.Rev, q.TTL)
	case wire.KeepSet:
		a.Rev, err = store.Set(ctx, q.Key, q.Data, q.TTL)
	case wire.KeepDelete:
		err = store.Delete(ctx, q.Key, q.Rev)
	default:
		err = cluster.ErrKey
	}
	if err != nil {
		return wire.Kept{Failed: wire.FailedKept(err)}
	}
	return a
}

// follow tells what is in the store below a prefix, until ctx ends.
func (k *Keeper) follow(ctx context.Context, id uint64, prefix string) {
	defer k.tell(id, wire.Kept{Failed: cluster.KindClosed})
	var wg sync.WaitGroup
	defer wg.Wait()
	p := &pending{wake: make(chan struct{}, 1), at: make(map[string]int)}
	wg.Go(func() { p.tell(ctx, func(list []wire.KeptEvent) { k.tell(id, wire.Kept{Events: list}) }) })
	for ctx.Err() == nil {
		k.s.Store().Watch(ctx, prefix, p.add) // why it ends the node says
		t := time.NewTimer(watchAgain/2 + rand.N(watchAgain))
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// pending are events that are to be told, the last of each key.
type pending struct {
	wake chan struct{}
	mu   sync.Mutex
	list []wire.KeptEvent
	at   map[string]int // place in list by key
}

func (p *pending) add(e cluster.Event) {
	if e.Err != nil {
		return
	}
	ev := wire.KeptEvent{Key: e.Key, Data: e.Value.Data, Rev: e.Value.Rev, Deleted: e.Deleted, Synced: e.Synced}
	p.mu.Lock()
	if i, ok := p.at[e.Key]; ok && !e.Synced {
		p.list[i] = ev
	} else {
		if !e.Synced {
			p.at[e.Key] = len(p.list)
		}
		p.list = append(p.list, ev)
	}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// some takes as many as go into a message.
func (p *pending) some() (list []wire.KeptEvent, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, size := 0, 0
	for n < len(p.list) && n < wire.MaxKeptEvents && size < wire.MaxKeptBytes {
		size += len(p.list[n].Data)
		n++
	}
	list, p.list = slices.Clone(p.list[:n]), slices.Clone(p.list[n:])
	clear(p.at)
	for i, e := range p.list {
		if !e.Synced {
			p.at[e.Key] = i
		}
	}
	return list, len(p.list) > 0
}

func (p *pending) tell(ctx context.Context, tell func([]wire.KeptEvent)) {
	for more := false; ; {
		if !more {
			select {
			case <-p.wake:
			case <-ctx.Done():
				return
			}
		}
		var list []wire.KeptEvent
		if list, more = p.some(); len(list) > 0 {
			tell(list)
		}
		t := time.NewTimer(eventsEvery)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}
