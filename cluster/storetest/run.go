package storetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"netserver/cluster"
)

// An Open opens a client of the store that is tested. Clients with the same
// namespace see the same keys. Run closes it.
type Open func(t *testing.T, namespace string) cluster.Store

// Run runs the cases that every store passes, each in a namespace of its own
// and all at once; it returns when all are done. They take about two seconds.
func Run(t *testing.T, open Open) {
	t.Run("cases", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				var random [8]byte
				rand.Read(random[:])
				c.run(t, &harness{open: open, namespace: "test-" + hex.EncodeToString(random[:])})
			})
		}
	})
}

// patience bounds the wait for what a store does by itself, on a loaded machine.
const patience = 30 * time.Second

// ttl is that of values that are seen to end.
const ttl = 300 * time.Millisecond

// A harness is what one case has.
type harness struct {
	open      Open
	namespace string
}

// client opens another client of the case's namespace.
func (h *harness) client(t *testing.T) client { return h.in(t, h.namespace) }

func (h *harness) in(t *testing.T, namespace string) client {
	t.Helper()
	s := h.open(t, namespace)
	t.Cleanup(func() { s.Close() })
	return client{s, t}
}

// A client's methods fail the test at errors.
type client struct {
	cluster.Store
	t *testing.T
}

func (c client) get(key string) cluster.Value {
	c.t.Helper()
	v, err := c.Get(context.Background(), key)
	if err != nil {
		c.t.Fatalf("Get %s: %v", key, err)
	}
	if v.Rev == 0 || v.Data == nil {
		c.t.Fatalf("Get %s: revision %d, data %v", key, v.Rev, v.Data)
	}
	return v
}

func (c client) put(key, data string, rev uint64, ttl time.Duration) uint64 {
	c.t.Helper()
	rev, err := c.Put(context.Background(), key, []byte(data), rev, ttl)
	if err != nil || rev == 0 {
		c.t.Fatalf("Put %s: revision %d, %v", key, rev, err)
	}
	return rev
}

func (c client) set(key, data string, ttl time.Duration) uint64 {
	c.t.Helper()
	rev, err := c.Set(context.Background(), key, []byte(data), ttl)
	if err != nil || rev == 0 {
		c.t.Fatalf("Set %s: revision %d, %v", key, rev, err)
	}
	return rev
}

// wants fails the test unless err is want.
func (c client) wants(what string, err, want error) {
	c.t.Helper()
	if !errors.Is(err, want) {
		c.t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

func (c client) missing(key string) {
	c.t.Helper()
	_, err := c.Get(context.Background(), key)
	c.wants("Get "+key, err, cluster.ErrNotFound)
}

// eventually waits until ok returns true.
func (c client) eventually(what string, ok func() bool) {
	c.t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			c.t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
