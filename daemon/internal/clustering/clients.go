package clustering

import (
	"hash/maphash"
	"sync"
	"time"

	"netserver"
	"netserver/cluster"
	"netserver/daemon/internal/wire"
	"netserver/handler/proxy"
	"netserver/internal/admit"
	"netserver/internal/bridge"
)

// Clients are those of a process that serves, as other nodes hear of them.
// Take, Hurry and one Tell may run at the same time.
type Clients struct {
	monitor netserver.Monitor
	engine  bridge.Engine
	seed    maphash.Seed
	wake    chan struct{} // Tell

	mu     sync.Mutex
	lifted []uint64 // numbers of lifts that are to be confirmed

	backends []*proxy.Backend  // whose targets' health is shared
	heeded   []cluster.Opinion // what they were told last
}

// NewClients returns those of a Server, given its Monitor.
func NewClients(m netserver.Monitor) *Clients {
	return &Clients{monitor: m, engine: bridge.Of(m), seed: maphash.MakeSeed(), wake: make(chan struct{}, 1)}
}

// Take takes what other nodes tell: bans, and how many clients they have. lift is
// the number of what is lifted by it; 0 is none.
func (c *Clients) Take(n *cluster.News, lift uint64) {
	if n.Bans != nil {
		list := make([]admit.Boxed, len(*n.Bans))
		for i, b := range *n.Bans {
			list[i] = admit.Boxed{Prefix: b.Prefix, Left: b.Left, Manual: b.Manual, Node: b.Node}
		}
		c.engine.SetOtherBans(list)
	}
	for _, p := range n.Lifted {
		c.monitor.Lift(p)
	}
	c.Lifted(lift)
	if o := n.Others; o != nil {
		uses := make([]admit.SourceUse, len(o.Counts))
		for i, u := range o.Counts {
			uses[i] = admit.SourceUse{Prefix: u.Prefix, Conns: int(u.Conns), Handshakes: int(u.Handshakes)}
		}
		c.engine.SetOtherCounts(admit.Others{Processes: o.Processes, Uses: uses})
		c.heed(o.Targets)
	}
}

// Lifted has a lift confirmed that was carried out; 0 is none.
func (c *Clients) Lifted(number uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if number != 0 && len(c.lifted) < wire.MaxSharedLifts {
		c.lifted = append(c.lifted, number)
	}
}

// confirmed returns the numbers of lifts that were carried out since the last
// time.
func (c *Clients) confirmed() []uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.lifted
	c.lifted = nil
	return list
}

// counts returns the sources and networks with most clients unless the sum, by
// which equal ones are known, is the last one. Each call is a report to the
// others.
func (c *Clients) counts(last uint64) (list cluster.Counts, sum uint64) {
	uses := c.engine.SharedCounts(cluster.MaxCounts)
	if sum = sumOf(c.seed, uses); sum == last {
		return nil, sum
	}
	list = make(cluster.Counts, len(uses))
	for i, u := range uses {
		list[i] = cluster.Count{Prefix: u.Prefix, Conns: uint32(min(u.Conns, cluster.MaxCount)), Handshakes: uint32(min(u.Handshakes, cluster.MaxCount))}
	}
	return list, sum
}

// sumOf returns a sum of what is in the list, in any order. It is not 0.
func sumOf[T comparable](seed maphash.Seed, list []T) uint64 {
	sum := uint64(len(list)) + 1
	for _, n := range list {
		sum += maphash.Comparable(seed, n)
	}
	return max(sum, 1)
}

// bans returns what is in the penalty box by this process's own doing.
func (c *Clients) bans() (list []cluster.Ban) {
	for _, b := range c.engine.OwnBans(cluster.MaxBans) {
		list = append(list, cluster.Ban{Prefix: b.Prefix, Left: min(b.Left, cluster.MaxManualBan), Manual: b.Manual})
	}
	return list
}

// A Share is what a process that serves tells for other nodes.
type Share struct {
	Counts cluster.Counts
	Same   bool // the counts are those of the last time, and not given
	Bans   []cluster.Ban
	Lifted []uint64 // numbers of lifts that were carried out before the bans were looked up

	Targets cluster.Findings
}

// Parts cuts what is shared into messages.
func (s Share) Parts() (list []wire.Shared) {
	counts, bans := s.Counts, s.Bans
	for first := true; first || len(counts)+len(bans) > 0; first = false {
		n, m := min(len(counts), wire.MaxSharedCounts), min(len(bans), wire.MaxSharedBans)
		list = append(list, wire.Shared{First: first, Same: first && s.Same, Counts: counts[:n], Bans: bans[:m]})
		counts, bans = counts[n:], bans[m:]
	}
	if len(s.Targets) > 0 {
		list = append(list, wire.Shared{Targets: s.Targets})
	}
	list[0].Lifted, list[len(list)-1].Last = s.Lifted, true
	return list
}

const (
	// countsEvery is how often other nodes are told how many clients there are,
	// and bansEvery how often the penalty box is looked at, which is told when it
	// has changed.
	countsEvery = 500 * time.Millisecond
	bansEvery   = 250 * time.Millisecond
	// sameBan is how much later a ban has to end to be another.
	sameBan = 2 * time.Second
)

// Tell calls tell with what other nodes are to know, until done is closed: twice
// a second, and when the penalty box has changed. Counts that are as they were
// told last are not told again, but that they are the same.
func (c *Clients) Tell(tell func(Share), done <-chan struct{}) {
	t := time.NewTicker(bansEvery)
	defer t.Stop()
	var told time.Time
	var last uint64 // the sum of the counts told last
	var have []cluster.Ban
	var lifted []uint64
	for {
		select {
		case <-t.C:
		case <-c.wake:
		case <-done:
			return
		}
		lifted = append(lifted, c.confirmed()...) // before the bans
		bans, now := c.bans(), time.Now()
		due := now.Sub(told) >= countsEvery-bansEvery/2
		if !due && (told.IsZero() || len(lifted) == 0 && !newBans(have, bans)) {
			continue
		}
		var counts cluster.Counts
		same := !told.IsZero()
		if due {
			var sum uint64
			counts, sum = c.counts(last)
			same = sum == last
			last, told = sum, now
		}
		tell(Share{Counts: counts, Same: same, Bans: bans, Lifted: lifted[:min(len(lifted), wire.MaxSharedLifts)], Targets: c.Findings()})
		have, lifted = bans, nil
	}
}

// newBans reports whether there is a ban that was not there, or ends later.
func newBans(before, now []cluster.Ban) bool {
	if len(now) > len(before) {
		return true
	}
	ends := make(map[cluster.Ban]time.Duration, len(before))
	for _, b := range before {
		ends[cluster.Ban{Prefix: b.Prefix, Manual: b.Manual}] = b.Left
	}
	for _, b := range now {
		if left, ok := ends[cluster.Ban{Prefix: b.Prefix, Manual: b.Manual}]; !ok || b.Left > left+sameBan {
			return true
		}
	}
	return false
}

// Hurry has what has changed told at once.
func (c *Clients) Hurry() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
