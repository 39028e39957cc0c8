package admit

import (
	"cmp"
	"net/netip"
	"slices"
)

// A SourceUse is the usage of a source or network.
type SourceUse struct {
	Prefix     netip.Prefix // an IPv4 address or /24, an IPv6 /64 or /48
	Conns      int          // connections open
	Handshakes int          // of them unfinished, as far as Shared and Others tell
}

// Top returns the n sources and the n networks with the most connections, in
// descending order.
func (l *Limiter) Top(n int) (sources, networks []SourceUse) {
	if n <= 0 {
		return nil, nil
	}
	for i := range l.table.shards {
		s := &l.table.shards[i]
		s.mu.Lock()
		for _, e := range s.m {
			if e.conns == 0 {
				continue
			}
			list := &networks
			if e.key.isSource() {
				list = &sources
			}
			if *list = append(*list, SourceUse{Prefix: e.key.Prefix(), Conns: e.conns}); len(*list) >= 2*n+64 {
				*list = greatest(*list, n)
			}
		}
		s.mu.Unlock()
	}
	return greatest(sources, n), greatest(networks, n)
}

// greatest sorts the list and truncates it to n.
func greatest(list []SourceUse, n int) []SourceUse {
	slices.SortFunc(list, func(a, b SourceUse) int {
		return cmp.Or(cmp.Compare(b.Conns, a.Conns), a.Prefix.Addr().Compare(b.Prefix.Addr()))
	})
	return list[:min(n, len(list))]
}

// isSource reports whether p is the size of a single source.
func (p prefix) isSource() bool {
	if p.v6 {
		return p.bits == source6
	}
	return p.bits == source4
}

// Rates returns how many connections and datagrams of the last second count
// against Limits.Rate and Limits.DatagramRate.
func (l *Limiter) Rates() (conns, datagrams float64) {
	now := l.clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rate.missing(now, l.cfg.Rate), l.datagrams.missing(now, l.cfg.DatagramRate)
}
