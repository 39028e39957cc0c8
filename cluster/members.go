package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// A membership is this node's own entry among the members: a lease of its name.
type membership struct {
	rev     uint64 // of what we wrote; 0 if nothing
	next    time.Time
	rival   envelope // another process with our name, as last seen
	since   int      // how often it was seen to advance
	still   int      // how often in a row not
	foreign uint64   // revision of what could not be read
}

// memberSlot is where the member value stands.
func (n *Node) memberSlot() slot { return slot{kind: membersAt, node: n.cfg.Name} }

func (n *Node) memberBody() *memberBody {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := &n.report
	return &memberBody{
		Host: n.host, PID: n.pid, Version: r.Version, Ports: slices.Clone(r.Ports), Clients: r.Clients,
		Ready: r.Ready, Draining: r.Draining, Processes: max(r.Processes, 1), Since: bootTime(n.boot).UnixMilli(),
	}
}

// beat writes this node's member value. An error that wraps ErrNameTaken means
// that the name is another's.
func (n *Node) beat(ctx context.Context) error {
	at := n.memberSlot()
	value, err := n.seal(at, envelope{Member: n.memberBody()})
	if err != nil {
		return err
	}
	rev, err := n.put(ctx, at.key(), value, n.self.rev, memberTTL)
	if err == nil {
		n.self.rev = rev
		return nil
	}
	if !errors.Is(err, ErrChanged) {
		return err
	}
	return n.contest(ctx, at)
}

// contest finds out who has written our member value: we, with an answer that
// was lost, a process that has ended, or one that lives.
func (n *Node) contest(ctx context.Context, at slot) error {
	v, err := n.cfg.Store.Get(ctx, at.key())
	if errors.Is(err, ErrNotFound) {
		n.self.rev = 0 // for the next time
		return nil
	}
	if errors.Is(err, ErrValue) {
		return n.store(n.cfg.Store.Delete(ctx, at.key(), 0))
	}
	if err != nil {
		return n.store(err)
	}
	s := &n.self
	_, e, err := n.open(at.key(), v.Data)
	if err != nil { // garbage, or another cluster's: if it stays as it is, nobody is there
		n.refuse(at.key(), err)
		if s.foreign == v.Rev {
			s.rev = v.Rev
		}
		s.foreign = v.Rev
		return nil
	}
	switch {
	case e.Boot == n.boot:
		s.rev = v.Rev
		return nil
	case s.rival.Boot != e.Boot:
		s.rival, s.since, s.still = *e, 0, 0
		n.outlive(e)
		return nil
	case e.Seq > s.rival.Seq:
		s.rival, s.still = *e, 0
		if s.since++; s.since >= 2 {
			return fmt.Errorf("%w: %s, process %d on host %s", ErrNameTaken, n.cfg.Name, e.Member.PID, e.Member.Host)
		}
		return nil
	}
	// One that lives writes in the same second as we do, now before us, now after.
	// It has written nothing in two: it is no more.
	if s.still++; s.still >= 2 {
		s.rev, s.rival = v.Rev, envelope{}
	}
	return nil
}

// outlive makes this process a later one than that of e, which had its name:
// others would take it for an old one if the clock had been set back.
func (n *Node) outlive(e *envelope) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.boot < e.Boot && n.seq <= 1 {
		n.boot = e.Boot + 1
	}
}

// leave takes this node out of the cluster at its end.
func (n *Node) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if n.self.rev != 0 {
		n.cfg.Store.Delete(ctx, n.memberSlot().key(), n.self.rev)
	}
	if n.leaver.rev != 0 {
		n.removeLeave(ctx, n.leaver.rev)
	}
	if n.targets.sent != nil {
		n.cfg.Store.Delete(ctx, slot{kind: targetsAt, node: n.cfg.Name}.key(), 0)
	}
	for i := range n.sent {
		if n.sent[i].data != nil {
			n.cfg.Store.Delete(ctx, slot{kind: countsAt, node: n.cfg.Name, part: i}.key(), 0)
		}
	}
}

// cleanReport returns r within its bounds, and how many counts were left out.
func cleanReport(r Report) (Report, uint64) {
	clean := func(s string, most int) string {
		s = strings.Map(func(c rune) rune {
			if !unicode.IsPrint(c) {
				return -1
			}
			return c
		}, strings.ToValidUTF8(s, ""))
		for len(s) > most {
			s = s[:len(s)-1]
		}
		return strings.ToValidUTF8(s, "")
	}
	r.Version = clean(r.Version, maxTextLen)
	r.Ports = slices.Clone(r.Ports[:min(len(r.Ports), MaxPorts)])
	for i := range r.Ports {
		r.Ports[i] = clean(r.Ports[i], maxTextLen)
	}
	r.Clients = min(max(r.Clients, 0), maxNumber)
	r.Processes = min(max(r.Processes, 0), maxProcesses)
	was := len(r.Counts)
	bad := func(c Count) bool {
		_, _, ok := kindOf(c.Prefix)
		return !ok || c.Conns == 0 && c.Handshakes == 0
	}
	if slices.ContainsFunc(r.Counts, bad) {
		r.Counts = slices.DeleteFunc(slices.Clone(r.Counts), bad)
	}
	if len(r.Counts) > MaxCounts {
		r.Counts = largest(slices.Clone(r.Counts))
	}
	return r, uint64(was - len(r.Counts))
}
