package supervisor

import (
	"net/netip"
	"time"

	"netserver/cluster"
	"netserver/daemon/internal/wire"
)

// Lifted has other nodes take a network out of their penalty boxes too. It
// returns a number for the question by which the workers are told.
func (s *supervisor) Lifted(p netip.Prefix) (number uint64) {
	s.do(func() { number = s.cluster.lift(p) })
	return number
}

func (c *clusterProcess) lift(p netip.Prefix) (number uint64) {
	if c == nil {
		return 0
	}
	now := time.Now()
	number = c.made.Lift(p, c.bans.Told(now), now)
	c.s.awaitLift(number, []netip.Prefix{p}, now)
	c.bans.Lift(p)
	if c.proc != nil {
		c.proc.tell(wire.Message{Op: wire.OpLifted, Network: p.String()})
	}
	c.reportSoon()
	return number
}

// awaitLift has what workers tell of bans within networks count for nothing until
// they have lifted those.
func (s *supervisor) awaitLift(number uint64, networks []netip.Prefix, now time.Time) {
	for _, g := range s.gens {
		for w := range g.workers {
			w.lifts.Add(number, networks, now)
			w.shared.Bans = w.lifts.Rest(w.shared.Bans)
		}
	}
}

// tellLifts tells a worker again what it has not confirmed.
func (w *child) tellLifts(now time.Time) {
	for w.ready && !w.gone && len(w.outbox) < newsRoom {
		number, networks, ok := w.lifts.Again(now)
		if !ok {
			return
		}
		w.tell(wire.Message{Op: wire.OpNews, ID: number, News: &cluster.News{Lifted: networks}})
	}
}

// staleShare is how old what a worker has told may be before that is taken off
// its bans: one that serves tells twice a second.
const staleShare = time.Second

// ownBans returns the bans that a worker has told of, with what is left of them.
func (w *child) ownBans(now time.Time) []cluster.Ban {
	age := now.Sub(w.sharedAt)
	if age < staleShare {
		return w.shared.Bans
	}
	var list []cluster.Ban
	for _, b := range w.shared.Bans {
		if b.Left -= age; b.Left > 0 {
			list = append(list, b)
		}
	}
	return list
}
