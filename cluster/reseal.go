package cluster

import (
	"context"
	"errors"
	"time"
)

// Most values are written again within seconds, and so by the key that seals
// now. Ticket secrets stay for days: nodes that have been told to seal by another
// key write them again, so that the one before can be removed.

// resealEvery is how often a node writes ticket secrets again at most. While a
// key is exchanged, some nodes seal by the old key and some by the new one, and
// each writes again what the others have.
const resealEvery = 30 * time.Second

// noteSeal notes whether a ticket secret is to be written again.
func (n *Node) noteSeal(at slot, v Value) {
	s := n.tickets.known[ticketID{at.epoch, at.gen}]
	switch {
	case s == nil:
	case n.cfg.Keys.Current(v.Data):
		s.old = 0
	default:
		s.old = v.Rev
	}
}

// resealTickets writes those again that another key has sealed.
func (n *Node) resealTickets(ctx context.Context) error {
	n.mu.Lock()
	type stored struct {
		id ticketID
		*ticketSecret
		rev uint64
	}
	var list []stored
	if now := time.Now(); n.up && !now.Before(n.tickets.nextReseal) {
		for id, s := range n.tickets.known {
			if s.old != 0 && s.stored {
				list = append(list, stored{id, s, s.old})
				s.old = 0 // the store tells of it again
			}
		}
		if len(list) > 0 {
			n.tickets.nextReseal = now.Add(resealEvery)
		}
	}
	n.mu.Unlock()
	for _, s := range list {
		value, ttl, err := n.sealTicket(s.id, s.ticketSecret)
		if err == nil {
			_, err = n.put(ctx, s.id.slot().key(), value, s.rev, ttl)
		}
		if err != nil && !errors.Is(err, ErrChanged) {
			return err
		}
	}
	return nil
}
