package admit

import (
	"net/netip"
	"time"
)

// A Look is how a source stands with a Limiter at one moment.
type Look struct {
	Conns, NetworkConns int     // open, of the source and of the network around it
	Rate, NetworkRate   float64 // of theirs in the last second, as far as it is limited
	Total               float64 // of all in the last second, as far as it is limited
	Boxed               Boxed   // why it is in the penalty box; the zero Boxed if it is not
	Exempt              bool    // from the penalty box

	// With other processes that share the limits: how many connections they
	// have, and how many this one may have of MaxPerSource and MaxPerPrefix.
	Shared                bool
	Others, NetworkOthers int
	Room, NetworkRoom     int
}

// Look tells how a new connection from a, or a datagram, would find things. It
// counts nothing, and nothing is remembered of a.
func (l *Limiter) Look(a netip.Addr, datagram bool) (k Look) {
	now, c := l.clock(), &l.cfg
	rates, total := [...]float64{c.RatePerSource, c.RatePerPrefix}, &l.rate
	limit := c.Rate
	if datagram {
		rates, total, limit = [...]float64{c.DatagramRatePerSource, c.DatagramRatePerPrefix}, &l.datagrams, c.DatagramRate
	}
	l.mu.Lock()
	k.Total = total.missing(now, limit)
	l.mu.Unlock()
	if !a.IsValid() {
		return k
	}
	k.Exempt = c.Penalty.exempt(a)
	conns, used := [...]*int{&k.Conns, &k.NetworkConns}, [...]*float64{&k.Rate, &k.NetworkRate}
	source, wide := tiers(a)
	s := l.table.shard(wide)
	s.mu.Lock()
	if o := l.others.Load(); o != nil {
		k.shared(o, s, source, wide, c)
	}
	for i, key := range [...]prefix{source, wide} {
		e := s.m[key]
		if e == nil {
			continue
		}
		b := &e.rate
		if datagram {
			b = &e.datagrams
		}
		*conns[i], *used[i] = e.conns, b.missing(now, rates[i])
		if c.Penalty.Threshold > 0 && !k.Exempt && e.until > max(now, now+int64(k.Boxed.Left)) {
			k.Boxed = e.boxed(now)
		}
	}
	s.mu.Unlock()
	if l.banned(a, now) {
		for _, b := range l.bansBut(now, func(p netip.Prefix) bool { return !p.Contains(a.Unmap().WithZone("")) }) {
			if left := time.Duration(b.until - now); left > k.Boxed.Left {
				k.Boxed = Boxed{Prefix: b.p, Left: left, Manual: true}
			}
		}
		if b, ok := l.elsewhere.Load().find(a.Unmap().WithZone(""), now); ok && time.Duration(b.until-now) > k.Boxed.Left {
			k.Boxed = Boxed{Prefix: b.p, Left: time.Duration(b.until - now), Manual: b.manual, Node: b.by}
		}
	}
	return k
}

// shared tells what other processes have, and leave to this one.
func (k *Look) shared(o *others, s *tableShard, source, wide prefix, c *Limits) {
	of := func(key prefix, limit int) (elsewhere, room int) {
		e := s.m[key]
		if e == nil {
			e = &entry{key: key}
		}
		return int(o.have[key]), o.room(e, limit)
	}
	k.Shared = true
	k.Others, k.Room = of(source, c.MaxPerSource)
	k.NetworkOthers, k.NetworkRoom = of(wide, c.MaxPerPrefix)
}

// Full reports whether one more does not fit beside what a rate has used.
func Full(used, rate float64) bool { return rate > 0 && used+1 > max(rate, 1) }
