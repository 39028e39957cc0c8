package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// writeLoop keeps the time, and writes what this node shares, until ctx ends,
// which is no error, or the name turns out to be another's.
func (n *Node) writeLoop(ctx context.Context) error {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	var next time.Time // when to try again
	for {
		missing := n.passTime()
		if !time.Now().Before(next) {
			err := n.writeAll(ctx, missing)
			switch {
			case ctx.Err() != nil:
			case errors.Is(err, ErrNameTaken):
				return err
			case err != nil:
				next = time.Now().Add(retryWrite)
			}
		}
		n.tryLeave(ctx) // what the store says to that is counted, and tried again
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-n.wake:
		}
	}
}

// passTime forgets what is over, and returns the ticket secrets that the store
// does not have.
func (n *Node) passTime() []ticketID {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	n.agePeers(now)
	n.ageBans(now)
	if o := &n.outage; n.down && !o.said && now.Sub(n.changed) > outagesGap {
		o.unsaid-- // it is counted
		n.sayOutage()
	}
	if by, say := n.clock.wentBack(); say {
		n.log.Warn(fmt.Sprintf("cluster: the clock of this machine was set back by %v: ticket epochs go on without it until it has caught up, or until a restart", by.Round(time.Second)))
	}
	return n.ageTickets(n.clock.now())
}

// writeAll writes what is due, up to the first error.
func (n *Node) writeAll(ctx context.Context, missing []ticketID) error {
	if now := time.Now(); !now.Before(n.self.next) {
		if err := n.beat(ctx); err != nil {
			return err
		}
		n.self.next = now.Add(memberEvery)
	}
	for _, id := range missing {
		if err := n.putTicket(ctx, id); err != nil {
			return err
		}
	}
	return errors.Join(n.writeBans(ctx), n.writeCounts(ctx), n.writeTargets(ctx), n.resealTickets(ctx), n.rereadTicket(ctx))
}

func (n *Node) writeBans(ctx context.Context) error {
	n.mu.Lock()
	now := time.Now()
	if !n.bansDue(now) {
		n.mu.Unlock()
		return nil
	}
	body, ttl := n.ownBans(now)
	n.box.sent, n.box.dirty = now, false
	n.mu.Unlock()
	at := slot{kind: bansAt, node: n.cfg.Name}
	value, err := n.seal(at, envelope{Bans: body})
	if err == nil {
		err = n.set(ctx, at.key(), value, ttl)
	}
	if err != nil {
		n.mu.Lock()
		n.box.dirty = true
		n.mu.Unlock()
	}
	return err
}

func (n *Node) writeCounts(ctx context.Context) error {
	n.mu.Lock()
	now := time.Now()
	due := n.countsDue(now)
	n.mu.Unlock()
	for _, w := range due {
		at := slot{kind: countsAt, node: n.cfg.Name, part: w.part}
		value, err := n.seal(at, envelope{Counts: &w.body})
		if err == nil {
			err = n.set(ctx, at.key(), value, countsTTL)
		}
		n.mu.Lock()
		if err != nil {
			n.sent[w.part].data, n.dirty.counts = nil, true
			n.mu.Unlock()
			return err
		}
		n.sent[w.part] = sentPart{w.body.List, now}
		n.mu.Unlock()
	}
	return nil
}

func (n *Node) writeTargets(ctx context.Context) error {
	n.mu.Lock()
	now := time.Now()
	body := n.targetsDue(now)
	n.mu.Unlock()
	if body == nil {
		return nil
	}
	at := slot{kind: targetsAt, node: n.cfg.Name}
	value, err := n.seal(at, envelope{Targets: body})
	if err == nil {
		err = n.set(ctx, at.key(), value, targetsTTL)
	}
	if err == nil {
		n.mu.Lock()
		n.targets.sent, n.targets.sentAt = body.List, now
		n.mu.Unlock()
	}
	return err
}

// tellLoop tells the server what has changed.
func (n *Node) tellLoop(ctx context.Context) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-n.tell:
		}
		if news, ok := n.news(); ok && ctx.Err() == nil {
			n.cfg.Tell(news)
		}
	}
}

// news returns what has changed and may be told again.
func (n *Node) news() (news News, any bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	if now.Sub(n.newsAt) > paused { // who hears this may have given up what was told before
		n.dirty.others = true
	}
	n.newsAt = now
	if n.dirty.tickets && n.tickets.told != nil {
		t := *n.tickets.told
		news.Tickets, any = &t, true
		n.dirty.tickets = false
	}
	if n.dirty.bans && now.Sub(n.box.toldAt) >= bansSoonest {
		n.dirty.bans, n.box.toldAt = false, now
		news.Bans = n.bansNews(now)
		any = any || news.Bans != nil
	}
	if len(n.liftedNews) > 0 {
		news.Lifted, n.liftedNews, any = n.liftedNews, nil, true
	}
	if n.dirty.others && now.Sub(n.othersAt) >= othersSoonest {
		n.dirty.others, n.othersAt = false, now
		news.Others, any = n.othersNews(), true
	}
	if since := now.Sub(n.statusAt); n.dirty.status && since >= memberEvery || since >= statusEvery {
		n.dirty.status, n.statusAt = false, now
		st := n.status(now)
		news.Status, any = &st, true
	}
	return news, any
}

func (n *Node) status(now time.Time) Status {
	st := Status{
		Name: n.cfg.Name, Up: n.up, Synced: n.synced, Since: n.since, Exchanged: n.exchanged, Errors: maps.Clone(n.errors),
		Sources: len(n.tallies), Targets: len(n.opinions()), Dropped: n.dropped, Sent: n.bytes,
	}
	if a := n.leaver.answer; a != nil {
		answer := *a
		st.Leave = &answer
	}
	if n.tickets.told != nil {
		st.Epoch = n.tickets.told.Epoch
	}
	r := &n.report
	st.Nodes = []NodeStatus{{
		Name: n.cfg.Name, Host: n.host, PID: n.pid, Version: r.Version, Ports: slices.Clone(r.Ports), Clients: r.Clients,
		Ready: r.Ready, Draining: r.Draining, Since: bootTime(n.boot),
	}}
	room := maxPortText
	for _, p := range n.peers {
		st.Bans += len(p.bans)
		if !p.live {
			continue
		}
		m := &p.member
		s := NodeStatus{
			Name: p.name, Host: m.Host, PID: m.PID, Version: m.Version, Ports: statusPorts(m.Ports, &room), Clients: m.Clients,
			Ready: m.Ready, Draining: m.Draining, Since: time.UnixMilli(m.Since), Seen: now.Sub(p.seen),
		}
		if off := p.clockAhead(); off.Abs() > clockTold {
			s.Clock = off.Round(100 * time.Millisecond)
		}
		st.Nodes = append(st.Nodes, s)
	}
	slices.SortFunc(st.Nodes[1:], func(a, b NodeStatus) int { return strings.Compare(a.Name, b.Name) })
	return st
}
