package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A waiter is a client that waits for a place at a target.
type waiter struct {
	request
	got chan *endpoint // gets nil if there is nothing to wait for any more
}

// acquire returns a target for a client, with a place at it, which release gives
// back. It waits if all that are up have as many clients as they may.
func (b *Backend) acquire(ctx context.Context, r request) (*endpoint, error) {
	b.mu.Lock()
	ep, wait := b.choose(r)
	if ep != nil {
		ep.active.Add(1)
		b.mu.Unlock()
		return ep, nil
	}
	defer b.mu.Unlock()
	switch {
	case !wait:
		return nil, b.noTarget()
	case len(b.queue) >= orDefault(b.Queue, defaultQueue):
		return nil, noTarget{b.failed("", fmt.Errorf("each target has as many clients as it may, and %d wait", len(b.queue)))}
	}
	w := &waiter{request: r, got: make(chan *endpoint, 1)}
	w.tried = slices.Clone(r.tried) // of the client's stack
	b.queue = append(b.queue, w)
	b.mu.Unlock()
	ep, err := b.await(ctx, w)
	b.mu.Lock()
	return ep, err
}

// await waits for w's turn.
func (b *Backend) await(ctx context.Context, w *waiter) (ep *endpoint, err error) {
	limit := orDefault(b.QueueTime, defaultQueueTime)
	var late <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		late = t.C
	}
	select {
	case ep = <-w.got:
		if ep == nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			return nil, b.noTarget()
		}
		return ep, nil
	case <-late:
		err = noTarget{b.failed("", lateError("no place at a target within "+limit.String()))}
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	b.mu.Lock()
	if i := slices.Index(b.queue, w); i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
	}
	b.mu.Unlock()
	select {
	case ep = <-w.got: // at the same moment
		if ep != nil {
			return ep, nil
		}
	default:
	}
	return nil, err
}

// choose picks a target for r. If there is none, wait tells whether one may
// become free. Call it with b.mu held.
func (b *Backend) choose(r request) (ep *endpoint, wait bool) {
	if len(b.running) == 0 {
		b.haveNamesLookedUp()
	}
	ep, full := b.pick(r)
	if ep == nil && !full {
		ep = b.lastResort(r)
	}
	return ep, full || b.namesPending()
}

// haveNamesLookedUp starts look-ups, if some are due.
func (b *Backend) haveNamesLookedUp() {
	now := time.Now()
	due := func(s *source) bool { return s.named && !s.names.busy && !now.Before(s.names.next) }
	if !slices.ContainsFunc(b.sources, due) {
		return
	}
	select {
	case b.looking <- struct{}{}:
		go b.lookUpForClients()
	default:
	}
}

// lastResort returns the target for a client when all are down, if any is down
// only because clients could not be connected: that may be over, and is better
// than nothing. It is the one that was tried least recently.
func (b *Backend) lastResort(r request) (best *endpoint) {
	for _, ep := range b.order {
		h := &ep.health
		if !h.failing || h.down || ep.drain || !ep.hasRoom() || r.hasTried(ep) {
			continue
		}
		if best == nil || h.lastTried.Before(best.health.lastTried) {
			best = ep
		}
	}
	if best != nil {
		best.health.lastTried = time.Now()
	}
	return best
}

// noTarget is the error of a client for which no target is left. Call it with
// b.mu held.
func (b *Backend) noTarget() error {
	text := "no target of " + b.title() + " is up"
	if about := b.about(); about != "" {
		text += ": " + about
	}
	return noTarget{errors.New(text)}
}

// release gives back the place at ep.
func (b *Backend) release(ep *endpoint) {
	ep.active.Add(-1)
	if b.lone.Load() == ep {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.serveQueue()
}

// serveQueue gives places to clients that wait. Call it with b.mu held.
func (b *Backend) serveQueue() {
	for i := 0; i < len(b.queue); {
		w := b.queue[i]
		ep, wait := b.choose(w.request)
		switch {
		case ep != nil:
			ep.active.Add(1)
		case !wait: // nothing will come
		case len(w.tried) > 0:
			i++ // there may be something for those who come after it
			continue
		default:
			return
		}
		b.queue = slices.Delete(b.queue, i, i+1)
		w.got <- ep
	}
}
