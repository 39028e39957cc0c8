package admit

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// A Reason says which limit refused a client. Its name is the key of that
// limit, which the engine knows.
type Reason uint8

// The reasons.
const (
	OK                     Reason = iota // nothing refused it
	OverSource                           // Limits.MaxPerSource
	OverPrefix                           // Limits.MaxPerPrefix
	OverRate                             // Limits.Rate
	OverSourceRate                       // Limits.RatePerSource
	OverPrefixRate                       // Limits.RatePerPrefix
	OverMemory                           // Limits.MaxMemory
	Penalised                            // the penalty box
	OverDatagramRate                     // Limits.DatagramRate
	OverSourceDatagramRate               // Limits.DatagramRatePerSource
	OverPrefixDatagramRate               // Limits.DatagramRatePerPrefix
	OverHandshakes                       // QueueConfig.Max
	OverSourceHandshakes                 // QueueConfig.MaxPerSource
	OverPrefixHandshakes                 // QueueConfig.MaxPerPrefix
	Reasons                              // number of reasons
)

// Limits holds a Limiter's values. A source is an IPv4 address or an IPv6 /64,
// a prefix an IPv4 /24 or an IPv6 /48. Zero is no limit, everywhere.
type Limits struct {
	MaxPerSource, MaxPerPrefix int // open connections

	// New connections and datagrams per second, with bursts of one second's
	// worth.
	Rate, RatePerSource, RatePerPrefix                         float64
	DatagramRate, DatagramRatePerSource, DatagramRatePerPrefix float64

	MaxMemory int64 // bytes of all connections, as counted by Reserve
	Penalty   Penalty
	Sources   int  // sources remembered after their last connection; 0 means 65536
	Shadow    bool // refuse nothing; Enter only reports what it would have refused
}

// A Limiter counts the resources of sources and networks and reports when they
// exceed a limit. Its methods may be called concurrently. They do not allocate
// for refused clients, except for the first of a source.
type Limiter struct {
	cfg    Limits
	clock  func() int64
	table  table
	conns  atomic.Int64
	memory atomic.Int64
	bans   atomic.Pointer[[]ban] // replaced with mu held; nil is none

	// Of other processes; nil, as without a cluster, is none.
	shared    atomic.Int64 // how many Shared returned last
	lastOut   atomic.Int64 // when the last entry comes out of the penalty box
	others    atomic.Pointer[others]
	elsewhere atomic.Pointer[elsewhere] // replaced with mu held

	mu        sync.Mutex // for these
	rate      bucket
	datagrams bucket
}

// NewLimiter returns an empty Limiter.
func NewLimiter(cfg Limits) *Limiter {
	base := time.Now()
	l := &Limiter{cfg: cfg, clock: func() int64 { return int64(time.Since(base)) + 1 }}
	if cfg.Sources <= 0 {
		cfg.Sources = defaultSources
	}
	l.table.init(cfg.Sources)
	return l
}

// Enter counts a new connection from a, or returns why it must be refused.
// Call Leave for each connection that was not refused; in shadow mode, for
// every one.
//
// A connection without an address, such as a UNIX client's, counts only toward
// the total.
func (l *Limiter) Enter(a netip.Addr) Reason {
	now := l.clock()
	why := OK
	if a.IsValid() {
		source, wide := tiers(a)
		s := l.table.shard(wide)
		s.mu.Lock()
		why = l.enter(s, source, wide, a, now, true)
		s.mu.Unlock()
	} else if !l.takeTotal(now) {
		why = OverRate
	}
	if why == OK || l.cfg.Shadow {
		l.conns.Add(1)
	}
	return why
}

// Rename moves a connection from the address from to the address to, or
// returns why it must be refused; then it stays counted under from, but in
// shadow mode it moves anyway. Total limits are not checked again.
func (l *Limiter) Rename(from, to netip.Addr) Reason {
	if from == to {
		return OK
	}
	why := OK
	if to.IsValid() {
		source, wide := tiers(to)
		s := l.table.shard(wide)
		s.mu.Lock()
		why = l.enter(s, source, wide, to, l.clock(), false)
		s.mu.Unlock()
	}
	if why == OK || l.cfg.Shadow {
		l.leave(from)
	}
	return why
}

