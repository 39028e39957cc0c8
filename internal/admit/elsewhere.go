package admit

import (
	"cmp"
	"maps"
	"math"
	"net/netip"
	"slices"
	"time"
)

// Others are the clients of other processes that share the limits by source
// with this one; docs/CLUSTER-MODEL.md has the model. A Limiter keeps to it by
// what it has reported itself, see Shared.
type Others struct {
	// Processes is how many others there are; with 0 this process is alone, and
	// Uses is not looked at.
	Processes int
	Uses      []SourceUse // of sources and networks, what all have together
}

// others is Others as a Limiter looks it up, and, of handshakes, a Queue. It does
// not change.
type others struct {
	processes int // this one included
	have      map[prefix]uint32
	near      []prefix // of a Queue: what they have noticeably many of
}

// add adds what others have of a source or network.
func (o *others) add(p netip.Prefix, n int) {
	if n <= 0 {
		return
	}
	if key, ok := limitKey(p); ok {
		o.have[key] = min(o.have[key]+uint32(min(n, maxElsewhereUse)), maxElsewhereUse)
	}
}

// maxElsewhereUse bounds what others have of a source or network.
const maxElsewhereUse = 1 << 30

// said is what was last reported of a source or network, the last one first. It
// counts as known elsewhere with the least of them, of which the others have
// certainly heard.
type said [reportsKept]uint16

const reportsKept = 3

func (s *said) least() int { return int(slices.Min(s[:])) }

func (s *said) note(n int) {
	copy(s[1:], s[:])
	s[0] = uint16(min(n, math.MaxUint16)) // less is on the safe side
}

// SetOthers replaces what is known of the others.
func (l *Limiter) SetOthers(o Others) {
	if o.Processes <= 0 {
		l.others.Store(nil)
		return
	}
	n := &others{processes: o.Processes + 1, have: make(map[prefix]uint32, len(o.Uses))}
	for i := range o.Uses {
		n.add(o.Uses[i].Prefix, o.Uses[i].Conns)
	}
	l.others.Store(n)
}

// limitKey returns a source or network as a key.
func limitKey(p netip.Prefix) (prefix, bool) {
	if !p.IsValid() {
		return prefix{}, false
	}
	source, wide := tiers(p.Addr())
	for _, key := range [...]prefix{source, wide} {
		if key.Prefix() == p {
			return key, true
		}
	}
	return prefix{}, false
}

// room returns how many connections the entry may have in this process, of a
// limit for all.
func (o *others) room(e *entry, limit int) int {
	if o == nil {
		return limit
	}
	return o.part(e.key, e.said.least(), limit)
}

// part returns how much of a limit for all this process may use, which is known
// to have own. What is left below the limit is divided among all processes: half
// of it evenly, half by what each is known to have. So they may all use their
// parts before they hear of each other, and one that has most of the clients
// comes near the limit in a few exchanges.
func (o *others) part(key prefix, own, limit int) int {
	elsewhere := int(o.have[key])
	left := limit - own - elsewhere
	if left <= 0 {
		return min(own, limit)
	}
	share := float64(left) / float64(o.processes)
	if all := own + elsewhere; all > 0 {
		share = share/2 + float64(left)*float64(own)/float64(all)/2
	}
	part := int(share)
	if share > float64(part) {
		part++ // one at least, so that nobody is shut out
	}
	return min(own+part, limit)
}

// minReported is how many connections of a source or network are reported. One
// in each process is within what rounding gives away, unless one is all that
// each may have.
const minReported = 2

// least returns the least number that is reported, of a limit.
func (o *others) least(limit int) int {
	if o != nil && limit < minReported*o.processes {
		return 1
	}
	return minReported
}

// Shared returns the max sources and networks with the most connections, in no
// order, for the other processes. Each call is a report: when the next two have
// been made too, the Limiter takes it that the others know. Others must be told
// at once, and SetOthers called with what they report; as often in all processes.
func (l *Limiter) Shared(max int) (list []SourceUse) {
	o := l.others.Load()
	ofSource, ofNetwork := o.least(l.cfg.MaxPerSource), o.least(l.cfg.MaxPerPrefix)
	if n := int(l.shared.Load()); n > 0 {
		list = make([]SourceUse, 0, n+n/8)
	}
	for i := range l.table.shards {
		s := &l.table.shards[i]
		s.mu.Lock()
		for _, e := range s.m {
			least := ofNetwork
			if e.key.isSource() {
				least = ofSource
			}
			if e.conns < least {
				e.said = said{}
				continue
			}
			e.said.note(e.conns)
			list = append(list, SourceUse{Prefix: e.key.Prefix(), Conns: e.conns})
		}
		s.mu.Unlock()
	}
	l.shared.Store(int64(len(list)))
	if len(list) > max {
		all := list
		list = greatest(all, max)
		l.unsay(all[max:])
	}
	return list
}

