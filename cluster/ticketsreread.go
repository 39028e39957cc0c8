package cluster

import (
	"context"
	"errors"
	"time"
)

// A watch tells of a value once. Most values are written again within seconds, but
// a ticket secret is written once and stays for days. A node that could not read
// one, as the store returned garbage just then, would go on with a secret that the
// others have left, and perhaps distrust. So it reads the value again until it can.

const (
	rereadEvery = 5 * time.Second // of each value
	maxUnread   = 64              // values that are read again
)

// noteUnread notes that the value of a ticket secret could not be read.
func (n *Node) noteUnread(at slot) {
	b, id := &n.tickets, ticketID{at.epoch, at.gen}
	if at.kind != ticketsAt || len(b.unread) >= maxUnread || !n.wanted(id) {
		return
	}
	if b.unread == nil {
		b.unread = make(map[ticketID]time.Time)
	}
	if _, ok := b.unread[id]; !ok {
		b.unread[id] = time.Now().Add(rereadEvery)
	}
}

// wanted reports whether a secret could be taken now.
func (n *Node) wanted(id ticketID) bool {
	now := n.clock.now()
	return !n.over(id.epoch, now) && id.epoch <= n.epochAt(now)+epochsAhead && !n.tickets.dropped(id)
}

// nextUnread returns the value that has been due for longest, if one is.
func (n *Node) nextUnread(now time.Time) (id ticketID, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.up {
		return id, false
	}
	b := &n.tickets
	for k, due := range b.unread {
		switch {
		case !n.wanted(k):
			delete(b.unread, k)
		case !due.After(now) && (!ok || due.Before(b.unread[id])):
			id, ok = k, true
		}
	}
	if ok {
		b.unread[id] = now.Add(rereadEvery)
	}
	return id, ok
}

// rereadTicket reads one value again, no more, so that a slow store does not hold
// up all else. One that still cannot be read was counted when it came.
func (n *Node) rereadTicket(ctx context.Context) error {
	id, ok := n.nextUnread(time.Now())
	if !ok {
		return nil
	}
	key := id.slot().key()
	v, err := n.cfg.Store.Get(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
	case errors.Is(err, ErrValue):
		return nil
	case err != nil:
		return n.store(err)
	default:
		if _, _, err := n.open(key, v.Data); err != nil {
			return nil
		}
		n.receive(Event{Key: key, Value: v})
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.tickets.unread, id)
	return nil
}
