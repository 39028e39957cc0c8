package admit

import "net/netip"

// leaf returns a's node, creating it and those above it if necessary.
func (q *Queue) leaf(a netip.Addr) *node {
	if n := q.nodes[leafKey(a)]; n != nil {
		return n
	}
	keys, depth := path(a)
	n := q.root
	for _, k := range keys[:depth] {
		kid := q.nodes[k]
		if kid == nil {
			if q.leaves == 1 {
				q.pace = pace{} // one source's pace does not fit two
			}
			kid = &node{key: k, used: n.floor}
			q.nodes[k] = kid
			n.adopt(kid)
		}
		n = kid
	}
	q.leaves++
	return n
}

// isSource reports whether n is a party of its own: an IPv4 address, or an
// IPv6 network or address that one host may have to itself.
func (n *node) isSource() bool {
	if n.key.v6 {
		return n.key.bits >= source6
	}
	return n.key.bits >= source4
}

// source returns the widest node from the leaf n up that is a single party.
func (n *node) source() *node {
	for n.parent != nil && n.parent.parent != nil && n.parent.isSource() {
		n = n.parent
	}
	return n
}

// rest records that the leaf n has nothing unfinished.
func (q *Queue) rest(n *node, now int64) {
	n.idle, n.idleSince = true, now
	n.idlePrev = q.idle.tail
	if q.idle.tail != nil {
		q.idle.tail.idleNext = n
	} else {
		q.idle.head = n
	}
	q.idle.tail = n
	q.idles++
}

// busy ends n's rest.
func (q *Queue) busy(n *node) {
	if !n.idle {
		return
	}
	n.idle = false
	if n.idlePrev != nil {
		n.idlePrev.idleNext = n.idleNext
	} else {
		q.idle.head = n.idleNext
	}
	if n.idleNext != nil {
		n.idleNext.idlePrev = n.idlePrev
	} else {
		q.idle.tail = n.idlePrev
	}
	n.idleNext, n.idlePrev = nil, nil
	q.idles--
}

// reap removes sources that have been idle for long, and the longest-idle ones
// if there are too many.
func (q *Queue) reap(now int64) {
	for n := q.idle.head; n != nil && (now-n.idleSince >= int64(idleKept) || q.idles > maxIdle); n = q.idle.head {
		q.busy(n)
		q.leaves--
		for p := n.parent; p != nil && n.kids == 0; n, p = p, p.parent {
			delete(q.nodes, n.key)
			p.drop(n)
		}
		q.grown()
	}
}

// grown gives a source the turns that became available because another left.
func (q *Queue) grown() {
	n := q.root
	for n.kids == 1 {
		n = n.first
	}
	if n != q.root {
		q.fix(n)
	}
}

// refit adds the nodes below n to those that want a turn, where a raised limit
// allows it.
func (q *Queue) refit(n *node) {
	for k := n.first; k != nil; k = k.next {
		if k.waiting == 0 {
			continue
		}
		q.refit(k)
		if k.at[byTurn] == 0 && q.wants(k) {
			n.turns.put(k, byTurn)
		}
	}
}
