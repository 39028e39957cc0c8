package storetest

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver/cluster"
)

// A watcher keeps what a Watch tells.
type watcher struct {
	c      client
	cancel context.CancelFunc
	done   chan error

	mu      sync.Mutex
	keys    map[string]string // what is there
	syncs   int
	before  map[string]string // what was there at the first Synced
	deleted []string
}

// watch begins a Watch, which the test's end ends.
func (c client) watch(prefix string) *watcher {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{c: c, cancel: cancel, done: make(chan error, 1), keys: make(map[string]string)}
	go func() { w.done <- c.Watch(ctx, prefix, w.told) }()
	c.t.Cleanup(func() { cancel(); <-w.done })
	return w
}

func (w *watcher) told(e cluster.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case e.Synced:
		if w.syncs++; w.syncs == 1 {
			w.before = maps.Clone(w.keys)
		}
	case e.Deleted:
		delete(w.keys, e.Key)
		w.deleted = append(w.deleted, e.Key)
	case e.Err != nil:
		w.c.t.Errorf("Watch tells of %s: %v", e.Key, e.Err)
	default:
		if e.Value.Rev == 0 {
			w.c.t.Errorf("Watch tells of %s without a revision", e.Key)
		}
		w.keys[e.Key] = string(e.Value.Data)
	}
}

// synced waits until everything is told.
func (w *watcher) synced() {
	w.c.t.Helper()
	w.c.eventually("Watch has told of all that is there", func() bool {
		select {
		case err := <-w.done:
			w.done <- err
			w.c.t.Fatalf("Watch has ended: %v", err)
		default:
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.syncs > 0
	})
}

func (w *watcher) value(key string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.keys[key]
}

// sees waits until the keys and values are those of want.
func (w *watcher) sees(want map[string]string) {
	w.c.t.Helper()
	var got map[string]string
	defer func() {
		if !maps.Equal(got, want) {
			w.c.t.Logf("Watch sees %.300q, want %.300q", got, want)
		}
	}()
	w.c.eventually("Watch sees what is there", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		got = maps.Clone(w.keys)
		return maps.Equal(got, want)
	})
}

// end waits for the error of Watch.
func (w *watcher) end() error {
	w.c.t.Helper()
	select {
	case err := <-w.done:
		w.done <- err
		return err
	case <-time.After(patience):
		w.c.t.Fatalf("Watch has not ended within %v", patience)
	}
	return nil
}

func watch(t *testing.T, h *harness) {
	a, b := h.client(t), h.client(t)
	a.set("x", "1", 0)
	a.set("dir/y", "1", 0)
	w, same := b.watch(""), a.watch("")
	w.synced()
	same.synced()
	w.mu.Lock()
	if want := (map[string]string{"x": "1", "dir/y": "1"}); !maps.Equal(w.before, want) {
		t.Errorf("before Synced Watch has told of %v, want %v", w.before, want)
	}
	w.mu.Unlock()
	a.set("x", "2", 0)
	b.set("new", "1", time.Hour)
	want := map[string]string{"x": "2", "dir/y": "1", "new": "1"}
	w.sees(want)
	same.sees(want)
	a.wants("Delete", a.Delete(context.Background(), "dir/y", 0), nil)
	delete(want, "dir/y")
	w.sees(want)
	same.sees(want)
	b.put("dir/y", "again", 0, 0)
	want["dir/y"] = "again"
	w.sees(want)
	w.cancel()
	if err := w.end(); !errors.Is(err, context.Canceled) {
		t.Errorf("Watch ends with %v", err)
	}
	if w.syncs != 1 {
		t.Errorf("%d events with Synced", w.syncs)
	}
}

func watchPrefix(t *testing.T, h *harness) {
	a, b := h.client(t), h.client(t)
	empty := b.watch("nothing/")
	empty.synced()
	a.set("dir/x", "1", 0)
	w := b.watch("dir/")
	w.synced()
	a.set("dir", "1", 0)
	a.set("dirt/x", "1", 0)
	a.set("dir.x", "1", 0)
	a.set("other/dir/x", "1", 0)
	a.set("dir/deep/x", "1", 0)
	w.sees(map[string]string{"dir/x": "1", "dir/deep/x": "1"})
	empty.sees(map[string]string{})
}

func watchLast(t *testing.T, h *harness) {
	a, b := h.client(t), h.client(t)
	w := b.watch("")
	want := map[string]string{}
	for i := range 60 {
		key := "key/" + strconv.Itoa(i%5)
		want[key] = strconv.Itoa(i) + strings.Repeat("x", i*20)
		a.set(key, want[key], 0)
	}
	w.sees(want)
}

func watchEnd(t *testing.T, h *harness) {
	a, b := h.client(t), h.client(t)
	a.set("before", "1", ttl)
	w := b.watch("")
	w.synced()
	a.set("later", "1", ttl)
	a.set("stays", "1", 0)
	a.set("renewed", "1", ttl)
	a.set("renewed", "2", time.Hour)
	w.sees(map[string]string{"stays": "1", "renewed": "2"})
	a.set("later", "2", 0)
	w.sees(map[string]string{"stays": "1", "renewed": "2", "later": "2"})
}
