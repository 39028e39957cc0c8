package admit

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"time"
)

// Penalty holds the values of the penalty box: sources collect points for
// misbehaviour, and are cut off at accept when they have too many.
type Penalty struct {
	// Threshold is the number of points that puts a source into the box. 0
	// disables the box.
	Threshold float64
	// HalfLife is the half-life of points. 0 means a minute.
	HalfLife time.Duration
	// Time is how long a source stays in the box the first time; each further
	// time is twice as long as the one before, up to MaxTime. 0 means a
	// minute, and an hour.
	Time, MaxTime time.Duration
	// Exempt networks are never put into it.
	Exempt []netip.Prefix
}

// prefixSources is how many sources of a /24 or /48 must enter the box within
// a few half-lives to put the whole network there. One bad neighbour is not
// enough.
const prefixSources = 8

func (p *Penalty) halfLife() time.Duration { return cmp.Or(p.HalfLife, time.Minute) }
func (p *Penalty) time() time.Duration     { return cmp.Or(p.Time, time.Minute) }
func (p *Penalty) maxTime() time.Duration  { return cmp.Or(p.MaxTime, time.Hour) }

func (p *Penalty) exempt(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, e := range p.Exempt {
		if e.Contains(a) {
			return true
		}
	}
	return false
}

// Punish adds points to a's source. If that puts the source or its prefix into
// the box, it returns true and what entered the box.
func (l *Limiter) Punish(a netip.Addr, points float64) (Boxed, bool) {
	c := &l.cfg.Penalty
	if c.Threshold <= 0 || !a.IsValid() || points <= 0 || c.exempt(a) {
		return Boxed{}, false
	}
	now := l.clock()
	source, wide := tiers(a)
	s := l.table.shard(wide)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.get(source)
	if !c.punish(e, points, c.Threshold, now) {
		return Boxed{}, false
	}
	// Creating the network's entry may evict the source's.
	b := e.boxed(now)
	l.noteBoxed(e.until)
	if w := s.get(wide); c.punish(w, 1, prefixSources, now) {
		b = w.boxed(now)
		l.noteBoxed(w.until)
	}
	return b, true
}

// noteBoxed notes that an entry is in the box until then.
func (l *Limiter) noteBoxed(until int64) {
	for {
		last := l.lastOut.Load()
		if last >= until || l.lastOut.CompareAndSwap(last, until) {
			return
		}
	}
}

func (e *entry) boxed(now int64) Boxed {
	return Boxed{Prefix: e.key.Prefix(), Left: time.Duration(e.until - now), Offences: e.offences}
}

// Exempt reports whether a is never put into the box.
func (l *Limiter) Exempt(a netip.Addr) bool { return l.cfg.Penalty.exempt(a) }

// punish adds points, and puts e into the box if they reach the threshold.
func (p *Penalty) punish(e *entry, points, limit float64, now int64) bool {
	if e.until > now {
		return false
	}
	e.score = p.decayed(e, now) + points
	e.scoreAt = now
	if e.score < limit {
		return false
	}
	if (now-e.until)/4 > int64(p.maxTime()) {
		e.offences = 0
	}
	d := p.maxTime()
	if first := p.time(); e.offences < 20 && first <= d>>e.offences {
		d = first << e.offences
	}
	e.offences++
	e.until = now + min(int64(d), math.MaxInt64-now)
	e.score = 0
	return true
}

// decayed returns e's points at now.
func (p *Penalty) decayed(e *entry, now int64) float64 {
	return e.score * math.Exp2(-float64(now-e.scoreAt)/float64(p.halfLife()))
}

// A Boxed is a source or prefix in the penalty box.
type Boxed struct {
	Prefix   netip.Prefix
	Left     time.Duration // until it comes out
	Offences int           // how often it was put into the box
	Manual   bool          // by Ban
	Node     string        // who has put it there, if it was another: see SetBans
}

// List returns the contents of the penalty box, longest remaining time first.
func (l *Limiter) List() []Boxed {
	now := l.clock()
	var list []Boxed
	for i := range l.table.shards {
		if l.lastOut.Load() <= now { // most often nobody is there
			break
		}
		s := &l.table.shards[i]
		s.mu.Lock()
		for _, e := range s.m {
			if e.until > now {
				list = append(list, e.boxed(now))
			}
		}
		s.mu.Unlock()
	}
	for _, b := range l.bansBut(now, func(netip.Prefix) bool { return false }) {
		list = append(list, Boxed{Prefix: b.p, Left: time.Duration(b.until - now), Manual: true})
	}
	list = l.listElsewhere(list, now)
	slices.SortFunc(list, func(a, b Boxed) int {
		return cmp.Or(cmp.Compare(b.Left, a.Left), a.Prefix.Addr().Compare(b.Prefix.Addr()))
	})
	return list
}

// Lift removes everything within p from the penalty box, and clears its
// points. A p narrower than a source means the source: one IPv6 address means
// its /64. It returns how many entries were removed. A network in the box that
// is wider than p stays there.
func (l *Limiter) Lift(p netip.Prefix) (n int) {
	if p = liftable(p); !p.IsValid() {
		return 0
	}
	now := l.clock()
	for i := range l.table.shards {
		s := &l.table.shards[i]
		s.mu.Lock()
		for _, e := range s.m {
			if k := e.key.Prefix(); k.IsValid() && k.Bits() >= p.Bits() && p.Contains(k.Addr()) {
				if e.until > now {
					n++
				}
				e.until, e.score, e.offences = 0, 0, 0
			}
		}
		s.mu.Unlock()
	}
	return n + l.unban(p, now) + l.liftElsewhere(p, now)
}

// liftable returns p in the table's form.
func liftable(p netip.Prefix) netip.Prefix {
	a, bits := p.Addr().WithZone(""), p.Bits()
	if a.Is4In6() && bits >= 96 {
		a, bits = a.Unmap(), bits-96
	}
	if a.Is6() {
		bits = min(bits, source6)
	}
	return netip.PrefixFrom(a, bits).Masked()
}
