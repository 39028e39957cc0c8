package clustering

import (
	"net/netip"
	"slices"
	"time"

	"netserver/cluster"
)

// Made is what the processes of this server have banned, and what was lifted
// here, with the identities by which the cluster knows it. It outlives the Node
// and the process that shares: a lift that meets one that was just killed, or is
// told to it, is not lost. Its owner has a lock. The zero Made has nothing.
type Made struct {
	Node   string // the name of this one
	bans   map[banPlace]made
	lifted map[liftedBan]time.Time // until when it would have been
	last   uint64                  // BanID.Process of the last ban
	lifts  uint64                  // the number of the last lift
}

// A banPlace is what a node has one ban of at most.
type banPlace struct {
	prefix netip.Prefix
	manual bool
}

type made struct {
	id    cluster.BanID
	until time.Time
}

type liftedBan struct {
	node string
	id   cluster.BanID
}

// within reports whether a network lies in p.
func within(network, p netip.Prefix) bool {
	return network.Bits() >= p.Bits() && p.Contains(network.Addr())
}

// Report returns what a Node is told of this server's bans: those in the penalty
// boxes of its processes, with their identities, and those that were there, or
// that a process of before it had made.
func (m *Made) Report(boxed []cluster.Ban, now time.Time) []cluster.Ban {
	list := slices.Clone(boxed)
	m.name(list, now)
	have := make(map[banPlace]bool, len(list))
	for _, b := range list {
		have[banPlace{b.Prefix, b.Manual}] = true
	}
	for at, b := range m.bans {
		if !have[at] {
			list = append(list, cluster.Ban{Prefix: at.prefix, Manual: at.manual, Left: b.until.Sub(now), ID: b.id})
		}
	}
	return list
}

// Adopt keeps those of the bans that a Node tells of that are this server's own,
// of a process before it: the Node has them of the store, which may lose them.
func (m *Made) Adopt(told []cluster.Ban, now time.Time) {
	m.age(now)
	latest := cluster.NewBanID(now.Add(clockMayDiffer)).Process
	for _, b := range told {
		at := banPlace{b.Prefix, b.Manual}
		_, have := m.bans[at]
		_, lifted := m.lifted[liftedBan{b.Node, b.ID}]
		if b.Node != m.Node || b.ID == (cluster.BanID{}) || b.ID.Process > latest || b.Left <= 0 || have || lifted || len(m.bans) >= cluster.MaxBans {
			continue
		}
		m.bans[at] = made{b.ID, now.Add(b.Left)}
		m.last = max(m.last, b.ID.Process)
	}
}

// clockMayDiffer is how far this server's clock may have been set back since it
// has banned something.
const clockMayDiffer = 24 * time.Hour

// age forgets what is over.
func (m *Made) age(now time.Time) {
	if m.bans == nil {
		m.bans, m.lifted = make(map[banPlace]made), make(map[liftedBan]time.Time)
	}
	for at, b := range m.bans {
		if !b.until.After(now) {
			delete(m.bans, at)
		}
	}
}

// name gives bans their identities.
func (m *Made) name(list []cluster.Ban, now time.Time) {
	m.age(now)
	for i := range list {
		b := &list[i]
		at, until := banPlace{b.Prefix, b.Manual}, now.Add(b.Left)
		have, ok := m.bans[at]
		switch {
		case ok && !until.After(have.until.Add(sameBan)):
		case !ok && len(m.bans) >= cluster.MaxBans:
			continue // the Node gives it one
		default:
			m.last = max(cluster.NewBanID(now).Process, m.last+1)
			have = made{cluster.BanID{Process: m.last}, until}
			m.bans[at] = have
		}
		b.ID = have.id
	}
}

// Lift takes in that an operator has lifted here what is within p; told are the
// bans that the Node has told of. It returns the number of the lift.
func (m *Made) Lift(p netip.Prefix, told []cluster.Ban, now time.Time) uint64 {
	add := func(node string, id cluster.BanID, until time.Time) {
		if id != (cluster.BanID{}) && len(m.lifted) < cluster.MaxLifted {
			m.lifted[liftedBan{node, id}] = until
		}
	}
	m.age(now)
	m.Lifted(now) // without those that are over
	for at, b := range m.bans {
		if within(at.prefix, p) {
			add(m.Node, b.id, b.until)
		}
	}
	for _, b := range told {
		if within(b.Prefix, p) {
			add(b.Node, b.ID, now.Add(b.Left))
		}
	}
	return m.Taken([]netip.Prefix{p})
}

// Taken forgets what is within networks that were lifted: what is banned there
// from now on is another ban. It returns the number of the lift.
func (m *Made) Taken(networks []netip.Prefix) uint64 {
	for at := range m.bans {
		if slices.ContainsFunc(networks, func(p netip.Prefix) bool { return within(at.prefix, p) }) {
			delete(m.bans, at)
		}
	}
	m.lifts++
	return m.lifts
}

// Lifted returns what was lifted here and would not be over.
func (m *Made) Lifted(now time.Time) (list []cluster.Lift) {
	for b, until := range m.lifted {
		left := until.Sub(now)
		if left <= 0 {
			delete(m.lifted, b)
			continue
		}
		list = append(list, cluster.Lift{Node: b.node, ID: b.id, Left: left})
	}
	return list
}

// Lifts are those that a process that serves has not yet confirmed: until then,
// what it tells of bans within them is of before. The zero Lifts are none.
type Lifts struct{ list []pendingLift }

type pendingLift struct {
	number   uint64
	networks []netip.Prefix
	told     time.Time
}

const (
	maxLifts  = 1000            // of one process
	liftAgain = 5 * time.Second // until one that was not confirmed is told again
)

// Add adds a lift that the process is being told.
func (l *Lifts) Add(number uint64, networks []netip.Prefix, now time.Time) {
	if len(l.list) >= maxLifts {
		l.list = l.list[1:]
	}
	l.list = append(l.list, pendingLift{number, networks, now})
}

// Done takes in that the process has carried out lifts.
func (l *Lifts) Done(numbers []uint64) {
	l.list = slices.DeleteFunc(l.list, func(p pendingLift) bool { return slices.Contains(numbers, p.number) })
}

// Rest returns bans of the process without those that it is yet to lift. It
// changes the list.
func (l *Lifts) Rest(bans []cluster.Ban) []cluster.Ban {
	if len(l.list) == 0 {
		return bans
	}
	return slices.DeleteFunc(bans, func(b cluster.Ban) bool {
		return slices.ContainsFunc(l.list, func(p pendingLift) bool {
			return slices.ContainsFunc(p.networks, func(n netip.Prefix) bool { return within(b.Prefix, n) })
		})
	})
}

// Again returns the next lift that has not been confirmed for so long that it is
// to be told again; ok is false if there is none.
func (l *Lifts) Again(now time.Time) (number uint64, networks []netip.Prefix, ok bool) {
	for i := range l.list {
		if p := &l.list[i]; now.Sub(p.told) >= liftAgain {
			p.told = now
			return p.number, p.networks, true
		}
	}
	return 0, nil, false
}
