package clustering

import (
	"net/netip"
	"slices"
	"time"

	"netserver/cluster"
)

// Bans are the bans that the cluster process tells of. One that was started again
// knows only a part at first, or nothing if the store is away: until it knows
// better, those that the one before had told stay. The zero Bans has none.
type Bans struct {
	told, before []cluster.Ban
	at           time.Time // what is left of both is of this time
}

// age takes off the time that has passed, and what is over by then.
func (b *Bans) age(now time.Time) {
	passed := now.Sub(b.at)
	for _, list := range []*[]cluster.Ban{&b.told, &b.before} {
		var left []cluster.Ban
		for _, one := range *list {
			if one.Left -= passed; one.Left > 0 {
				left = append(left, one)
			}
		}
		*list = left
	}
	b.at = now
}

// All returns what is in force, which is never nil, as processes that serve are
// told: without identities.
func (b *Bans) All(now time.Time) []cluster.Ban {
	all := b.Told(now)
	for i := range all {
		all[i].ID = cluster.BanID{}
	}
	return all
}

// Told returns what is in force, which is never nil.
func (b *Bans) Told(now time.Time) []cluster.Ban {
	b.age(now)
	have := make(map[netip.Prefix]bool, len(b.told))
	all := append([]cluster.Ban{}, b.told...)
	for _, one := range b.told {
		have[one.Prefix] = true
	}
	for _, one := range b.before {
		if !have[one.Prefix] && len(all) < cluster.MaxTold {
			all = append(all, one)
		}
	}
	return all
}

// Ended keeps what the process had told when it has ended.
func (b *Bans) Ended(now time.Time) {
	b.before, b.told = b.Told(now), nil
}

// Lift takes out what is within p.
func (b *Bans) Lift(p netip.Prefix) {
	in := func(one cluster.Ban) bool { return within(one.Prefix, p) }
	b.told, b.before = slices.DeleteFunc(b.told, in), slices.DeleteFunc(b.before, in)
}

// Tell takes what the process tells now in the place of what it told before.
func (b *Bans) Tell(n *cluster.News, now time.Time) {
	b.age(now)
	if n.Bans != nil {
		b.told = slices.Clone(*n.Bans)
	}
	b.before = slices.DeleteFunc(b.before, func(one cluster.Ban) bool { return slices.Contains(n.Lifted, one.Prefix) })
}

// Kept reports whether some stay that a process before has told of.
func (b *Bans) Kept() bool { return len(b.before) > 0 }

// Forget ends that.
func (b *Bans) Forget() { b.before = nil }
