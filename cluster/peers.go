package cluster

import (
	"cmp"
	"fmt"
	"time"
)

const (
	memberEvery = time.Second
	memberTTL   = 10 * time.Second
	peerKept    = 10 * time.Minute // what is known of a node that is gone
	clockTold   = 2 * time.Second  // a difference that is named
	clockFine   = time.Second      // and one that no longer is
	maxSkew     = 10 * time.Minute // of clocks that nothing better is known of
	samples     = 5
)

// A peer is another node. Times are by this node's steady clock.
type peer struct {
	name   string
	boot   uint64
	seqs   map[string]uint64 // the last of each kind of key
	member memberBody
	known  bool // member is set
	live   bool
	seen   time.Time // when its member value came last, or anything first

	ahead    [samples]time.Duration // how far its clock was ahead when a value came
	measured int                    // how many there are
	told     bool                   // its clock is off, and it was said

	bans   map[banKey]sharedBan
	lifted map[banID]time.Time
	parts  [maxParts]countsPart

	targets peerTargets
}

// clockAhead returns how far the peer's clock is ahead. The time on the way makes
// it smaller, so the largest is the best.
func (p *peer) clockAhead() time.Duration {
	n := min(p.measured, samples)
	if n == 0 {
		return 0
	}
	most := p.ahead[0]
	for _, d := range p.ahead[1:n] {
		most = max(most, d)
	}
	return most
}

// age returns how long ago a value was written, at least. The clocks of nodes
// that are not heard may differ by maxSkew.
func (n *Node) age(p *peer, e *envelope) time.Duration {
	since := n.clock.now().Sub(time.UnixMilli(e.Time))
	if p.measured > 0 {
		return max(0, since+p.clockAhead())
	}
	return max(0, since-maxSkew)
}

// fresh returns the peer that wrote e, or an error if the value is older than
// one that is known. A peer is made for a name that is new.
func (n *Node) fresh(at slot, e *envelope) (*peer, error) {
	p := n.peers[e.Node]
	if p == nil {
		if len(n.peers) >= MaxNodes-1 && !n.forgetOnePeer() {
			return nil, fmt.Errorf("more than %d nodes", MaxNodes)
		}
		p = &peer{name: e.Node, boot: e.Boot, seen: time.Now(), seqs: make(map[string]uint64), bans: make(map[banKey]sharedBan), lifted: make(map[banID]time.Time)}
		n.peers[e.Node] = p
	}
	switch {
	case e.Boot == p.boot:
	case e.Boot > p.boot, !p.live && n.clock.now().Sub(time.UnixMilli(e.Time)) < maxSkew:
		// It was started again; what it had banned stays until it is over.
		n.forgetParts(p)
		p.boot, p.seqs, p.measured = e.Boot, make(map[string]uint64), 0
	default:
		return nil, errOld
	}
	key := at.key()
	if e.Seq <= p.seqs[key] {
		return nil, errOld
	}
	p.seqs[key] = e.Seq
	return p, nil
}

// forgetOnePeer makes room for another.
func (n *Node) forgetOnePeer() bool {
	var oldest *peer
	for _, p := range n.peers {
		if !p.live && len(p.bans)+len(p.lifted) == 0 && (oldest == nil || p.seen.Before(oldest.seen)) {
			oldest = p
		}
	}
	if oldest != nil {
		n.forgetParts(oldest)
		delete(n.peers, oldest.name)
	}
	return oldest != nil
}

// takeMember takes what a node tells of itself.
func (n *Node) takeMember(at slot, e *envelope) error {
	p, err := n.fresh(at, e)
	if err != nil {
		return err
	}
	now := n.clock.now()
	behind := now.Sub(time.UnixMilli(e.Time))
	// What a backup holds is not alive: it must be of now, or the second that
	// was heard.
	if p.known || n.watching || behind < memberTTL && behind > -memberTTL {
		if !p.live && n.talk.may() {
			n.notice(fmt.Sprintf("cluster: node %s is here", p.name), "version", cmp.Or(e.Member.Version, "not said yet"), "host", e.Member.Host)
		}
		n.dirty.others = n.dirty.others || !p.live || p.member.Processes != e.Member.Processes
		p.live, p.seen = true, time.Now()
	}
	p.member, p.known = *e.Member, true
	n.dirty.status = true
	if n.watching {
		n.measure(p, -behind)
	}
	return nil
}

// measure compares clocks.
func (n *Node) measure(p *peer, ahead time.Duration) {
	p.ahead[p.measured%samples] = ahead
	p.measured++
	if p.measured < samples {
		return
	}
	off := p.clockAhead()
	switch {
	case !p.told && off.Abs() > clockTold:
		if !n.talk.may() {
			return
		}
		p.told = true
		n.log.Warn(fmt.Sprintf("cluster: the clock of node %s is %v %s this node's: set both by NTP", p.name, off.Abs().Round(100*time.Millisecond), aheadOrBehind(off)))
	case p.told && off.Abs() < clockFine:
		p.told = false
		n.notice(fmt.Sprintf("cluster: the clock of node %s agrees with this node's again", p.name))
	}
	if p.measured >= 2*samples { // keeps it from growing
		p.measured = samples
	}
}

func aheadOrBehind(d time.Duration) string {
	if d < 0 {
		return "behind"
	}
	return "ahead of"
}

// gone is called when a node's member value is there no more.
func (n *Node) gone(name string, why string) {
	p := n.peers[name]
	if p == nil || !p.live {
		return
	}
	p.live = false
	n.forgetParts(p)
	n.dirty.status, n.dirty.others = true, true
	if n.talk.may() {
		n.notice(fmt.Sprintf("cluster: node %s %s", name, why))
	}
}

// agePeers forgets what is too old.
func (n *Node) agePeers(now time.Time) {
	for name, p := range n.peers {
		if p.live && now.Sub(p.seen) > memberTTL {
			if n.up {
				n.gone(name, "is not heard of any more")
			} else {
				n.gone(name, "is not heard of while the store does not answer")
			}
		}
		n.ageParts(p, now)
		n.ageTargets(p, now)
		if !p.live && len(p.bans)+len(p.lifted) == 0 && now.Sub(p.seen) > peerKept {
			n.forgetParts(p)
			delete(n.peers, name)
		}
	}
}

// live returns the number of other nodes, and of their processes.
func (n *Node) live() (nodes, processes int) {
	for _, p := range n.peers {
		if p.live {
			nodes++
			processes += max(p.member.Processes, 1)
		}
	}
	return nodes, processes
}
