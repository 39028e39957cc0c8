package cluster

import (
	"fmt"
	"net/netip"
	"time"
)

// Bounds of what all other nodes together may have this one keep and do: a node
// that has the key and lies, in its own name or in many, costs it no more.
const (
	maxKept     = 500_000       // counts
	maxKeptOne  = 2 * MaxCounts // of one node, whose parts may be of two reports
	maxBansKept = 4 * MaxTold   // bans
	maxLiftKept = 4096          // lifted bans
	maxWide     = 8             // bans of networks wider than wide4 and wide6
	maxPortText = 64 << 10      // bytes of the ports of all nodes in a Status

	wide4, wide6 = 16, 32

	eventUnit = 8 << 10 // bytes of a value that count as an event
	linesOnce = 64      // lines of the log about other nodes, and then one a linesGap
	linesGap  = 2 * time.Second

	outagesOnce = 5 // that are said, each with its end, and then one an outagesGap
	outagesGap  = time.Minute
)

// kept returns how many counts a node's parts hold.
func (p *peer) kept() (n int) {
	for i := range p.parts {
		n += len(p.parts[i].list)
	}
	return n
}

// roomForCounts returns an error if a part of a peer's counts is more than may be
// kept of it, or of all.
func (n *Node) roomForCounts(p *peer, part, size int) error {
	was := len(p.parts[part].list)
	if size <= was {
		return nil
	}
	if p.kept()-was+size > maxKeptOne || n.kept-was+size > maxKept {
		n.dropped += uint64(size)
		return fmt.Errorf("more than %d counts, or %d of one node", maxKept, maxKeptOne)
	}
	return nil
}

// isWide reports whether a ban is of a large part of all addresses.
func isWide(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() < wide4
	}
	return p.Bits() < wide6
}

// A banRoom is what may still be taken of other nodes' bans.
type banRoom struct{ bans, lifted, wide int }

func (n *Node) banRoom() banRoom {
	r := banRoom{maxBansKept, maxLiftKept, maxWide}
	for _, p := range n.peers {
		r.bans -= len(p.bans)
		r.lifted -= len(p.lifted)
		for k := range p.bans {
			if isWide(k.prefix) {
				r.wide--
			}
		}
	}
	return r
}

// take reports whether there is room for a ban that is new.
func (r *banRoom) take(p netip.Prefix) bool {
	if r.bans <= 0 || isWide(p) && r.wide <= 0 {
		return false
	}
	r.bans--
	if isWide(p) {
		r.wide--
	}
	return true
}

// A talk bounds the lines about other nodes, whose number they choose.
type talk struct {
	credit float64
	at     time.Time
}

// may reports whether there may be one more.
func (t *talk) may() bool { return t.mayOf(linesOnce, linesGap) }

// mayOf is may for so many at once, and then one each gap.
func (t *talk) mayOf(once float64, gap time.Duration) bool {
	now := time.Now()
	if t.at.IsZero() {
		t.credit = once
	}
	t.credit = min(t.credit+now.Sub(t.at).Seconds()/gap.Seconds(), once)
	t.at = now
	if t.credit < 1 {
		return false
	}
	t.credit--
	return true
}

// statusPorts returns the ports of a node as far as there is room for their text
// in a Status.
func statusPorts(ports []string, room *int) (list []string) {
	for _, p := range ports {
		if *room -= len(p); *room < 0 {
			break
		}
		list = append(list, p)
	}
	return list
}
