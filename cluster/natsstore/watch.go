package natsstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"netserver/cluster"
)

const (
	pollEvery = 2 * time.Second // to see whether the server and the bucket are there
	gcEvery   = time.Minute
	gcAge     = 10 * time.Minute
	gcMost    = 200 // keys that are removed at a time
	maxKnown  = 3 * cluster.MaxKeys
)

// A watch is the state of one Watch. It has a connection of its own, which ends
// with it.
type watch struct {
	s      *store
	l      *link
	prefix string
	tell   func(cluster.Event)
	known  map[string]seen
	there  int       // how many of known are
	seq    uint64    // of the last message
	made   time.Time // the bucket
	first  time.Time // when the next value ends; zero: none does
	synced bool
	heard  time.Time // when the library last told of something
	gc     time.Time // when to remove again what is over
}

// seen is what a watch knows of a key.
type seen struct {
	seq   uint64
	until time.Time // zero: never
	there bool
	over  time.Time // since when it is not
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
	l, err := s.connect(begin)
	if err != nil {
		return s.told(ctx, nil, err)
	}
	defer l.close()
	defer s.whenClosed(l.close)()
	w := &watch{s: s, l: l, prefix: prefix, tell: tell, known: make(map[string]seen), gc: time.Now().Add(min(gcEvery, s.gcAge))}
	err = w.follow(ctx, begin)
	if errors.Is(err, cluster.ErrClosed) {
		return err
	}
	return s.told(ctx, l, err)
}

// follow begins the library's watch, within begin, and runs.
func (w *watch) follow(ctx, begin context.Context) error {
	info, err := w.l.stream.Info(begin)
	if err != nil {
		return err
	}
	w.seq, w.made, w.heard = info.State.LastSeq, info.Created, time.Now()
	if _, err := w.s.clock.now(begin, w.s, w.l); err != nil {
		return err
	}
	watching, cancel := context.WithCancel(w.l.ctx)
	defer cancel()
	stop := context.AfterFunc(begin, cancel)
	updates, err := w.s.feed(watching, w.l)
	stop()
	if begin.Err() != nil {
		return begin.Err()
	}
	if err != nil {
		return err
	}
	defer func() {
		w.l.close()
		go drain(updates)
	}()
	return w.run(ctx, updates)
}

// drain lets the library end, which may be about to tell of something.
func drain(updates <-chan *update) {
	for {
		select {
		case _, more := <-updates:
			if !more {
				return
			}
		case <-time.After(time.Second):
			return
		}
	}
}

func (w *watch) run(ctx context.Context, updates <-chan *update) error {
	poll := time.NewTicker(w.s.poll)
	defer poll.Stop()
	ends := time.NewTimer(time.Hour)
	defer ends.Stop()
	for {
		if !w.first.IsZero() {
			ends.Reset(time.Until(w.first))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.s.closed:
			return cluster.ErrClosed
		case <-w.l.ctx.Done():
			return errLost
		case u, more := <-updates:
			w.heard = time.Now()
			switch {
			case !more:
				return errLost
			case u != nil:
				if w.synced {
					w.s.clock.hear(u.created)
				}
				if err := w.update(ctx, u); err != nil {
					return err
				}
			case !w.synced:
				w.synced = true
				w.tell(cluster.Event{Synced: true})
			}
		case <-ends.C:
			w.end()
		case <-poll.C:
			if err := w.look(ctx); err != nil {
				return err
			}
		}
	}
}

// update tells of a message.
func (w *watch) update(ctx context.Context, u *update) error {
	w.seq = max(w.seq, u.seq)
	key := keys.Replace(u.name)
	if !strings.HasPrefix(key, w.prefix) || cluster.CheckKey(key) != nil {
		return nil
	}
	call, cancel := context.WithTimeout(ctx, w.s.o.Timeout)
	defer cancel()
	e := parseEntry(key, u.seq, u.created, u.gone, u.data)
	there, until, err := w.s.there(call, w.l, key, e)
	if err != nil {
		return err
	}
	before, now := w.known[key], seen{seq: e.seq, there: there}
	if there {
		now.until = until
	} else {
		now.over = time.Now()
	}
	if now.there && !before.there {
		w.there++
	} else if before.there && !now.there {
		w.there--
	}
	if w.there > cluster.MaxKeys {
		return fmt.Errorf("%w below %q", cluster.ErrTooMany, w.prefix)
	}
	if before.seq != 0 || len(w.known) < maxKnown {
		w.known[key] = now
	}
	if !now.until.IsZero() && (w.first.IsZero() || now.until.Before(w.first)) {
		w.first = now.until
	}
	switch {
	case now.there && e.bad != nil:
		w.tell(cluster.Event{Key: key, Err: e.bad})
	case now.there:
		w.tell(cluster.Event{Key: key, Value: e.Value})
	case before.there:
		w.tell(cluster.Event{Key: key, Deleted: true})
	}
	return nil
}

// end tells of values that have ended.
func (w *watch) end() {
	now := time.Now()
	w.first = time.Time{}
	for key, k := range w.known {
		switch {
		case !k.there || k.until.IsZero():
		case !now.Before(k.until):
			k.there, k.over = false, now
			w.known[key] = k
			w.there--
			w.tell(cluster.Event{Key: key, Deleted: true})
		case w.first.IsZero() || k.until.Before(w.first):
			w.first = k.until
		}
	}
}

// look finds out whether the server still answers, and tells of this bucket and
// of all that is in it.
func (w *watch) look(ctx context.Context) error {
	call, cancel := context.WithTimeout(ctx, w.s.o.Timeout)
	defer cancel()
	info, err := w.l.stream.Info(call)
	if err != nil {
		return err
	}
	if !info.Created.Equal(w.made) || info.State.LastSeq < w.seq {
		return errors.New("the bucket has been made again or restored")
	}
	silent := time.Since(w.heard)
	if !w.synced && silent > w.s.o.Timeout || w.synced && info.State.LastSeq > w.seq && silent > w.s.stall {
		return errors.New("the server does not tell of what is in the bucket")
	}
	if now := time.Now(); now.After(w.gc) {
		w.gc = now.Add(min(gcEvery, w.s.gcAge))
		w.clean(call, now)
	}
	return nil
}

// clean removes what has been over for long.
func (w *watch) clean(ctx context.Context, now time.Time) {
	n := 0
	for key, k := range w.known {
		if k.there || now.Sub(k.over) < w.s.gcAge {
			continue
		}
		if n++; n > gcMost {
			return
		}
		if err := w.l.stream.Purge(ctx, jetstream.WithPurgeSubject(w.s.subject(key)), jetstream.WithPurgeSequence(k.seq+1)); err != nil {
			w.s.o.Log.Debug("cluster: what is over cannot be removed from the bucket", "key", key, "error", limited(err))
			return
		}
		delete(w.known, key)
		w.s.ends.Forget(key)
	}
}
