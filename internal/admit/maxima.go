package admit

import "errors"

// A shedError ends a handshake because of one of the queue's maxima.
type shedError struct{ limit Reason }

// Error returns the text of ErrShed.
func (e *shedError) Error() string { return ErrShed.Error() }

// Unwrap returns ErrShed.
func (e *shedError) Unwrap() error { return ErrShed }

// ShedFor returns the limit behind an ErrShed: one of the three on unfinished
// handshakes, OverMemory if Shed was called, or OK for another error.
func ShedFor(err error) Reason {
	var e *shedError
	switch {
	case errors.As(err, &e):
		return e.limit
	case errors.Is(err, ErrShed):
		return OverMemory
	}
	return OK
}

// Over returns the limit that Add found exceeded with QueueConfig.Shadow,
// otherwise OK.
func (t *Ticket) Over() Reason { return t.over }

// tooMany returns the narrowest network with too many unfinished handshakes
// including t, and the limit; nil if there is none.
func (q *Queue) tooMany(t *Ticket) (*node, Reason) {
	c, o := &q.cfg, q.others.Load()
	if c.MaxPerSource > 0 {
		if n := t.leaf.source(); n.unfinished > o.roomFor(n, c.MaxPerSource) {
			return n, OverSourceHandshakes
		}
	}
	if c.MaxPerPrefix > 0 {
		if n := t.leaf.wide(); n.unfinished > o.roomFor(n, c.MaxPerPrefix) {
			return n, OverPrefixHandshakes
		}
	}
	if c.Max > 0 && q.root.unfinished > c.Max {
		return q.root, OverHandshakes
	}
	return nil, OK
}

// wide returns the network of the leaf n for the limits. Clients without an
// address form one.
func (n *node) wide() *node {
	bits := uint8(wide4)
	if n.key.v6 {
		bits = wide6
	}
	for m := n; m.parent != nil; m = m.parent {
		if m.key.bits == bits {
			return m
		}
	}
	return n
}
