package dirstore

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"netserver/cluster"
)

const (
	pollEvery = time.Second           // for what the system does not tell of
	gather    = 20 * time.Millisecond // changes that come together are looked at together
	gcEvery   = time.Minute
)

// A watch is the state of one Watch.
type watch struct {
	s      *store
	prefix string
	root   *os.Root
	told   map[string]*seen
	gc     time.Time // when to remove again what is over
	first  time.Time // when the next value ends; zero: none does
}

// seen is a file as it was told of, without its data.
type seen struct {
	*file
	there bool
}

// Watch implements cluster.Store.
func (s *store) Watch(ctx context.Context, prefix string, tell func(cluster.Event)) error {
	if err := cluster.CheckPrefix(prefix); err != nil {
		return err
	}
	notify, err := s.notify()
	if err != nil {
		s.o.Log.Warn("cluster: the system does not tell of changes in the directory; looking once a second", "directory", s.dir, "error", err)
	} else {
		defer notify.Close()
	}
	w := &watch{s: s, prefix: prefix, told: make(map[string]*seen)}
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for synced, all := false, true; ; synced = true {
		events, err := w.look(ctx, all)
		if err != nil {
			return err
		}
		if !synced {
			events = append(events, cluster.Event{Synced: true})
		}
		for _, e := range events {
			if err := ctx.Err(); err != nil {
				return err
			}
			tell(e)
		}
		if all, err = w.await(ctx, notify, poll.C); err != nil {
			return err
		}
	}
}

// notify returns what tells of changes.
func (s *store) notify() (*fsnotify.Watcher, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := n.Add(s.dir); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// await waits until there may be something new; all means that each file has to
// be looked at.
func (w *watch) await(ctx context.Context, n *fsnotify.Watcher, poll <-chan time.Time) (all bool, err error) {
	var (
		told   <-chan fsnotify.Event
		failed <-chan error
		ends   <-chan time.Time
		ready  <-chan time.Time
	)
	if n != nil {
		told, failed = n.Events, n.Errors
	}
	if !w.first.IsZero() {
		t := time.NewTimer(time.Until(w.first))
		defer t.Stop()
		ends = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-w.s.closed:
			return false, cluster.ErrClosed
		case e := <-told:
			if ready == nil && !strings.Contains(e.Name, tempPrefix) {
				t := time.NewTimer(gather)
				defer t.Stop()
				ready = t.C
			}
		case <-failed:
			return true, nil // events were lost
		case <-ready:
			return false, nil
		case <-ends:
			return false, nil
		case <-poll:
			return true, nil
		}
	}
}

// look returns what has changed. After an error w must not be used: its
// operation may still run.
func (w *watch) look(ctx context.Context, all bool) (events []cluster.Event, err error) {
	err = w.s.with(ctx, func(root *os.Root) error {
		if w.root != nil && w.root != root {
			return errors.New("the directory has been replaced")
		}
		w.root = root
		l, temps, err := list(root)
		if err != nil {
			return err
		}
		found, err := w.news(root, l, all)
		if err != nil {
			return err
		}
		if now := time.Now(); all && now.After(w.gc) {
			w.gc = now.Add(gcEvery)
			w.clean(root, l, temps)
		}
		events = found
		return nil
	})
	if err != nil {
		return nil, err
	}
	return events, nil
}

// news compares the directory with what was told.
func (w *watch) news(root *os.Root, l listing, all bool) (events []cluster.Event, err error) {
	keys, now := 0, time.Now()
	w.first = time.Time{}
	for _, key := range slices.Sorted(maps.Keys(l)) {
		if !strings.HasPrefix(key, w.prefix) {
			continue
		}
		if keys++; keys > cluster.MaxKeys {
			return nil, cluster.ErrTooMany
		}
		before := w.told[key]
		f, err := w.refresh(root, key, l.last(key), before, all)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the next look sees what is there instead
		}
		if err != nil {
			return nil, err
		}
		there := f.there()
		switch {
		case there && (before == nil || !before.there || before.Rev != f.Rev || (before.bad == nil) != (f.bad == nil)):
			events = append(events, event(key, f))
		case !there && before != nil && before.there:
			events = append(events, cluster.Event{Key: key, Deleted: true})
		}
		f.Data = nil
		w.told[key] = &seen{f, there}
		if there && f.until.After(now) && (w.first.IsZero() || f.until.Before(w.first)) {
			w.first = f.until
		}
	}
	for key, s := range w.told {
		if _, ok := l[key]; !ok {
			if delete(w.told, key); s.there {
				events = append(events, cluster.Event{Key: key, Deleted: true})
			}
			w.s.ends.Forget(key)
		}
	}
	return events, nil
}

// refresh returns the last write of a key, read again if it may be another.
func (w *watch) refresh(root *os.Root, key string, num uint32, before *seen, all bool) (*file, error) {
	if before != nil && before.num == num {
		if !all {
			return before.file, nil
		}
		info, err := root.Lstat(before.name)
		if err != nil || info.ModTime().Equal(before.since) {
			return before.file, err
		}
	}
	return w.s.read(root, key, num)
}

// event tells of what is there.
func event(key string, f *file) cluster.Event {
	if f.bad != nil {
		return cluster.Event{Key: key, Err: f.bad}
	}
	return cluster.Event{Key: key, Value: f.Value}
}

// clean removes what has been over for long, and what writers that were ended
// have left.
func (w *watch) clean(root *os.Root, l listing, temps []string) {
	limit := w.s.clock().Add(-gcAge)
	old := func(name string) bool {
		info, err := root.Lstat(name)
		return err == nil && info.ModTime().Before(limit)
	}
	for _, name := range temps {
		if old(name) {
			root.Remove(name)
		}
	}
	for key, nums := range l {
		for _, n := range nums[:len(nums)-1] {
			if name := fileName(key, n); old(name) {
				root.Remove(name)
			}
		}
		if s := w.told[key]; s != nil && !s.there && time.Since(s.until) > gcAge && old(s.name) {
			root.Remove(s.name)
		}
	}
}
