package access

import (
	"container/list"
	"net/netip"
	"time"
)

// A cache is an LRU cache of look-up results, guarded by Lookups.mu. The
// speeds of networks' name servers have their own list, so that a flood of
// addresses does not evict them.
type cache struct {
	results lru[question, Names]
	speeds  lru[netip.Prefix, speed]
}

// A speed is how fast a network's last look-up was.
type speed uint8

const (
	unknown speed = iota
	quick         // answered, even if only that there is no name
	slow          // did not answer within LookupConfig.patience
)

// speedTTL is how long a speed is remembered. It need not be short, since slow
// networks are tried again whenever there are places to spare.
const speedTTL = time.Hour

func (c *cache) get(q question, now time.Time) (Names, bool) { return c.results.get(q, now) }

func (c *cache) put(q question, n Names, now time.Time, cfg LookupConfig) {
	ttl := cfg.ttl()
	if n.Host == "" || q.double && len(n.Addrs) == 0 {
		ttl = cfg.failTTL()
	}
	c.results.put(q, n, now, ttl, cfg.cacheSize())
}

func (c *cache) speed(p netip.Prefix, now time.Time) speed {
	v, _ := c.speeds.get(p, now)
	return v
}

func (c *cache) putSpeed(p netip.Prefix, v speed, now time.Time, cfg LookupConfig) {
	c.speeds.put(p, v, now, speedTTL, max(cfg.cacheSize(), 1000))
}

// An lru is a map of bounded size whose entries expire.
type lru[K comparable, V any] struct {
	entries map[K]*list.Element
	order   list.List // most recently used first
}

type lruEntry[K comparable, V any] struct {
	key     K
	value   V
	expires time.Time
}

func (c *lru[K, V]) get(k K, now time.Time) (v V, ok bool) {
	e := c.entries[k]
	if e == nil {
		return v, false
	}
	entry := e.Value.(*lruEntry[K, V])
	if !now.Before(entry.expires) {
		c.remove(e)
		return v, false
	}
	c.order.MoveToFront(e)
	return entry.value, true
}

func (c *lru[K, V]) put(k K, v V, now time.Time, ttl time.Duration, size int) {
	if e := c.entries[k]; e != nil {
		c.remove(e)
	}
	if ttl <= 0 || size <= 0 {
		return
	}
	if c.entries == nil {
		c.entries = make(map[K]*list.Element)
	}
	for len(c.entries) >= size {
		c.remove(c.order.Back())
	}
	c.entries[k] = c.order.PushFront(&lruEntry[K, V]{k, v, now.Add(ttl)})
}

func (c *lru[K, V]) remove(e *list.Element) {
	delete(c.entries, e.Value.(*lruEntry[K, V]).key)
	c.order.Remove(e)
}
