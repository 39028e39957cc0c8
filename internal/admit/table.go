package admit

import (
	"hash/maphash"
	"net/netip"
	"sync"
)

const shards = 16

// defaultSources is how many sources and networks without open connections a
// table remembers.
const defaultSources = 65536

// A table holds the state of sources and their wide networks. A wide network
// and all its sources are in one shard, under one lock.
type table struct {
	seed   maphash.Seed
	shards [shards]tableShard
}

type tableShard struct {
	mu         sync.Mutex
	m          map[prefix]*entry
	head, tail *entry   // without a connection, longest idle first
	idle, keep int      // number of those, and its limit
	_          [64]byte // its own cache line
}

// An entry is a source or a wide network.
type entry struct {
	key       prefix
	conns     int
	rate      bucket // of new connections
	datagrams bucket

	score    float64 // penalty points at scoreAt
	scoreAt  int64
	until    int64 // in the box until then
	offences int   // times it was put into the box, for growing times

	next, prev *entry
	listed     bool

	said said // of conns, see Shared
}

func (t *table) init(sources int) {
	t.seed = maphash.MakeSeed()
	for i := range t.shards {
		t.shards[i].keep = max(sources/shards, 2) // a source and its network
		t.shards[i].m = make(map[prefix]*entry)
	}
}

// tiers returns the source that a belongs to and the wide network around it.
func tiers(a netip.Addr) (source, wide prefix) {
	hi, lo, v6 := halves(a)
	if v6 {
		return mask6(hi, lo, source6), mask6(hi, lo, wide6)
	}
	return mask4(lo, source4), mask4(lo, wide4)
}

func (t *table) shard(wide prefix) *tableShard {
	return &t.shards[maphash.Comparable(t.seed, wide)%shards]
}

// get returns the entry of key, creating it if necessary.
func (s *tableShard) get(key prefix) *entry {
	if e := s.m[key]; e != nil {
		s.touch(e)
		return e
	}
	e := &entry{key: key}
	s.m[key] = e
	s.list(e)
	return e
}

// add adds n connections; n may be negative.
func (s *tableShard) add(e *entry, n int) {
	e.conns += n
	if e.conns > 0 {
		s.unlist(e)
	} else {
		s.list(e)
	}
}

// touch makes e the last to be evicted.
func (s *tableShard) touch(e *entry) {
	if e.listed {
		s.unlist(e)
		s.list(e)
	}
}

func (s *tableShard) list(e *entry) {
	if e.listed {
		return
	}
	e.listed = true
	e.prev, e.next = s.tail, nil
	if s.tail != nil {
		s.tail.next = e
	} else {
		s.head = e
	}
	s.tail = e
	for s.idle++; s.idle > s.keep; {
		old := s.head
		s.unlist(old)
		delete(s.m, old.key)
	}
}

func (s *tableShard) unlist(e *entry) {
	if !e.listed {
		return
	}
	e.listed = false
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		s.head = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		s.tail = e.prev
	}
	e.next, e.prev = nil, nil
	s.idle--
}

// A bucket is a token bucket that holds up to one second's worth. The zero
// bucket is full.
type bucket struct {
	spent float64 // tokens missing from full, at last
	last  int64
}

// ok reports whether a token is available. take must follow at the same time.
func (b *bucket) ok(now int64, rate float64) bool {
	return b.missing(now, rate)+1 <= max(rate, 1)
}

func (b *bucket) take(now int64, rate float64) {
	b.spent, b.last = b.missing(now, rate)+1, now
}

func (b *bucket) missing(now int64, rate float64) float64 {
	return max(b.spent-float64(now-b.last)/1e9*rate, 0)
}
