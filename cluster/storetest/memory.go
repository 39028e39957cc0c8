package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"netserver/cluster"
)

// Memory is the data of a store in memory, to which any number of clients are
// connected; the zero value is ready. Under testing/synctest it uses the
// bubble's clock; a Memory must be used in one bubble only.
type Memory struct {
	mu      sync.Mutex
	values  map[string]memoryValue
	first   map[string]cluster.Value // the oldest value of each key, which a store that lies returns
	rev     uint64
	faults  Faults
	changed chan struct{} // closed at the next change; nil if nobody waits
	writes  int
}

type memoryValue struct {
	cluster.Value
	until time.Time // zero: it stays
}

// Faults are what is wrong with a store, or with one client's way to it. The
// zero value is a store that works.
type Faults struct {
	Down     bool          // every call fails at once, and every Watch ends
	Hang     bool          // every call waits for its context or the client's timeout; a Watch tells nothing
	Delay    time.Duration // of every call and every event
	ReadOnly bool          // writes fail with cluster.ErrReadOnly
	Full     bool          // writes fail with cluster.ErrFull
	Lost     bool          // writes happen, and fail as if the answer was lost

	// Lies: what is read is not what was written.
	Garbage  bool // bytes that nobody wrote
	Old      bool // the first value that was ever written under the key, with the revision of now
	Oversize bool // more than cluster.MaxValue: the client returns cluster.ErrValue, as every store's client does
}

// ErrDown is the error of a Memory that is down.
var ErrDown = errors.New("the store in memory is down")

// SetFaults sets the faults of the store, which all clients see.
func (m *Memory) SetFaults(f Faults) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = f
	m.wake()
}

// Writes returns the number of writes and deletions that happened.
func (m *Memory) Writes() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writes
}

// Keys returns the keys that are there, sorted.
func (m *Memory) Keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire()
	return slices.Sorted(maps.Keys(m.values))
}

// A Backup is what a Memory held at one time.
type Backup struct{ values map[string]memoryValue }

// Backup returns what the store holds now.
func (m *Memory) Backup() Backup {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire()
	return Backup{maps.Clone(m.values)}
}

// Restore puts a backup in place of what is there, as an operator would: the old
// revisions are back, and what would have gone in the meantime goes now.
func (m *Memory) Restore(b Backup) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values = maps.Clone(b.values)
	m.wake()
}

// Write writes below a client's checks, as another program would.
func (m *Memory) Write(key string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.write(key, data, 0)
}

// Client returns a client of m. Close closes it and leaves the data.
func (m *Memory) Client() *MemoryClient {
	return &MemoryClient{m: m, closed: make(chan struct{}), timeout: cluster.DefaultTimeout}
}

// expire forgets what is over. The lock is held.
func (m *Memory) expire() (next time.Time) {
	now := time.Now()
	for key, v := range m.values {
		switch {
		case v.until.IsZero():
		case !v.until.After(now):
			delete(m.values, key)
		case next.IsZero() || v.until.Before(next):
			next = v.until
		}
	}
	return next
}

// wake tells every Watch to look. The lock is held.
func (m *Memory) wake() {
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}

// write is Set. The lock is held.
func (m *Memory) write(key string, data []byte, ttl time.Duration) uint64 {
	if m.values == nil {
		m.values, m.first = make(map[string]memoryValue), make(map[string]cluster.Value)
	}
	m.rev++
	m.writes++
	v := memoryValue{Value: cluster.Value{Data: copied(data), Rev: m.rev}}
	if ttl > 0 {
		v.until = time.Now().Add(ttl)
	}
	m.values[key] = v
	if _, ok := m.first[key]; !ok {
		m.first[key] = v.Value
	}
	m.wake()
	return m.rev
}

// copied never returns nil.
func copied(b []byte) []byte { return append([]byte{}, b...) }

// A MemoryClient is one client's connection to a Memory: a cluster.Store.
type MemoryClient struct {
	m       *Memory
	timeout time.Duration
	once    sync.Once
	closed  chan struct{}
	faults  Faults // below m.mu
}

// SetFaults sets the faults that this client alone sees, as a partition. They
// add to those of the store.
func (c *MemoryClient) SetFaults(f Faults) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	c.faults = f
	c.m.wake()
}

