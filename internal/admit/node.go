package admit

// A node is a network with current or recent handshakes. The nodes form a
// tree: the world, wide networks, narrower ones, and addresses as leaves. Each
// node gives turns to its children.
type node struct {
	key    prefix
	parent *node

	// Children in no order; those that want a turn and may have one; and those
	// with unfinished handshakes.
	first, next, prev *node
	kids              int
	turns             nodeHeap // least CPU first
	greed             nodeHeap // most unfinished first

	used       int64 // CPU of its handshakes in ns, as charged for turns
	floor      int64 // used of the child with the last turn
	running    int   // handshakes that count as running
	waiting    int   // handshakes waiting for a turn
	unfinished int

	tickets int        // leaf: those not done
	queue   ticketList // leaf: those waiting for a turn, in order
	all     ticketList // leaf: all unfinished, in order of arrival

	at                 [2]int // positions in the parent's heaps, plus one
	idleNext, idlePrev *node
	idle               bool
	told               bool // it is in Queue.told
	said               said // of unfinished, see Queue.Shared
	idleSince          int64
}

const (
	byTurn = iota
	byGreed
)

// A nodeHeap is a binary heap of a node's children.
type nodeHeap struct {
	s []*node
}

func before(a, b *node, by int) bool {
	if by == byGreed {
		return a.unfinished > b.unfinished
	}
	if a.used != b.used {
		return a.used < b.used
	}
	return a.running < b.running
}

func (h *nodeHeap) put(n *node, by int) {
	if n.at[by] == 0 {
		h.s = append(h.s, n)
		n.at[by] = len(h.s)
	}
	h.settle(n, by)
}

func (h *nodeHeap) remove(n *node, by int) {
	i := n.at[by] - 1
	if i < 0 {
		return
	}
	last := len(h.s) - 1
	h.s[i] = h.s[last]
	h.s[i].at[by] = i + 1
	h.s[last] = nil
	h.s = h.s[:last]
	n.at[by] = 0
	if i < last {
		h.settle(h.s[i], by)
	}
}

// settle restores the heap order at n.
func (h *nodeHeap) settle(n *node, by int) {
	i := n.at[by] - 1
	for i > 0 {
		up := (i - 1) / 2
		if !before(n, h.s[up], by) {
			break
		}
		h.swap(i, up, by)
		i = up
	}
	for {
		down := 2*i + 1
		if down >= len(h.s) {
			return
		}
		if down+1 < len(h.s) && before(h.s[down+1], h.s[down], by) {
			down++
		}
		if !before(h.s[down], n, by) {
			return
		}
		h.swap(i, down, by)
		i = down
	}
}

func (h *nodeHeap) swap(i, j, by int) {
	h.s[i], h.s[j] = h.s[j], h.s[i]
	h.s[i].at[by], h.s[j].at[by] = i+1, j+1
}

func (h *nodeHeap) top() *node {
	if len(h.s) == 0 {
		return nil
	}
	return h.s[0]
}

// adopt makes n a child of p.
func (p *node) adopt(n *node) {
	n.parent = p
	n.next = p.first
	if p.first != nil {
		p.first.prev = n
	}
	p.first = n
	p.kids++
}

// drop removes n, which has nothing unfinished, from its parent.
func (p *node) drop(n *node) {
	p.turns.remove(n, byTurn)
	p.greed.remove(n, byGreed)
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		p.first = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	}
	n.parent, n.next, n.prev = nil, nil, nil
	p.kids--
}

// ticketList is a list in order of arrival. A ticket has a link for each list
// it can be in.
type ticketList struct {
	head, tail *Ticket
}

const (
	inTurn = iota // a leaf's queue, or the queue's list of running ones
	inLeaf        // a leaf's list of all
	inAge         // the queue's list of all
	links
)

type link struct {
	next, prev *Ticket
	on         bool
}

func (l *ticketList) push(t *Ticket, by int) {
	t.link[by] = link{prev: l.tail, on: true}
	if l.tail != nil {
		l.tail.link[by].next = t
	} else {
		l.head = t
	}
	l.tail = t
}

func (l *ticketList) pushFront(t *Ticket, by int) {
	t.link[by] = link{next: l.head, on: true}
	if l.head != nil {
		l.head.link[by].prev = t
	} else {
		l.tail = t
	}
	l.head = t
}

func (l *ticketList) remove(t *Ticket, by int) {
	k := t.link[by]
	if !k.on {
		return
	}
	if k.prev != nil {
		k.prev.link[by].next = k.next
	} else {
		l.head = k.next
	}
	if k.next != nil {
		k.next.link[by].prev = k.prev
	} else {
		l.tail = k.prev
	}
	t.link[by] = link{}
}
