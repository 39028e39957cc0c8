package cluster

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"slices"
	"time"
)

const (
	countsTTL     = 10 * time.Second
	countsKept    = 5 * time.Second        // of others, without news of them
	countsAgain   = 2 * time.Second        // a part that has not changed is written again
	othersSoonest = 200 * time.Millisecond // after the last time that others' counts were told
	onePart       = 3000                   // counts up to which there is one part
	manyParts     = 4
)

// A countsPart is what a peer has told of some of its sources.
type countsPart struct {
	list []keyedCount // in order
	sum  uint64       // of its encoding
	at   time.Time    // zero: nothing
}

// A sentPart is what this node has written.
type sentPart struct {
	data []byte // as encoded; nil if nothing
	at   time.Time
}

// A tally is a sum over the peers.
type tally struct{ conns, handshakes uint64 }

// takeCounts takes a part of a node's counts.
func (n *Node) takeCounts(at slot, e *envelope) error {
	sum, known := maphash.Bytes(n.seed, e.Counts.List), n.peers[e.Node]
	same := known != nil && known.boot == e.Boot && known.parts[at.part].holds(sum)
	var list []keyedCount
	if !same { // most often it is, as parts are written again
		var err error
		if list, err = decodeCounts(e.Counts.List); err != nil {
			return err
		}
	}
	p, err := n.fresh(at, e)
	if err != nil {
		return err
	}
	if !n.watching { // it may be old, and comes again in two seconds
		return nil
	}
	for i := range p.parts {
		if i >= e.Counts.Parts {
			n.replacePart(p, i, nil)
		}
	}
	if !same {
		if err := n.roomForCounts(p, at.part, len(list)); err != nil {
			return err
		}
		n.replacePart(p, at.part, list)
		p.parts[at.part].sum = sum
	}
	p.parts[at.part].at = time.Now()
	return nil
}

// holds reports whether the part is what an encoding with that sum says.
func (c *countsPart) holds(sum uint64) bool { return !c.at.IsZero() && c.sum == sum }

// replacePart puts list in the place of what the peer told before. Both are in
// order, so that what has not changed costs little.
func (n *Node) replacePart(p *peer, part int, list []keyedCount) {
	old := &p.parts[part]
	was := old.list
	*old = countsPart{list: list}
	n.kept += len(list) - len(was)
	if len(was) == 0 && len(list) == 0 {
		return
	}
	rest, changed := list, false
	for len(was) > 0 || len(rest) > 0 {
		switch {
		case len(rest) == 0 || len(was) > 0 && was[0].compare(rest[0].countKey) < 0:
			n.tallyUp(was[0].countKey, was[0], keyedCount{})
			was, changed = was[1:], true
		case len(was) == 0 || was[0].countKey != rest[0].countKey:
			n.tallyUp(rest[0].countKey, keyedCount{}, rest[0])
			rest, changed = rest[1:], true
		default:
			if was[0] != rest[0] {
				n.tallyUp(was[0].countKey, was[0], rest[0])
				changed = true
			}
			was, rest = was[1:], rest[1:]
		}
	}
	if changed {
		n.dirty.others = true
		n.wakeTeller()
	}
}

// tallyUp puts now in the place of was in the sum.
func (n *Node) tallyUp(key countKey, was, now keyedCount) {
	t := n.tallies[key]
	t.conns += uint64(now.conns) - uint64(was.conns)
	t.handshakes += uint64(now.handshakes) - uint64(was.handshakes)
	if t == (tally{}) {
		delete(n.tallies, key)
	} else {
		n.tallies[key] = t
	}
}

// forgetParts forgets all that a peer told of its sources and targets.
func (n *Node) forgetParts(p *peer) {
	n.replaceTargets(p, peerTargets{})
	for i := range p.parts {
		n.replacePart(p, i, nil)
	}
}

