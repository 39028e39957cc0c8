package admit

import "net/netip"

// Datagram counts a datagram from a and says whether it must be dropped.
//
// A datagram's sender address can be forged. So a rate per source limits a
// source, but not those who send in its name.
func (l *Limiter) Datagram(a netip.Addr) Reason {
	c := &l.cfg
	bySource := c.DatagramRatePerSource > 0 || c.DatagramRatePerPrefix > 0 || c.Penalty.Threshold > 0 || l.bans.Load() != nil || l.elsewhere.Load() != nil
	if c.DatagramRate <= 0 && !bySource {
		return OK
	}
	now := l.clock()
	if a.IsValid() && bySource {
		source, wide := tiers(a)
		s := l.table.shard(wide)
		s.mu.Lock()
		why := l.datagram(s, source, wide, a, now)
		s.mu.Unlock()
		if why != OK {
			return why
		}
	}
	if c.DatagramRate <= 0 {
		return OK
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.datagrams.ok(now, c.DatagramRate) {
		return OverDatagramRate
	}
	l.datagrams.take(now, c.DatagramRate)
	return OK
}

func (l *Limiter) datagram(s *tableShard, source, wide prefix, a netip.Addr, now int64) Reason {
	c := &l.cfg
	if c.Penalty.Threshold > 0 && (s.boxed(wide, now) || s.boxed(source, now)) && !c.Penalty.exempt(a) || l.banned(a, now) {
		return Penalised
	}
	var w, e *entry
	// The wide network first, as for connections.
	if c.DatagramRatePerPrefix > 0 {
		if w = s.get(wide); !w.datagrams.ok(now, c.DatagramRatePerPrefix) {
			return OverPrefixDatagramRate
		}
	}
	if c.DatagramRatePerSource > 0 {
		if e = s.get(source); !e.datagrams.ok(now, c.DatagramRatePerSource) {
			return OverSourceDatagramRate
		}
		e.datagrams.take(now, c.DatagramRatePerSource)
	}
	if w != nil {
		w.datagrams.take(now, c.DatagramRatePerPrefix)
	}
	return OK
}

// boxed reports whether key is in the penalty box, without adding an entry.
func (s *tableShard) boxed(key prefix, now int64) bool {
	e := s.m[key]
	return e != nil && e.until > now
}
