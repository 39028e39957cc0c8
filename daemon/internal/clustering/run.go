package clustering

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"netserver/cluster"
	"netserver/daemon/internal/wire"
)

// Stores open the stores that this program links, by the scheme of their URLs.
type Stores map[string]cluster.Opener

// A Sharing is a node that runs. Its methods may be called at any time; before
// it runs they do nothing.
type Sharing struct {
	node  atomic.Pointer[cluster.Node]
	store atomic.Pointer[cluster.Store]
}

// Store returns the node's store; one that cannot be reached before it runs.
// Whoever has it must not close it.
func (s *Sharing) Store() cluster.Store {
	if store := s.store.Load(); store != nil {
		return *store
	}
	return noStore{}
}

// noStore is a store that is not open.
type noStore struct{}

var errNoStore = errors.New("the store is not open yet")

func (noStore) Get(context.Context, string) (v cluster.Value, err error) { return v, errNoStore }
func (noStore) Put(context.Context, string, []byte, uint64, time.Duration) (uint64, error) {
	return 0, errNoStore
}
func (noStore) Set(context.Context, string, []byte, time.Duration) (uint64, error) {
	return 0, errNoStore
}
func (noStore) Delete(context.Context, string, uint64) error             { return errNoStore }
func (noStore) Watch(context.Context, string, func(cluster.Event)) error { return errNoStore }
func (noStore) Close() error                                             { return nil }

// Report takes what this server shares.
func (s *Sharing) Report(r cluster.Report) {
	if n := s.node.Load(); n != nil {
		n.Report(r)
	}
}

// Lifted takes what was lifted out of the penalty box of this server.
func (s *Sharing) Lifted(p netip.Prefix) {
	if n := s.node.Load(); n != nil {
		n.Lift(p)
	}
}

// Distrust has all nodes move on to other ticket secrets.
func (s *Sharing) Distrust() {
	if n := s.node.Load(); n != nil {
		n.Distrust()
	}
}

// Run opens the store and shares by it until ctx ends. tell takes what other
// nodes share. An error is that this can't be done: something has to be changed
// first, or another node has the name.
func (s *Sharing) Run(ctx context.Context, c *wire.Cluster, stores Stores, log *slog.Logger, tell func(cluster.News)) error {
	keys, err := cluster.KeysOf(c.Keys)
	if err != nil {
		return fmt.Errorf("%s: %w", KeyFile, err)
	}
	open, err := stores.find(c.URL)
	if err != nil {
		return err
	}
	cfg, err := tlsConfig(c)
	if err != nil {
		return err
	}
	store, err := open(ctx, c.URL, cluster.StoreOptions{Namespace: c.Namespace, Password: c.Password, TLS: cfg, Log: log})
	if err != nil {
		return fmt.Errorf("%s: %w", KeyURL, err)
	}
	defer store.Close()
	n, err := cluster.New(cluster.Config{Store: store, Keys: keys, Namespace: c.Namespace, Name: c.Name, Tell: tell, Log: log, MaxPenalty: c.MaxPenalty, Quorum: c.Quorum})
	if err != nil {
		return err
	}
	s.store.Store(&store)
	defer s.store.Store(nil)
	s.node.Store(n)
	defer s.node.Store(nil)
	return n.Run(ctx)
}

// find returns what opens the store of a URL.
func (s Stores) find(url string) (cluster.Opener, error) {
	scheme, _, _ := strings.Cut(url, ":")
	if open := s[scheme]; open != nil {
		return open, nil
	}
	return nil, fmt.Errorf("%s: no store is known for %q", KeyURL, cmp.Or(scheme, url))
}
