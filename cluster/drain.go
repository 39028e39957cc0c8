package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Leave is the answer to a node that asks whether it may drain: one at a time
// does, and only while another serves what it serves.
type Leave struct {
	Ask uint64 `json:"ask"` // Report.Leave that it answers
	May bool   `json:"may"`
	Why string `json:"why,omitempty"` // it may not yet, as a person reads it
}

const (
	leaveTTL   = 15 * time.Second // of the lease, which who drains renews
	leaveEvery = time.Second
	leaveFresh = 3 * memberEvery  // in which another node must have been heard
	leaveStale = 20 * time.Second // after which a lease that was not renewed is nobody's, whatever the store says
)

// leaveSlot is the lease of who drains. Programs that do not know it skip it.
var leaveSlot = slot{kind: "leases/", node: "drain"}

// A leaver is this node's part in who drains. The writer has rev and next.
type leaver struct {
	rev    uint64 // of the lease that we have; 0: we have none
	next   time.Time
	other  uint64 // the revision of the lease that another has, as it was seen since
	since  time.Time
	answer *Leave // below Node.mu
}

// tryLeave takes, renews or gives back the lease, as the last Report wants.
func (n *Node) tryLeave(ctx context.Context) error {
	l := &n.leaver
	n.mu.Lock()
	ask := n.report.Leave
	n.mu.Unlock()
	if ask == 0 {
		n.answerLeave(nil)
		if l.rev == 0 {
			return nil
		}
		rev := l.rev
		l.rev, l.next = 0, time.Time{}
		return n.removeLeave(ctx, rev)
	}
	now := time.Now()
	if now.Before(l.next) {
		return nil
	}
	l.next = now.Add(leaveEvery)
	if why := n.notYet(); why != "" && l.rev == 0 {
		n.answerLeave(&Leave{Ask: ask, Why: why})
		return nil
	}
	value, err := n.seal(leaveSlot, envelope{})
	if err != nil {
		return err
	}
	rev, err := n.put(ctx, leaveSlot.key(), value, l.rev, leaveTTL)
	switch {
	case errors.Is(err, ErrChanged):
		l.rev = 0
		why, err := n.whoLeaves(ctx)
		if why != "" {
			n.answerLeave(&Leave{Ask: ask, Why: why})
		}
		return err
	case err != nil:
		n.answerLeave(&Leave{Ask: ask, Why: "the store does not answer"})
		return err
	}
	// Who had the lease before has left, or says that it drains.
	l.rev = rev
	if why := n.notYet(); why != "" && !n.mayLeave(ask) {
		n.answerLeave(&Leave{Ask: ask, Why: why})
		l.rev = 0
		return n.removeLeave(ctx, rev)
	}
	n.answerLeave(&Leave{Ask: ask, May: true})
	return nil
}

// mayLeave reports whether that was said.
func (n *Node) mayLeave(ask uint64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.leaver.answer
	return a != nil && a.May && a.Ask == ask
}

// answerLeave tells the server, if that is new. What was allowed stays so: it
// drains already.
func (n *Node) answerLeave(a *Leave) {
	n.mu.Lock()
	defer n.mu.Unlock()
	have := n.leaver.answer
	switch {
	case a == nil && have == nil, a != nil && have != nil && (*a == *have || have.May && a.Ask == have.Ask):
		return
	}
	n.leaver.answer = a
	n.dirty.status, n.statusAt = true, time.Time{}
	n.wakeTeller()
}

// whoLeaves finds out who has the lease: this node, by a process or a write
// before, or another.
func (n *Node) whoLeaves(ctx context.Context) (why string, err error) {
	v, err := n.cfg.Store.Get(ctx, leaveSlot.key())
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	if errors.Is(err, ErrValue) { // whoever drains puts it there again
		return "the lease in the store is not one", n.removeLeave(ctx, 0)
	}
	if err != nil {
		return "the store does not answer", n.store(err)
	}
	if n.staleLease(v.Rev) {
		n.leaver.rev, n.leaver.next = v.Rev, time.Time{}
		return "", nil
	}
	e := new(envelope)
	plain, err := n.cfg.Keys.Open(n.cfg.Namespace, leaveSlot.key(), v.Data)
	if err == nil {
		e, err = decode(slot{}, plain)
	}
	switch {
	case err != nil:
		n.refuse(leaveSlot.key(), err)
		return "the lease in the store is not one of this cluster", nil
	case e.Node == n.cfg.Name:
		n.leaver.rev, n.leaver.next = v.Rev, time.Time{}
		return "", nil
	}
	return fmt.Sprintf("node %s drains", e.Node), nil
}

// staleLease reports whether the lease is one that nobody has renewed for so long
// that the store should have ended it: garbage, or kept by mistake.
func (n *Node) staleLease(rev uint64) bool {
	l, now := &n.leaver, time.Now()
	if l.other != rev {
		l.other, l.since = rev, now
	}
	return now.Sub(l.since) > leaveStale
}

func (n *Node) removeLeave(ctx context.Context, rev uint64) error {
	if err := n.cfg.Store.Delete(ctx, leaveSlot.key(), rev); err != nil && !errors.Is(err, ErrChanged) {
		return n.store(err)
	}
	return nil
}

// notYet returns why this node may not drain; "" if it may: no other does, and
// one that was just heard is ready and serves the same ports.
func (n *Node) notYet() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.up {
		return "the store does not answer"
	}
	own := portsOf(n.report.Ports)
	var not []string
	ready := false
	for _, name := range sortedNames(n.peers) {
		p := n.peers[name]
		if !p.live {
			continue
		}
		switch missing := without(own, portsOf(p.member.Ports)); {
		case p.member.Draining:
			return fmt.Sprintf("node %s drains", name)
		case !p.member.Ready:
			not = append(not, fmt.Sprintf("node %s is not ready", name))
		case time.Since(p.seen) > leaveFresh:
			not = append(not, fmt.Sprintf("node %s was not heard for %d s", name, int(time.Since(p.seen).Seconds())))
		case missing != "":
			not = append(not, fmt.Sprintf("node %s does not serve %s", name, missing))
		default:
			ready = true
		}
	}
	switch {
	case ready:
		return ""
	case len(not) == 0:
		return "no other node is there"
	}
	more := ""
	if over := len(not) - 3; over > 0 {
		not, more = not[:3], fmt.Sprintf(", and %d more", over)
	}
	return strings.Join(not, ", ") + more
}

func sortedNames(m map[string]*peer) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// portsOf returns ports without the addresses that they are at, which each
// machine has its own of.
func portsOf(list []string) []string {
	ports := make([]string, len(list))
	for i, p := range list {
		ports[i] = p[strings.LastIndexByte(p, ':')+1:]
	}
	return ports
}

// without returns the first of list that others do not have.
func without(list, others []string) string {
	for _, p := range list {
		if !slices.Contains(others, p) {
			return p
		}
	}
	return ""
}
