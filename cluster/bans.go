package cluster

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"
)

const (
	bansSoonest = 200 * time.Millisecond // after the last time
	bansEvery   = 5 * time.Second        // while there are some
	bansTTL     = time.Minute            // of a value beyond the last ban in it
	prolonged   = 2 * time.Second        // a ban that ends so much later is another
	liftHolds   = 3 * time.Second        // in which a Report may still hold what was lifted
)

// A banID tells a ban from a later one of the same prefix.
type banID struct {
	node string
	boot uint64
	id   uint64
}

// A banKey is what a node has one ban of at most.
type banKey struct {
	prefix netip.Prefix
	manual bool
}

// A sharedBan is a ban until a moment of this node's steady clock.
type sharedBan struct {
	banKey
	banID
	until time.Time
	named bool // a Report has given its id
}

// A quietBan was lifted a moment ago: a Report that was under way may hold it.
type quietBan struct{ end, forget time.Time }

// A banBox holds what this node itself has banned and lifted.
type banBox struct {
	bans   map[banKey]sharedBan // of this process, and of those before it with this name
	lifted map[banID]time.Time  // until when it would have been
	quiet  map[netip.Prefix]quietBan
	taken  map[banID]time.Time // bans of Reports that others have lifted, which was told
	last   uint64              // the last banID.id
	sent   time.Time
	dirty  bool
	told   []sharedBan // in the last News
	toldAt time.Time
}

// bannable reports whether a ban of p is taken: those by hand may be of networks,
// the widest excepted, penalties of what is counted.
func bannable(k banKey) bool {
	p, a := k.prefix, k.prefix.Addr()
	if !p.IsValid() || p != p.Masked() || a.Is4In6() || a.Zone() != "" {
		return false
	}
	if !k.manual {
		_, _, ok := kindOf(p)
		return ok
	}
	if a.Is4() {
		return p.Bits() >= 8
	}
	return p.Bits() >= 16 && p.Bits() <= 64
}

// longest returns how long a ban may last.
func (n *Node) longest(manual bool) time.Duration {
	if manual {
		return MaxManualBan
	}
	return n.cfg.MaxPenalty
}

// reportBans takes what is in this node's penalty box. What is missing stays
// banned until its end, since a worker may have ended: Lift alone lifts.
func (n *Node) reportBans(list []Ban) {
	b, now, isLifted := &n.box, time.Now(), n.isLifted()
	if over := len(list) - MaxBans; over > 0 {
		n.dropped += uint64(over)
		list = list[:MaxBans]
	}
	for _, r := range list {
		k := banKey{r.Prefix, r.Manual}
		until := now.Add(min(r.Left, n.longest(r.Manual)))
		if r.Left <= 0 || !bannable(k) {
			continue
		}
		if r.ID != (BanID{}) {
			n.reportNamed(sharedBan{k, banID{n.cfg.Name, r.ID.Process, r.ID.Number}, until, true}, isLifted)
			continue
		}
		if q, ok := b.quiet[r.Prefix]; ok && now.Before(q.forget) && until.Before(q.end.Add(prolonged)) {
			continue
		}
		if have, ok := b.bans[k]; !ok || until.After(have.until.Add(prolonged)) {
			b.last++
			b.bans[k] = sharedBan{banKey: k, banID: banID{n.cfg.Name, n.boot, b.last}, until: until}
			n.bansChanged(true)
		}
	}
	if over := len(b.bans) - MaxBans; over > 0 {
		n.dropped += uint64(over)
		for _, old := range slices.SortedFunc(maps.Values(b.bans), func(x, y sharedBan) int { return x.until.Compare(y.until) })[:over] {
			delete(b.bans, old.banKey)
		}
	}
}

// reportNamed takes a ban whose identity outlives this Node: others may have
// lifted it before this one has heard of it.
func (n *Node) reportNamed(s sharedBan, isLifted func(banID) bool) {
	b := &n.box
	if isLifted(s.banID) {
		if _, told := b.taken[s.banID]; !told {
			n.tellLifted(s)
		}
		return
	}
	have, ok := b.bans[s.banKey]
	if ok && have.banID == s.banID {
		have.named = true
		b.bans[s.banKey] = have
		return
	}
	if ok { // of a process before whoever reports, or named by this Node
		s.until = later(s.until, have.until)
	}
	b.bans[s.banKey] = s
	n.bansChanged(true)
}

// tellLifted has a ban of a Report taken out of the penalty box.
func (n *Node) tellLifted(s sharedBan) {
	n.box.taken[s.banID] = s.until
	if len(n.liftedNews) < MaxTold {
		n.liftedNews = append(n.liftedNews, s.prefix)
	}
	n.wakeTeller()
}

