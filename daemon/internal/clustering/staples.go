package clustering

import (
	"context"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"netserver/cluster"
	"netserver/daemon/internal/wire"
)

const (
	stapleTTL   = 7 * 24 * time.Hour
	stapleTime  = 5 * time.Second // for the store to answer, also one that is not open yet
	stapleAgain = 250 * time.Millisecond
	staplePause = 10 * time.Second // for which it is not asked after that
	maxStaples  = 1000             // certificates whose responses one server puts there
)

// A StapleStore is what Staples need of a store.
type StapleStore interface {
	Get(ctx context.Context, key string) (cluster.Value, error)
	Set(ctx context.Context, key string, data []byte, ttl time.Duration) (uint64, error)
}

// Staples are OCSP responses in the store, which nodes that have the same
// certificates share: a tlsparams.StapleShare. The zero value has none. Who
// takes one judges it as one that a responder gave.
type Staples struct {
	mu        sync.Mutex
	store     func() StapleStore // nil: none yet
	keys      func() *cluster.Keys
	namespace string
	put       map[[32]byte]struct{}
	until     time.Time // the store has not answered, and is not asked before
}

// Use has Staples use a store, in which keys seal.
func (s *Staples) Use(store func() StapleStore, keys func() *cluster.Keys, namespace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store, s.keys, s.namespace, s.put = store, keys, namespace, make(map[[32]byte]struct{})
}

func stapleKey(leaf [32]byte) string { return "ocsp/" + hex.EncodeToString(leaf[:16]) }

// Get returns the response for the certificate with a digest; nil for none.
func (s *Staples) Get(ctx context.Context, leaf [32]byte) []byte {
	s.mu.Lock()
	store, keys, skip := s.store, s.keys, time.Now().Before(s.until)
	s.mu.Unlock()
	if store == nil || skip {
		return nil
	}
	key := stapleKey(leaf)
	v, err := askFor(ctx, store, key)
	switch {
	case answered(err):
	case ctx.Err() == nil:
		s.mu.Lock()
		s.until = time.Now().Add(staplePause)
		s.mu.Unlock()
	}
	if err != nil {
		return nil
	}
	der, err := keys().Open(s.namespace, key, v.Data)
	if err != nil || len(der) > wire.MaxStaple {
		return nil
	}
	return der
}

// answered reports whether the error of a Get is an answer.
func answered(err error) bool {
	return err == nil || errors.Is(err, cluster.ErrNotFound) || errors.Is(err, cluster.ErrValue)
}

// askFor waits a while for the store to answer: at the start it is not open yet.
func askFor(ctx context.Context, store func() StapleStore, key string) (cluster.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, stapleTime)
	defer cancel()
	for {
		v, err := store().Get(ctx, key)
		if answered(err) {
			return v, err
		}
		t := time.NewTimer(stapleAgain)
		select {
		case <-ctx.Done():
			t.Stop()
			return v, err
		case <-t.C:
		}
	}
}

// Put puts a response there that was fetched.
func (s *Staples) Put(leaf [32]byte, der []byte) {
	s.mu.Lock()
	store, keys := s.store, s.keys
	_, known := s.put[leaf]
	full := !known && len(s.put) >= maxStaples
	if store != nil && !full {
		s.put[leaf] = struct{}{}
	}
	s.mu.Unlock()
	if store == nil || full || len(der) > wire.MaxStaple {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stapleTime)
	defer cancel()
	key := stapleKey(leaf)
	store().Set(ctx, key, keys().Seal(s.namespace, key, der), stapleTTL)
}
