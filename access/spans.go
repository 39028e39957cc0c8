package access

import (
	"container/heap"
	"net/netip"
	"slices"
)

// networks finds the first rule of a list that covers an address. The zero
// networks covers nothing. It is immutable after newNetworks.
//
// IPv4 and IPv6 have a trie each. Mapped addresses never occur in look-ups of
// the IPv6 one, because a client's address is unmapped first.
type networks struct {
	v4, v6 trie
	some   bool // there is a network
}

var (
	firstMapped = key{0, 0xffff_0000_0000}
	lastMapped  = key{0, 0xffff_ffff_ffff}
)

func newNetworks(spans []span) networks {
	var v4, v6 []span
	for _, s := range spans {
		if !s.last.less(firstMapped) && !lastMapped.less(s.first) {
			v4 = append(v4, mappedPart(s))
		}
		if s.first.less(firstMapped) || lastMapped.less(s.last) {
			v6 = append(v6, s)
		}
	}
	return networks{v4: newTrie(boundaries(v4)), v6: newTrie(boundaries(v6)), some: len(spans) > 0}
}

// mappedPart returns the IPv4 addresses in s in the form of key4. So ::/0
// covers IPv4 clients too: on a dual-stack socket they have IPv6 addresses,
// and Net::CIDR agrees.
func mappedPart(s span) span {
	if s.first.less(firstMapped) {
		s.first = firstMapped
	}
	if lastMapped.less(s.last) {
		s.last = lastMapped
	}
	return span{first: key{hi: s.first.lo << 32}, last: key{hi: s.last.lo << 32}, rule: s.rule}
}

// find returns the first rule that covers ip, or -1. ip must be unmapped.
func (n *networks) find(ip netip.Addr) int32 {
	if !n.some {
		return -1
	}
	if ip.Is4() {
		b := ip.As4()
		v := uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3])
		return n.v4.find(key{hi: v << 32})
	}
	return n.v6.find(keyOf(ip))
}

// A boundary is where the first covering rule changes: rule applies from at to
// the next boundary.
type boundary struct {
	at   key
	rule int32 // -1 if none covers
}

// boundaries flattens spans, which may overlap in any way, into the points at
// which the answer changes. The first is always at the zero key.
func boundaries(spans []span) []boundary {
	if len(spans) == 0 {
		return nil
	}
	slices.SortFunc(spans, func(a, b span) int { return a.first.compare(b.first) })
	points := make([]key, 0, 2*len(spans)+1)
	points = append(points, key{})
	for _, s := range spans {
		points = append(points, s.first)
		if end, ok := s.last.next(); ok {
			points = append(points, end)
		}
	}
	slices.SortFunc(points, key.compare)
	points = slices.Compact(points)

	var out []boundary
	var open openSpans
	for _, at := range points {
		for len(spans) > 0 && spans[0].first == at {
			heap.Push(&open, spans[0])
			spans = spans[1:]
		}
		for len(open) > 0 && open[0].last.less(at) {
			heap.Pop(&open)
		}
		rule := int32(-1)
		if len(open) > 0 {
			rule = open[0].rule
		}
		if len(out) == 0 || out[len(out)-1].rule != rule {
			out = append(out, boundary{at, rule})
		}
	}
	return out
}

// openSpans is a heap of the open spans, the first rule on top. Spans below
// the top may have ended already.
type openSpans []span

func (o openSpans) Len() int           { return len(o) }
func (o openSpans) Less(i, j int) bool { return o[i].rule < o[j].rule }
func (o openSpans) Swap(i, j int)      { o[i], o[j] = o[j], o[i] }
func (o *openSpans) Push(x any)        { *o = append(*o, x.(span)) }
func (o *openSpans) Pop() any {
	last := len(*o) - 1
	s := (*o)[last]
	*o = (*o)[:last]
	return s
}
