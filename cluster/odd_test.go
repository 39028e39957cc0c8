package cluster_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"netserver/cluster"
	"netserver/cluster/storetest"
)

// An oddStore says of ticket secrets that another has written them, and cannot
// read them.
type oddStore struct {
	cluster.Store
	odd atomic.Bool
}

func (s *oddStore) Put(ctx context.Context, key string, data []byte, rev uint64, ttl time.Duration) (uint64, error) {
	if s.odd.Load() && strings.HasPrefix(key, "tickets/") {
		return 0, cluster.ErrChanged
	}
	return s.Store.Put(ctx, key, data, rev, ttl)
}

func (s *oddStore) Get(ctx context.Context, key string) (cluster.Value, error) {
	if s.odd.Load() && strings.HasPrefix(key, "tickets/") {
		return cluster.Value{}, errors.New("odd")
	}
	return s.Store.Get(ctx, key)
}

// A store that neither takes a ticket secret nor gives the one that is there is
// counted, without a line for each time, and asked again; all else goes on.
func TestStoreIsOddAboutTickets(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		var odd oddStore
		odd.odd.Store(true)
		n := newNode(t, m, "a", func(c *cluster.Config) { odd.Store, c.Store = c.Store, &odd })
		defer n.stop()
		settle(30 * time.Second)
		s := n.Status()
		if failed := s.Errors[cluster.KindUnreachable]; failed < 2 || failed > 100 {
			t.Errorf("errors %v", s.Errors)
		}
		if log := n.logText(); strings.Count(log, "\n") > 5 {
			t.Errorf("the log is long: %s", log)
		}
		odd.odd.Store(false)
		settle(30 * time.Second)
		if now := n.Status(); now.Sent == 0 || time.Since(now.Exchanged) > 10*time.Second || now.Errors[cluster.KindUnreachable] > s.Errors[cluster.KindUnreachable] {
			t.Errorf("%d bytes sent, the last at %v, errors %v", now.Sent, now.Exchanged, now.Errors)
		}
		if !slices.ContainsFunc(m.Keys(), func(key string) bool { return strings.HasPrefix(key, "tickets/") }) {
			t.Errorf("there are no ticket secrets in %v", m.Keys())
		}
	})
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"a": true, "9": true, "front-1.example": true, strings.Repeat("a", 64): true,
		strings.Repeat("a", 65): false, "": false, "-a": false, "_a": false, ".a": false, "a/b": false, "A": false, "ä": false,
	} {
		if err := cluster.CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Counts of what is no network are written in no form.
func TestCountsOfNoNetwork(t *testing.T) {
	c := cluster.Counts{{Prefix: netip.Prefix{}, Conns: 1}}
	if b, err := c.MarshalBinary(); err == nil {
		t.Errorf("%x", b)
	}
	if b, err := c.MarshalText(); err == nil {
		t.Errorf("%s", b)
	}
}

func TestNewRefuses(t *testing.T) {
	good := cluster.Config{Store: new(storetest.Memory).Client(), Keys: testKeys(t, "k"), Name: "a", Tell: func(cluster.News) {}}
	if _, err := cluster.New(good); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*cluster.Config){
		"name":  func(c *cluster.Config) { c.Name = "A" },
		"store": func(c *cluster.Config) { c.Store = nil },
		"keys":  func(c *cluster.Config) { c.Keys = nil },
		"tell":  func(c *cluster.Config) { c.Tell = nil },
		"epoch": func(c *cluster.Config) { c.Epoch = time.Second },
		"less":  func(c *cluster.Config) { c.Epoch = -time.Hour },
		"none":  func(c *cluster.Config) { c.Quorum = -1 },
		"all":   func(c *cluster.Config) { c.Quorum = cluster.MaxNodes },
	} {
		cfg := good
		change(&cfg)
		if n, err := cluster.New(cfg); err == nil || n != nil {
			t.Errorf("%s: %v, %v", what, n, err)
		}
	}
}

// Nodes that share refuse nothing of each other, at no time of an epoch, nor if
// the clock of one is behind by half of one.
func TestNothingGoodIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		epoch := func(c *cluster.Config) { c.Epoch = time.Minute }
		a, b := newNode(t, m, "a", epoch), newNode(t, m, "b", epoch, func(c *cluster.Config) {
			c.Clock = func() time.Time { return time.Now().Add(-30 * time.Second) }
		})
		defer a.stop()
		defer b.stop()
		a.ban("192.0.2.1/32", time.Hour, false)
		settle(3 * time.Minute)
		for _, n := range []*testNode{a, b} {
			if s := n.Status(); s.Errors["refused"] != 0 || !s.Up {
				t.Errorf("up %v, errors %v", s.Up, s.Errors)
			}
		}
	})
}