// reportLifts takes what was lifted here, also by a Node before this one.
func (n *Node) reportLifts(list []Lift) {
	now, any := time.Now(), false
	for _, l := range list {
		id, left := banID{l.Node, l.ID.Process, l.ID.Number}, min(l.Left, MaxManualBan)
		if _, there := n.box.lifted[id]; there || left <= 0 || CheckName(l.Node) != nil {
			continue
		}
		if len(n.box.lifted) >= MaxLifted {
			n.dropped++
			continue
		}
		n.box.lifted[id], any = now.Add(left), true
	}
	if any {
		n.applyLifts()
		n.bansChanged(true)
	}
}

// bansChanged has the bans told, and sent if they are this node's own.
func (n *Node) bansChanged(own bool) {
	n.dirty.bans = true
	n.box.dirty = n.box.dirty || own
	if own {
		n.wakeWriter()
	}
	n.wakeTeller()
}

// Lift takes what was banned within p, by whichever node, out of the penalty
// boxes of all. This node's own must be emptied by the caller. A ban of later
// is not touched by it.
func (n *Node) Lift(p netip.Prefix) {
	n.mu.Lock()
	defer n.mu.Unlock()
	within := func(b sharedBan) bool { return b.prefix.Bits() >= p.Bits() && p.Contains(b.prefix.Addr()) }
	var ids []sharedBan
	for _, b := range n.box.bans {
		if within(b) {
			ids = append(ids, b)
		}
	}
	for _, o := range n.peers {
		for _, b := range o.bans {
			if within(b) {
				ids = append(ids, b)
			}
		}
	}
	for _, b := range ids {
		if _, there := n.box.lifted[b.banID]; !there && len(n.box.lifted) >= MaxLifted {
			n.dropped++
			continue
		}
		n.box.lifted[b.banID] = b.until
	}
	n.applyLifts()
	n.bansChanged(true)
}

// isLifted returns a function that reports whether a node has lifted a ban.
func (n *Node) isLifted() func(banID) bool {
	all := n.box.lifted
	for _, o := range n.peers {
		if len(o.lifted) > 0 {
			all = maps.Clone(all)
			break
		}
	}
	for _, o := range n.peers {
		maps.Copy(all, o.lifted)
	}
	return func(id banID) bool { _, ok := all[id]; return ok }
}

// applyLifts takes what others have lifted out of this node's own bans, and
// remembers to tell of it.
func (n *Node) applyLifts() {
	now, isLifted := time.Now(), n.isLifted()
	for k, b := range n.box.bans {
		if !isLifted(b.banID) {
			continue
		}
		delete(n.box.bans, k)
		n.box.quiet[k.prefix] = quietBan{b.until, now.Add(liftHolds)}
		n.tellLifted(b)
		n.bansChanged(true)
	}
}

// takeBans takes what another node has banned and lifted, or what a process
// before this one had with its name.
func (n *Node) takeBans(at slot, e *envelope) error {
	bans, lifted, err := e.Bans.decode(e.Node, e.Boot)
	if err != nil {
		return err
	}
	if e.Node == n.cfg.Name {
		return n.inherit(e, bans, lifted)
	}
	p, err := n.fresh(at, e)
	if err != nil {
		return err
	}
	now, age, room := time.Now(), n.age(p, e), n.banRoom()
	for _, r := range bans {
		until := now.Add(min(r.left, n.longest(r.manual)) - age)
		if !until.After(now) || !bannable(r.banKey) {
			continue
		}
		if _, have := p.bans[r.banKey]; !have && !room.take(r.prefix) {
			n.dropped++
			continue
		}
		p.ban(sharedBan{banKey: r.banKey, banID: r.banID, until: until})
	}
	if over := len(p.bans) - MaxBans; over > 0 {
		n.dropped += uint64(over)
		for _, old := range slices.SortedFunc(maps.Values(p.bans), func(x, y sharedBan) int { return x.until.Compare(y.until) })[:over] {
			delete(p.bans, old.banKey)
		}
	}
	for _, r := range lifted {
		if until := now.Add(min(r.left, MaxManualBan) - age); until.After(now) && len(p.lifted) < 2*MaxLifted {
			if _, have := p.lifted[r.banID]; !have {
				if room.lifted <= 0 {
					n.dropped++
					continue
				}
				room.lifted--
			}
			p.lifted[r.banID] = until
		}
	}
	n.applyLifts()
	n.bansChanged(false)
	return nil
}

// ban keeps a ban of the peer. Of one that is known the earlier end is the
// better: time on the way makes it later.
func (p *peer) ban(b sharedBan) {
	have, ok := p.bans[b.banKey]
	if ok && have.banID == b.banID && have.until.Before(b.until) {
		return
	}
	if ok && have.banID != b.banID && (have.boot > b.boot || have.boot == b.boot && have.id > b.id) {
		return
	}
	p.bans[b.banKey] = b
}