// Close implements cluster.Store.
func (c *MemoryClient) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// both returns the faults that the client sees. The lock is held.
func (c *MemoryClient) both() Faults {
	f, g := c.m.faults, c.faults
	return Faults{
		Down: f.Down || g.Down, Hang: f.Hang || g.Hang, Delay: f.Delay + g.Delay,
		ReadOnly: f.ReadOnly || g.ReadOnly, Full: f.Full || g.Full, Lost: f.Lost || g.Lost,
		Garbage: f.Garbage || g.Garbage, Old: f.Old || g.Old, Oversize: f.Oversize || g.Oversize,
	}
}

// begin waits as long as the faults want, and returns with the lock held if
// there is no error.
func (c *MemoryClient) begin(ctx context.Context) (Faults, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	c.m.mu.Lock()
	f := c.both()
	if f.Hang || f.Delay > 0 {
		c.m.mu.Unlock()
		if err := c.pause(ctx, f); err != nil {
			return f, err
		}
		c.m.mu.Lock()
		f = c.both()
	}
	err := ctx.Err()
	select {
	case <-c.closed:
		err = cluster.ErrClosed
	default:
	}
	if err == nil && f.Down {
		err = ErrDown
	}
	if err != nil {
		c.m.mu.Unlock()
		return f, err
	}
	c.m.expire()
	return f, nil
}

func (c *MemoryClient) pause(ctx context.Context, f Faults) error {
	var over <-chan time.Time
	if !f.Hang {
		t := time.NewTimer(f.Delay)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.closed:
		return cluster.ErrClosed
	}
}

// lie returns what the client reads where v is stored.
func (c *MemoryClient) lie(f Faults, key string, v cluster.Value) (cluster.Value, error) {
	switch {
	case f.Oversize:
		return cluster.Value{}, fmt.Errorf("%w: %s has more than %d bytes", cluster.ErrValue, key, cluster.MaxValue)
	case f.Garbage:
		return cluster.Value{Data: bytes.Repeat([]byte("garbage "), 8), Rev: v.Rev}, nil
	case f.Old:
		return cluster.Value{Data: copied(c.m.first[key].Data), Rev: v.Rev}, nil
	case len(v.Data) > cluster.MaxValue:
		return cluster.Value{}, fmt.Errorf("%w: %s has %d bytes", cluster.ErrValue, key, len(v.Data))
	}
	return cluster.Value{Data: copied(v.Data), Rev: v.Rev}, nil
}

// Get implements cluster.Store.
func (c *MemoryClient) Get(ctx context.Context, key string) (cluster.Value, error) {
	if err := cluster.CheckKey(key); err != nil {
		return cluster.Value{}, err
	}
	f, err := c.begin(ctx)
	if err != nil {
		return cluster.Value{}, err
	}
	defer c.m.mu.Unlock()
	v, ok := c.m.values[key]
	if !ok {
		return cluster.Value{}, fmt.Errorf("%s: %w", key, cluster.ErrNotFound)
	}
	return c.lie(f, key, v.Value)
}

// Put implements cluster.Store.
func (c *MemoryClient) Put(ctx context.Context, key string, data []byte, rev uint64, ttl time.Duration) (uint64, error) {
	return c.write(ctx, key, data, ttl, &rev)
}

// Set implements cluster.Store.
func (c *MemoryClient) Set(ctx context.Context, key string, data []byte, ttl time.Duration) (uint64, error) {
	return c.write(ctx, key, data, ttl, nil)
}

func (c *MemoryClient) write(ctx context.Context, key string, data []byte, ttl time.Duration, rev *uint64) (uint64, error) {
	if err := cluster.CheckWrite(key, data, ttl); err != nil {
		return 0, err
	}
	f, err := c.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer c.m.mu.Unlock()
	switch {
	case f.ReadOnly:
		return 0, cluster.ErrReadOnly
	case f.Full:
		return 0, cluster.ErrFull
	case rev != nil && c.m.values[key].Rev != *rev:
		return 0, fmt.Errorf("%s: %w", key, cluster.ErrChanged)
	}
	written := c.m.write(key, data, ttl)
	if f.Lost {
		return 0, ErrDown
	}
	return written, nil
}

// Delete implements cluster.Store.
func (c *MemoryClient) Delete(ctx context.Context, key string, rev uint64) error {
	if err := cluster.CheckKey(key); err != nil {
		return err
	}
	f, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer c.m.mu.Unlock()
	v, there := c.m.values[key]
	switch {
	case f.ReadOnly:
		return cluster.ErrReadOnly
	case rev != 0 && v.Rev != rev:
		return fmt.Errorf("%s: %w", key, cluster.ErrChanged)
	}
	if there {
		delete(c.m.values, key)
		c.m.writes++
		c.m.wake()
	}
	if f.Lost {
		return ErrDown
	}
	return nil
}
