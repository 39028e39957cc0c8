package storetest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"netserver/cluster"
)

// Watch implements cluster.Store.
func (c *MemoryClient) Watch(ctx context.Context, prefix string, tell func(cluster.Event)) error {
	if err := cluster.CheckPrefix(prefix); err != nil {
		return err
	}
	told, synced := map[string]uint64{}, false
	for {
		f, events, changed, next := c.look(prefix, told)
		switch {
		case f.Down:
			return ErrDown
		case f.Hang:
			next = time.Now().Add(c.timeout)
		case !synced:
			synced = true
			events = append(events, cluster.Event{Synced: true})
		}
		if f.Delay > 0 && len(events) > 0 {
			if err := c.pause(ctx, Faults{Delay: f.Delay}); err != nil {
				return err
			}
		}
		for _, e := range events {
			if err := ctx.Err(); err != nil {
				return err
			}
			tell(e)
		}
		over, err := c.await(ctx, changed, next)
		if err != nil {
			return err
		}
		if over && f.Hang {
			return context.DeadlineExceeded
		}
	}
}

// look returns the faults, what has changed since told, a channel that is closed
// at the next change, and when the next value ends.
func (c *MemoryClient) look(prefix string, told map[string]uint64) (Faults, []cluster.Event, <-chan struct{}, time.Time) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	f, next := c.both(), c.m.expire()
	var events []cluster.Event
	if !f.Hang && !f.Down {
		events = c.news(f, prefix, told)
	}
	if c.m.changed == nil {
		c.m.changed = make(chan struct{})
	}
	return f, events, c.m.changed, next
}

// news returns what has changed since told, which it brings up to date. The lock
// is held.
func (c *MemoryClient) news(f Faults, prefix string, told map[string]uint64) (events []cluster.Event) {
	for _, key := range slices.Sorted(maps.Keys(c.m.values)) {
		v := c.m.values[key]
		if !strings.HasPrefix(key, prefix) || told[key] == v.Rev {
			continue
		}
		told[key] = v.Rev
		e := cluster.Event{Key: key}
		e.Value, e.Err = c.lie(f, key, v.Value)
		events = append(events, e)
	}
	for _, key := range slices.Sorted(maps.Keys(told)) {
		if _, ok := c.m.values[key]; !ok {
			delete(told, key)
			events = append(events, cluster.Event{Key: key, Deleted: true})
		}
	}
	return events
}

// await waits for a change, or until a value's end, which is over.
func (c *MemoryClient) await(ctx context.Context, changed <-chan struct{}, end time.Time) (over bool, err error) {
	var ends <-chan time.Time
	if !end.IsZero() {
		t := time.NewTimer(time.Until(end))
		defer t.Stop()
		ends = t.C
	}
	select {
	case <-ends:
		return true, nil
	case <-changed:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	case <-c.closed:
		return false, cluster.ErrClosed
	}
}