// ageParts forgets what a peer has not told again.
func (n *Node) ageParts(p *peer, now time.Time) {
	for i := range p.parts {
		if at := p.parts[i].at; !at.IsZero() && now.Sub(at) > countsKept {
			n.replacePart(p, i, nil)
		}
	}
}

// othersNews returns what all other nodes have, the largest if it is too much.
func (n *Node) othersNews() *Others {
	_, processes := n.live()
	o := &Others{Processes: processes, Counts: make(Counts, 0, min(len(n.tallies), MaxCounts))}
	o.Targets = n.opinions()
	least := n.least()
	for key, t := range n.tallies {
		if t.conns < least || len(o.Counts) >= MaxCounts {
			n.dropped++
			continue
		}
		o.Counts = append(o.Counts, Count{prefixOf(int(key.kind), key.key), uint32(min(t.conns, MaxCount)), uint32(min(t.handshakes, MaxCount))})
	}
	return o
}

// least returns how many connections a prefix must have to be told of: 0 unless
// there are too many. Then as many are told of as have more than a number, which
// is exact up to a thousand.
func (n *Node) least() uint64 {
	if len(n.tallies) <= MaxCounts {
		return 0
	}
	var having [1024]int
	for _, t := range n.tallies {
		having[min(t.conns, uint64(len(having)-1))]++
	}
	all := 0
	for c := len(having) - 1; c > 0; c-- {
		if all += having[c]; all > MaxCounts {
			return min(uint64(c)+1, uint64(len(having)-1))
		}
	}
	return 1
}

// largest sorts counts and returns as many as there may be.
func largest(list Counts) Counts {
	slices.SortFunc(list, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Conns, a.Conns), cmp.Compare(b.Handshakes, a.Handshakes), a.Prefix.Addr().Compare(b.Prefix.Addr()))
	})
	return list[:min(len(list), MaxCounts)]
}

// partOf returns the part of so many that p belongs to. It is the same each
// time, so that a part whose sources are quiet stays as it is.
func partOf(p netip.Prefix, parts int) int {
	b := p.Addr().As16()
	h := binary.BigEndian.Uint64(b[:8]) ^ binary.BigEndian.Uint64(b[8:])<<7 ^ uint64(p.Bits())
	return int(h * 0x9e3779b97f4a7c15 >> 32 % uint64(parts))
}

// A countsWrite is a part to be written.
type countsWrite struct {
	part int
	body countsBody
}

// countsDue returns the parts of this node's counts that have to be written.
func (n *Node) countsDue(now time.Time) (due []countsWrite) {
	if !n.dirty.counts {
		return nil
	}
	n.dirty.counts = false
	if n.encode {
		n.encode = false
		n.encodeCounts()
	}
	for i := range n.encoded {
		data, s := n.encoded[i], &n.sent[i]
		empty := len(data) == emptyCounts
		if empty && s.data == nil || bytes.Equal(data, s.data) && (empty || now.Sub(s.at) < countsAgain) {
			continue
		}
		due = append(due, countsWrite{i, countsBody{Parts: len(n.encoded), List: data}})
	}
	return due
}

// emptyCounts is the size of an encoding of nothing.
const emptyCounts = 1 + len(countKinds)

// encodeCounts encodes this node's counts, in one part or several.
func (n *Node) encodeCounts() {
	parts := 1
	if len(n.report.Counts) > onePart {
		parts = manyParts
	}
	if parts != len(n.encoded) { // the others forget what they had
		for i := range n.sent {
			n.sent[i].data = nil
		}
	}
	lists := [manyParts]Counts{n.report.Counts}
	if parts > 1 {
		for i := range lists {
			lists[i] = make(Counts, 0, len(n.report.Counts)/2)
		}
		for _, c := range n.report.Counts {
			i := partOf(c.Prefix, parts)
			lists[i] = append(lists[i], c)
		}
	}
	n.encoded = make([][]byte, parts)
	for i, list := range lists[:parts] {
		n.encoded[i], _ = list.MarshalBinary() // cleanReport has seen to what could be wrong
	}
}