// unsay notes that these were not reported.
func (l *Limiter) unsay(list []SourceUse) {
	for _, u := range list {
		key, _ := limitKey(u.Prefix)
		_, wide := tiers(u.Prefix.Addr())
		s := l.table.shard(wide)
		s.mu.Lock()
		if e := s.m[key]; e != nil {
			e.said = said{}
		}
		s.mu.Unlock()
	}
}

// maxElsewhere bounds the bans of other processes.
const maxElsewhere = 8192

// elsewhere is what others have banned. It does not change.
type elsewhere struct {
	exact map[prefix]elsewhereBan // sources and networks
	wide  []elsewhereBan          // of another size, at most maxBans
}

type elsewhereBan struct {
	ban
	by     string
	manual bool
}

// SetBans replaces what other processes have put into their penalty boxes: it
// is in this one's too, until Left has passed, exempt addresses aside. Of those
// that are neither sources nor networks, 256 are taken. It returns those that
// were not there before.
func (l *Limiter) SetBans(list []Boxed) (added []netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, was := l.clock(), l.elsewhere.Load()
	n := &elsewhere{exact: make(map[prefix]elsewhereBan, len(list))}
	for _, b := range list[:min(len(list), maxElsewhere)] {
		p := liftable(b.Prefix)
		if !p.IsValid() || b.Left <= 0 {
			continue
		}
		one := elsewhereBan{ban{p, now + int64(b.Left)}, b.Node, b.Manual}
		if key, ok := limitKey(p); ok {
			n.exact[key] = one
		} else if len(n.wide) < maxBans {
			n.wide = append(n.wide, one)
		} else {
			continue
		}
		if !was.has(p, now) {
			added = append(added, p)
		}
	}
	if len(n.exact)+len(n.wide) == 0 {
		n = nil
	}
	l.elsewhere.Store(n)
	return added
}

// has reports whether p itself is banned.
func (b *elsewhere) has(p netip.Prefix, now int64) bool {
	for one := range b.all() {
		if one.p == p && one.until > now {
			return true
		}
	}
	return false
}

// all yields the bans.
func (b *elsewhere) all() func(yield func(elsewhereBan) bool) {
	return func(yield func(elsewhereBan) bool) {
		if b == nil {
			return
		}
		for _, one := range b.exact {
			if !yield(one) {
				return
			}
		}
		for _, one := range b.wide {
			if !yield(one) {
				return
			}
		}
	}
}

// find returns the ban that a is in, the longest if there are several.
func (b *elsewhere) find(a netip.Addr, now int64) (found elsewhereBan, ok bool) {
	if b == nil {
		return found, false
	}
	try := func(one elsewhereBan) {
		if one.until > now && one.until > found.until {
			found, ok = one, true
		}
	}
	source, wide := tiers(a)
	try(b.exact[source])
	try(b.exact[wide])
	for _, one := range b.wide {
		if one.p.Contains(a) {
			try(one)
		}
	}
	return found, ok
}

// lift takes what is within p out, and returns how many there were.
func (l *Limiter) liftElsewhere(p netip.Prefix, now int64) (lifted int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.elsewhere.Load()
	if was == nil {
		return 0
	}
	within := func(b elsewhereBan) bool {
		in := b.p.Bits() >= p.Bits() && p.Contains(b.p.Addr())
		if in && b.until > now {
			lifted++
		}
		return in
	}
	n := &elsewhere{exact: maps.Clone(was.exact), wide: slices.DeleteFunc(slices.Clone(was.wide), within)}
	maps.DeleteFunc(n.exact, func(_ prefix, b elsewhereBan) bool { return within(b) })
	l.elsewhere.Store(n)
	return lifted
}

// Own returns what this process itself has put into the penalty box, at most
// max, the longest remaining time first.
func (l *Limiter) Own(max int) []Boxed {
	list := slices.DeleteFunc(l.List(), func(b Boxed) bool { return b.Node != "" })
	return list[:min(max, len(list))]
}

// listElsewhere appends what only others have banned, or longer.
func (l *Limiter) listElsewhere(list []Boxed, now int64) []Boxed {
	b := l.elsewhere.Load()
	if b == nil {
		return list
	}
	left := make(map[netip.Prefix]time.Duration, len(list))
	for _, own := range list {
		left[own.Prefix] = max(left[own.Prefix], own.Left)
	}
	for one := range b.all() {
		if rest := time.Duration(one.until - now); rest > 0 && left[one.p] == 0 {
			list = append(list, Boxed{Prefix: one.p, Left: rest, Manual: one.manual, Node: cmp.Or(one.by, "?")})
		}
	}
	return list
}
