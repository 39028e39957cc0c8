package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"netserver/cluster"
)

const (
	pollEvery = 2 * time.Second // for values that end, and what the channel did not tell
	scanCount = 500
)

// A watch is the state of one Watch.
type watch struct {
	s      *store
	prefix string
	tell   func(cluster.Event)
	told   map[string]uint64 // revisions; 0 is one that cannot be read

	mu    sync.Mutex
	named map[string]bool // keys that the channel has told of
	ready chan struct{}   // there are some
}

// Watch implements cluster.Store.
func (s *store) Watch(ctx context.Context, prefix string, tell func(cluster.Event)) error {
	if err := cluster.CheckPrefix(prefix); err != nil {
		return err
	}
	begin, cancel, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	sub := s.c.Subscribe(begin, s.channel())
	w := &watch{s: s, prefix: prefix, tell: tell, told: make(map[string]uint64), named: make(map[string]bool), ready: make(chan struct{}, 1)}
	if _, err := sub.ReceiveTimeout(begin, s.o.Timeout); err != nil {
		sub.Close()
		return s.ended(ctx, err)
	}
	failed := make(chan error, 1)
	go w.listen(ctx, sub, failed)
	err = w.run(ctx, failed)
	sub.Close()
	<-failed
	return s.ended(ctx, err)
}

// ended returns why a Watch ends.
func (s *store) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.told(err)
}

// listen notes what the channel tells. Its error ends failed.
func (w *watch) listen(ctx context.Context, sub *redis.PubSub, failed chan<- error) {
	defer close(failed)
	for {
		got, err := sub.ReceiveTimeout(ctx, time.Minute)
		var slow net.Error
		if errors.As(err, &slow) && slow.Timeout() && ctx.Err() == nil {
			continue // silence; the polls see whether the server is there
		}
		if err != nil {
			failed <- err
			return
		}
		m, ok := got.(*redis.Message)
		if !ok || !strings.HasPrefix(m.Payload, w.prefix) || cluster.CheckKey(m.Payload) != nil {
			continue
		}
		w.mu.Lock()
		if len(w.named) < cluster.MaxKeys {
			w.named[m.Payload] = true
		}
		w.mu.Unlock()
		select {
		case w.ready <- struct{}{}:
		default:
		}
	}
}

func (w *watch) run(ctx context.Context, failed <-chan error) error {
	if err := w.all(ctx); err != nil {
		return err
	}
	w.tell(cluster.Event{Synced: true})
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.s.closed:
			return cluster.ErrClosed
		case err := <-failed:
			return err
		case <-w.ready:
			w.mu.Lock()
			named := w.named
			w.named = make(map[string]bool)
			w.mu.Unlock()
			for key := range named {
				if err = w.one(ctx, key); err != nil {
					break
				}
			}
		case <-poll.C:
			err = w.all(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// one reads a key and tells what has changed.
func (w *watch) one(ctx context.Context, key string) error {
	v, err := w.s.Get(ctx, key)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	before, there := w.told[key]
	switch {
	case errors.Is(err, cluster.ErrNotFound):
		if there {
			delete(w.told, key)
			w.tell(cluster.Event{Key: key, Deleted: true})
		}
	case errors.Is(err, cluster.ErrValue):
		if !there || before != 0 {
			w.told[key] = 0
			w.tell(cluster.Event{Key: key, Err: err})
		}
	case err != nil:
		return err
	case !there || before != v.Rev:
		if len(w.told) >= cluster.MaxKeys {
			return cluster.ErrTooMany
		}
		w.told[key] = v.Rev
		w.tell(cluster.Event{Key: key, Value: v})
	}
	return nil
}

// all compares everything that is there with what was told.
func (w *watch) all(ctx context.Context) error {
	names, err := w.list(ctx)
	if err != nil {
		return err
	}
	for key := range w.told {
		names[key] = true
	}
	keys := make([]string, 0, len(names))
	for key := range names {
		keys = append(keys, key)
	}
	for len(keys) > 0 {
		n := min(scanCount, len(keys))
		if err := w.compare(ctx, keys[:n]); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// compare reads the heads of keys, and the values of those that are new.
func (w *watch) compare(ctx context.Context, keys []string) error {
	call, cancel, err := w.s.begin(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	heads := make([]*redis.StringCmd, len(keys))
	// A head that cannot be read is an error of its own, which one tells.
	_, err = w.s.c.Pipelined(call, func(p redis.Pipeliner) error {
		for i, key := range keys {
			heads[i] = p.GetRange(call, w.s.valueKey(key), 0, int64(headSize-1))
		}
		return nil
	})
	var answer redis.Error
	if err != nil && !errors.As(err, &answer) {
		return err
	}
	for i, key := range keys {
		rev, there := w.told[key]
		raw := heads[i].Val()
		if raw == "" && !there && heads[i].Err() == nil || there && rev != 0 && revision(raw) == rev {
			continue
		}
		if err := w.one(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// list returns the names below the prefix. A name whose value has ended stays in
// the set until the next write of the key.
func (w *watch) list(ctx context.Context) (map[string]bool, error) {
	names, cursor, seen := make(map[string]bool), uint64(0), 0
	for range cluster.MaxKeys {
		call, cancel, err := w.s.begin(ctx)
		if err != nil {
			return nil, err
		}
		page, next, err := w.s.c.SScan(call, w.s.names(), cursor, "", scanCount).Result()
		cancel()
		if err != nil {
			return nil, err
		}
		for _, key := range page {
			if strings.HasPrefix(key, w.prefix) && cluster.CheckKey(key) == nil {
				names[key] = true
			}
		}
		// Names that are none of ours cost time too.
		if seen += len(page); len(names) > 2*cluster.MaxKeys || seen > 4*cluster.MaxKeys {
			return nil, fmt.Errorf("%w below %q", cluster.ErrTooMany, w.prefix)
		}
		if cursor = next; cursor == 0 {
			return names, nil
		}
	}
	return nil, fmt.Errorf("%w: the list of names has no end", cluster.ErrTooMany)
}
