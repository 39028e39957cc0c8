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
	Reasons                              // how many there are
)

// Limits holds a Limiter's values. A source is an IPv4 address or an IPv6 /64,
// a prefix an IPv4 /24 or an IPv6 /48. Zero is no limit, everywhere.
type Limits struct {
	MaxPerSource, MaxPerPrefix int // connections open at once

	// New connections a second, with a second's worth at once, and datagrams.
	Rate, RatePerSource, RatePerPrefix                         float64
	DatagramRate, DatagramRatePerSource, DatagramRatePerPrefix float64

	MaxMemory int64 // bytes that connections may take, as Reserve counts them
	Penalty   Penalty
	Sources   int  // sources remembered beyond their last connection; 0 means 65536
	Shadow    bool // refuse nothing; Enter only tells what it would have refused
}

// A Limiter counts what sources and networks have and says when it is too
// much. Its methods may be called concurrently. None allocates for a client
// that is refused, but for the first of a source.
type Limiter struct {
	cfg    Limits
	clock  func() int64
	table  table
	conns  atomic.Int64
	memory atomic.Int64

	mu        sync.Mutex // for these
	rate      bucket
	datagrams bucket
}

// NewLimiter returns a Limiter with nothing open.
func NewLimiter(cfg Limits) *Limiter {
	base := time.Now()
	l := &Limiter{cfg: cfg, clock: func() int64 { return int64(time.Since(base)) + 1 }}
	if cfg.Sources <= 0 {
		cfg.Sources = defaultSources
	}
	l.table.init(cfg.Sources)
	return l
}

// Enter counts a new connection from a, or says why it must be refused. One
// that was not refused must Leave; in shadow mode that is every one.
//
// An address that is none, as UNIX clients have, is counted in all only.
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

// Rename counts a connection that was counted under the address from under to
// instead, or says why it must be refused; then it stays where it was, but in
// shadow mode it moves all the same. What holds for all sources together is
// not asked again.
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

// enter counts a connection of a. first tells that it is not counted in all
// yet.
func (l *Limiter) enter(s *tableShard, source, wide prefix, a netip.Addr, now int64, first bool) Reason {
	c := &l.cfg
	w := s.get(wide)
	if c.Penalty.Threshold > 0 && w.until > now && !c.Penalty.exempt(a) {
		return l.verdict(s, w, source, Penalised)
	}
	// The wide network first: one that is over its limit makes no entries.
	switch {
	case c.MaxPerPrefix > 0 && w.conns >= c.MaxPerPrefix:
		return l.verdict(s, w, source, OverPrefix)
	case c.RatePerPrefix > 0 && !w.rate.ok(now, c.RatePerPrefix):
		return l.verdict(s, w, source, OverPrefixRate)
	}
	e := s.get(source)
	switch {
	case c.Penalty.Threshold > 0 && e.until > now && !c.Penalty.exempt(a):
		return l.verdict(s, w, source, Penalised)
	case c.MaxPerSource > 0 && e.conns >= c.MaxPerSource:
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

// verdict refuses, or in shadow mode counts the connection all the same.
func (l *Limiter) verdict(s *tableShard, w *entry, source prefix, why Reason) Reason {
	if l.cfg.Shadow {
		s.add(w, 1)
		s.add(s.get(source), 1)
	}
	return why
}

// takeTotal takes one from the rate of all.
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

// Leave ends what Enter began.
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

// Reserve counts n bytes more that a connection takes, or fewer if n is
// negative. It reports whether all together are within MaxMemory; what is
// beyond is counted as well.
func (l *Limiter) Reserve(n int64) bool {
	total := l.memory.Add(n)
	return l.cfg.MaxMemory <= 0 || total <= l.cfg.MaxMemory
}

// LimiterStats are a Limiter's numbers at one moment.
type LimiterStats struct {
	Conns   int   // connections open
	Memory  int64 // bytes, as Reserve counted them
	Sources int   // sources and prefixes that are remembered
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
