package acme

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"netserver/cluster"
)

// A Store is where nodes of a cluster share certificates: a cluster.Store, or a
// way to one.
type Store interface {
	Get(ctx context.Context, key string) (cluster.Value, error)
	Put(ctx context.Context, key string, data []byte, rev uint64, ttl time.Duration) (uint64, error)
	Set(ctx context.Context, key string, data []byte, ttl time.Duration) (uint64, error)
	Delete(ctx context.Context, key string, rev uint64) error
	Watch(ctx context.Context, prefix string, f func(cluster.Event)) error
}

// A Cluster is how certificates are shared with other nodes. The store, and
// whoever is on the way to it, is not trusted.
type Cluster struct {
	Store     func() Store         // the one that is to be used now
	Keys      func() *cluster.Keys // seal all that goes there
	Namespace string               // what was sealed for another is refused
	Node      string               // the name of this node
}

// Kinds of keys in the store, below acme/DIGEST/ of the directory's URL, so that
// certificates of two authorities do not meet.
const (
	kindAccount   = "account"   // the account's key
	kindCert      = "cert"      // by name: certificate and key
	kindLease     = "lease"     // by name: who makes an order
	kindState     = "state"     // by name: what has failed
	kindChallenge = "challenge" // by name: the answer to an authority
	kindNode      = "node"      // by node: which challenges it answers
)

const (
	sharedVersion = 1
	maxLabel      = 120 // bytes of a name in a key; for a longer one stands its digest
)

// A shared is what is sealed. One of a later version is read as far as it is
// known.
type shared struct {
	V    int    `json:"v"`
	Node string `json:"node"` // who wrote it
	Time int64  `json:"time"` // Unix, in ms, by its clock

	Key    string   `json:"key,omitempty"`    // of an account, PEM
	Cert   string   `json:"cert,omitempty"`   // key and chain, PEM
	Holder string   `json:"holder,omitempty"` // of a lease: a number of the Manager
	Past   *past    `json:"past,omitempty"`
	Name   string   `json:"name,omitempty"` // of a challenge
	ID     string   `json:"id,omitempty"`
	Digest []byte   `json:"digest,omitempty"` // of TLS-ALPN-01
	Token  string   `json:"token,omitempty"`  // of HTTP-01
	Text   string   `json:"text,omitempty"`
	Shown  []string `json:"shown,omitempty"` // challenges that a node answers, by ID

	aging bool // sealed by a key that will be removed
}

var (
	errRefused = errors.New("not a value of a node of this cluster")
	errNoHTTP  = errors.New("a node orders by HTTP-01, and acme_challenge says otherwise at this one, which may have no port for that")
	errTooLong = fmt.Errorf("it is too long to be shared: more than %d KiB", cluster.MaxPlain>>10)
)

// prefixOf is what all keys of a directory begin with.
func prefixOf(directory string) string { return "acme/" + shortDigest(directory) + "/" }

func shortDigest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// labelOf is a DNS name as a part of a key.
func labelOf(name string) string {
	if len(name) <= maxLabel {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "sha256." + hex.EncodeToString(sum[:])
}

func (s *sharing) key(kind, label string) string { return s.prefix + kind + "/" + label }

// cut is the way back from key.
func (s *sharing) cut(key string) (kind, label string) {
	kind, label, _ = strings.Cut(strings.TrimPrefix(key, s.prefix), "/")
	return kind, label
}

// seal makes the value of a key.
func (s *sharing) seal(key string, v shared) ([]byte, error) {
	v.V, v.Node, v.Time = sharedVersion, s.c.Node, s.m.now().UnixMilli()
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(plain) > cluster.MaxPlain {
		return nil, errTooLong
	}
	return s.c.Keys().Seal(s.c.Namespace, key, plain), nil
}

// unseal reads a value of a key, which only nodes of this cluster can have made.
func (s *sharing) unseal(key string, data []byte) (*shared, error) {
	plain, err := s.c.Keys().Open(s.c.Namespace, key, data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	v := &shared{aging: !s.c.Keys().Current(data)}
	if json.Unmarshal(plain, v) != nil || v.V < sharedVersion || cluster.CheckName(v.Node) != nil || v.Time < 0 {
		return nil, errRefused
	}
	return v, nil
}

// storeTime bounds a call of the store.
const storeTime = 5 * time.Second

// get reads a key. The error is errRefused if what is there is not ours, and
// rev is its revision.
func (s *sharing) get(ctx context.Context, key string) (v *shared, rev uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	have, err := s.c.Store().Get(ctx, key)
	if errors.Is(err, cluster.ErrValue) {
		err = errRefused
	}
	if err != nil {
		return nil, 0, err
	}
	v, err = s.unseal(key, have.Data)
	return v, have.Rev, err
}

func (s *sharing) put(ctx context.Context, key string, v shared, rev uint64, ttl time.Duration) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	data, err := s.seal(key, v)
	if err != nil {
		return 0, err
	}
	return s.c.Store().Put(ctx, key, data, rev, ttl)
}

func (s *sharing) set(ctx context.Context, key string, v shared, ttl time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	data, err := s.seal(key, v)
	if err == nil {
		_, err = s.c.Store().Set(ctx, key, data, ttl)
	}
	return err
}

func (s *sharing) remove(ctx context.Context, key string, rev uint64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	s.c.Store().Delete(ctx, key, rev)
}