// enter counts a connection of a. first says that it is not counted in the
// total yet.
func (l *Limiter) enter(s *tableShard, source, wide prefix, a netip.Addr, now int64, first bool) Reason {
	c := &l.cfg
	w, o := s.get(wide), l.others.Load()
	if c.Penalty.Threshold > 0 && w.until > now && !c.Penalty.exempt(a) || l.banned(a, now) {
		return l.verdict(s, w, source, Penalised)
	}
	// The wide network first: one over its limit adds no entries.
	switch {
	case c.MaxPerPrefix > 0 && w.conns >= o.room(w, c.MaxPerPrefix):
		return l.verdict(s, w, source, OverPrefix)
	case c.RatePerPrefix > 0 && !w.rate.ok(now, c.RatePerPrefix):
		return l.verdict(s, w, source, OverPrefixRate)
	}
	e := s.get(source)
	switch {
	case c.Penalty.Threshold > 0 && e.until > now && !c.Penalty.exempt(a):
		return l.verdict(s, w, source, Penalised)
	case c.MaxPerSource > 0 && e.conns >= o.room(e, c.MaxPerSource):
		return l.verdict(s, w, source, OverSource)
	case c.RatePerSource > 0 && !e.rate.ok(now, c.RatePerSource):
		return l.verdict(s, w, source, OverSourceRate)
	case first && !l.takeTotal(now):
		return l.verdict(s, w, source, OverRate)
	}
	if c.RatePerPrefix > 0 {
		w.rate.take(now, c.RatePerPrefix)
	}
	if c.RatePerSource > 0 {
		e.rate.take(now, c.RatePerSource)
	}
	s.add(w, 1)
	s.add(e, 1)
	return OK
}

// verdict refuses, or in shadow mode counts the connection anyway.
func (l *Limiter) verdict(s *tableShard, w *entry, source prefix, why Reason) Reason {
	if l.cfg.Shadow {
		s.add(w, 1)
		s.add(s.get(source), 1)
	}
	return why
}

// takeTotal takes one from the total rate.
func (l *Limiter) takeTotal(now int64) bool {
	if l.cfg.Rate <= 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.rate.ok(now, l.cfg.Rate) {
		return false
	}
	l.rate.take(now, l.cfg.Rate)
	return true
}

// Leave undoes Enter.
func (l *Limiter) Leave(a netip.Addr) {
	l.conns.Add(-1)
	l.leave(a)
}

func (l *Limiter) leave(a netip.Addr) {
	if !a.IsValid() {
		return
	}
	source, wide := tiers(a)
	s := l.table.shard(wide)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range [...]prefix{source, wide} {
		if e := s.m[key]; e != nil {
			s.add(e, -1)
		}
	}
}

// Reserve adds n bytes, which may be negative, to the memory of connections.
// It reports whether the total is within MaxMemory; bytes over the limit are
// counted too.
func (l *Limiter) Reserve(n int64) bool {
	total := l.memory.Add(n)
	return l.cfg.MaxMemory <= 0 || total <= l.cfg.MaxMemory
}

// LimiterStats are a Limiter's numbers at one moment.
type LimiterStats struct {
	Conns   int   // connections open
	Memory  int64 // bytes, as Reserve counted them
	Sources int   // sources and prefixes remembered
	Open    int   // of them: with a connection
	Boxed   int   // of them: in the penalty box
}

// Stats returns the numbers.
func (l *Limiter) Stats() LimiterStats {
	st := LimiterStats{Conns: int(l.conns.Load()), Memory: l.memory.Load()}
	now := l.clock()
	for i := range l.table.shards {
		s := &l.table.shards[i]
		s.mu.Lock()
		st.Sources += len(s.m)
		for _, e := range s.m {
			if e.conns != 0 {
				st.Open++
			}
			if e.until > now {
				st.Boxed++
			}
		}
		s.mu.Unlock()
	}
	return st
}