// inherit takes over what a process before this one had banned and lifted, so
// that this one's first writing does not lose it.
func (n *Node) inherit(e *envelope, bans []banRecord, lifted []liftRecord) error {
	if e.Boot >= n.boot {
		return nil
	}
	now, age := time.Now(), max(0, n.clock.now().Sub(time.UnixMilli(e.Time)))
	for _, r := range lifted {
		if until := now.Add(min(r.left, MaxManualBan) - age); until.After(now) && len(n.box.lifted) < MaxLifted {
			n.box.lifted[r.banID] = until
		}
	}
	isLifted, room := n.isLifted(), n.banRoom()
	for _, r := range bans {
		until := now.Add(min(r.left, n.longest(r.manual)) - age)
		if isWide(r.prefix) && !room.take(r.prefix) {
			continue
		}
		have, is := n.box.bans[r.banKey]
		if is && have.named {
			if have.banID != r.banID && until.After(have.until) && !isLifted(r.banID) {
				have.until = until
				n.box.bans[r.banKey] = have
				n.bansChanged(true)
			}
			continue
		}
		if is && n.box.sent.IsZero() && !have.until.After(until.Add(prolonged)) {
			// A Report had it before: it is the same ban, which others know, and
			// may have lifted, under the id of then.
			n.box.bans[r.banKey] = sharedBan{banKey: r.banKey, banID: r.banID, until: have.until}
			continue
		}
		if is || !until.After(now) || !bannable(r.banKey) || isLifted(r.banID) || len(n.box.bans) >= MaxBans {
			continue
		}
		n.box.bans[r.banKey] = sharedBan{banKey: r.banKey, banID: r.banID, until: until}
		n.bansChanged(true)
	}
	n.applyLifts()
	return nil
}

// ageBans forgets what is over.
func (n *Node) ageBans(now time.Time) {
	over := func(_ banKey, b sharedBan) bool { return !b.until.After(now) }
	past := func(_ banID, until time.Time) bool { return !until.After(now) }
	maps.DeleteFunc(n.box.bans, over)
	maps.DeleteFunc(n.box.lifted, past)
	maps.DeleteFunc(n.box.taken, past)
	maps.DeleteFunc(n.box.quiet, func(_ netip.Prefix, q quietBan) bool { return !q.forget.After(now) })
	for _, p := range n.peers {
		maps.DeleteFunc(p.bans, over)
		maps.DeleteFunc(p.lifted, past)
	}
}

// bansDue reports whether this node's bans are to be written now: not before all
// in the store was seen, which may have what a process before has told.
func (n *Node) bansDue(now time.Time) bool {
	since := now.Sub(n.box.sent)
	return n.watching && (n.box.dirty && since >= bansSoonest || since >= bansEvery && len(n.box.bans)+len(n.box.lifted) > 0)
}

// ownBans returns what is to be written, and for how long.
func (n *Node) ownBans(now time.Time) (*bansBody, time.Duration) {
	body, last := new(bansBody), now
	for _, b := range n.box.bans {
		if left := b.until.Sub(now); left > 0 {
			body.Bans = appendBan(body.Bans, b, left, n.boot)
			last = later(last, b.until)
		}
	}
	for id, until := range n.box.lifted {
		if left := until.Sub(now); left > 0 {
			body.Lifted = appendLift(body.Lifted, id, left)
			last = later(last, until)
		}
	}
	return body, last.Sub(now) + bansTTL
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// bansNews returns all bans of the cluster, nil if they are as told.
func (n *Node) bansNews(now time.Time) *[]Ban {
	all, isLifted := make(map[netip.Prefix]sharedBan), n.isLifted()
	add := func(m map[banKey]sharedBan) {
		for _, b := range m {
			if have, ok := all[b.prefix]; b.until.After(now) && (!ok || have.until.Before(b.until)) && !isLifted(b.banID) {
				all[b.prefix] = b
			}
		}
	}
	add(n.box.bans)
	for _, p := range n.peers {
		add(p.bans)
	}
	list := slices.SortedFunc(maps.Values(all), func(x, y sharedBan) int {
		return cmp.Or(y.until.Compare(x.until), x.prefix.Addr().Compare(y.prefix.Addr()), cmp.Compare(x.prefix.Bits(), y.prefix.Bits()))
	})
	if over := len(list) - MaxTold; over > 0 {
		n.dropped += uint64(over)
		list = list[:MaxTold]
	}
	same := func(x, y sharedBan) bool {
		return x.banKey == y.banKey && x.banID == y.banID && x.until.Sub(y.until).Abs() < time.Second
	}
	if n.box.told = slices.DeleteFunc(n.box.told, func(b sharedBan) bool { return !b.until.After(now) }); slices.EqualFunc(n.box.told, list, same) {
		return nil
	}
	n.box.told = list
	out := make([]Ban, len(list))
	for i, b := range list {
		out[i] = Ban{Prefix: b.prefix, Left: b.until.Sub(now), Manual: b.manual, Node: b.node, ID: BanID{b.boot, b.id}}
	}
	return &out
}
