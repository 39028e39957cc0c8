package admit

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
)

// Handshakes are over in milliseconds, and most sources have one now and then:
// if each were told of, what processes tell each other would never be the same
// twice. But the parts of a limit, as others.part divides it, add up to it
// whatever a process tells of itself, as long as it counts on no more than it has
// told. So only what comes near its part is told of, and no small change.

// maxTold bounds the sources and networks that are told of, and so for how long a
// report keeps handshakes waiting: a limit so small that one handshake is
// noticeable makes all sources of an attack noticeable.
const maxTold = 4096

// SetOthers replaces what is known of the handshakes of other processes.
func (q *Queue) SetOthers(o Others) {
	if o.Processes <= 0 || q.cfg.MaxPerSource <= 0 && q.cfg.MaxPerPrefix <= 0 {
		q.others.Store(nil)
		return
	}
	n := &others{processes: o.Processes + 1, have: make(map[prefix]uint32)}
	for i := range o.Uses {
		n.add(o.Uses[i].Prefix, o.Uses[i].Handshakes)
	}
	for key, have := range n.have {
		if limit := q.maxOf(key); limit > 0 && int(have) >= n.noticeable(limit) {
			n.near = append(n.near, key)
		}
	}
	q.others.Store(n)
}

// roomFor returns how many unfinished handshakes the node may have in this
// process, of a limit for all: one at least, as a newcomer ends another only.
// Clients without an address are this process's alone.
func (o *others) roomFor(n *node, limit int) int {
	if o == nil || n.key.bits > 128 {
		return limit
	}
	return max(o.part(n.key, n.said.least(), limit), 1)
}

// noticeable returns how many handshakes of a source or network make it one that
// others are told of, if they have told nothing noticeable themselves: half of
// an even part of the limit.
func (o *others) noticeable(limit int) int {
	return (limit + 2*o.processes - 1) / (2 * o.processes)
}

// maxOf returns the limit on unfinished handshakes that the node has, 0 if none.
func (q *Queue) maxOf(key prefix) int {
	switch bits := key.bits; {
	case !key.v6 && bits == source4 || key.v6 && bits == source6:
		return q.cfg.MaxPerSource
	case !key.v6 && bits == wide4 || key.v6 && bits == wide6:
		return q.cfg.MaxPerPrefix
	}
	return 0
}

// toTell returns how many handshakes of the node the others are told of: what it
// has, or what they were told last, if it has come no farther from that than half
// of what is noticeable.
func (q *Queue) toTell(n *node, o *others) int {
	limit, last := q.maxOf(n.key), int(n.said[0])
	if limit <= 0 || n.unfinished == 0 {
		return 0
	}
	least := o.noticeable(limit)
	if step := max(least/2, 1); last > 0 && n.unfinished > last-step && n.unfinished < last+step {
		return last
	}
	if n.unfinished < least && int(o.have[n.key]) < least {
		return 0
	}
	return n.unfinished
}

// Shared is Limiter.Shared of a process that has a Queue, which may be nil, beside
// its Limiter: of sources and networks that come near their part of the Queue's
// limits it tells handshakes too.
func Shared(l *Limiter, q *Queue, most int) []SourceUse {
	list := l.Shared(most)
	if q == nil {
		return list
	}
	shakes := q.report()
	if len(shakes) == 0 {
		return list
	}
	at := make(map[netip.Prefix]int, len(shakes))
	for i := range shakes {
		at[shakes[i].Prefix] = shakes[i].Handshakes
	}
	for i := range list {
		if n, ok := at[list[i].Prefix]; ok {
			list[i].Handshakes = n
			delete(at, list[i].Prefix)
		}
	}
	for _, u := range shakes { // the greatest first
		if _, ok := at[u.Prefix]; !ok {
			continue
		}
		if len(list) < most {
			list = append(list, u)
		} else {
			q.unsay(u.Prefix)
		}
	}
	return list
}

// report returns what the others are to be told of, those with most handshakes
// first. Each call is a report, as those of Limiter.Shared are.
func (q *Queue) report() (list []SourceUse) {
	o := q.others.Load()
	q.mu.Lock()
	before := q.told
	q.told = nil
	for _, n := range before {
		n.told = false
	}
	if o != nil {
		for _, n := range before {
			q.tell(n, o)
		}
		q.tellBelow(q.root, 0, q.leastTold(o), o)
		for _, key := range o.near {
			if n := q.nodes[key]; n != nil {
				q.tell(n, o)
			}
		}
	}
	for _, n := range before {
		if !n.told {
			n.said = said{}
		}
	}
	for _, n := range q.told {
		list = append(list, SourceUse{Prefix: n.key.Prefix(), Handshakes: int(n.said[0])})
	}
	q.mu.Unlock()
	slices.SortFunc(list, func(a, b SourceUse) int {
		return cmp.Or(cmp.Compare(b.Handshakes, a.Handshakes), a.Prefix.Addr().Compare(b.Prefix.Addr()))
	})
	return list
}

// tell has the others told of the node, if there is something to tell.
func (q *Queue) tell(n *node, o *others) {
	if n.told || len(q.told) >= maxTold {
		return
	}
	if tell := q.toTell(n, o); tell > 0 {
		n.told = true
		n.said.note(tell)
		q.told = append(q.told, n)
	}
}

// leastTold returns the least that is noticeable of any source or network.
func (q *Queue) leastTold(o *others) int {
	least := math.MaxInt
	for _, limit := range [...]int{q.cfg.MaxPerSource, q.cfg.MaxPerPrefix} {
		if limit > 0 {
			least = min(least, o.noticeable(limit))
		}
	}
	return least
}

// tellBelow tells of those nodes below n that have noticeably many handshakes, and
// looks at no others: from the i-th of the heap on none has more than that one.
func (q *Queue) tellBelow(n *node, i, least int, o *others) {
	if i >= len(n.greed.s) || n.greed.s[i].unfinished < least || len(q.told) >= maxTold {
		return
	}
	q.tell(n.greed.s[i], o)
	q.tellBelow(n.greed.s[i], 0, least, o)
	q.tellBelow(n, 2*i+1, least, o)
	q.tellBelow(n, 2*i+2, least, o)
}

// unsay notes that p was not told of.
func (q *Queue) unsay(p netip.Prefix) {
	key, _ := limitKey(p)
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := q.nodes[key]; n != nil {
		n.said = said{}
	}
}

// A HandshakeLook is how many unfinished handshakes a source or network has.
type HandshakeLook struct {
	Own, Others int
	Room        int // how many this process may have of a limit
}

// Look tells how many unfinished handshakes of a's source and of its network
// there are. Nothing is remembered of a.
func (q *Queue) Look(a netip.Addr) (source, network HandshakeLook) {
	if !a.IsValid() {
		return source, network
	}
	s, w := tiers(a)
	o := q.others.Load()
	q.mu.Lock()
	defer q.mu.Unlock()
	of := func(key prefix) (k HandshakeLook) {
		n := q.nodes[key]
		if n == nil {
			n = &node{key: key}
		}
		k.Own, k.Room = n.unfinished, o.roomFor(n, q.maxOf(key))
		if o != nil {
			k.Others = int(o.have[key])
		}
		return k
	}
	return of(s), of(w)
}
