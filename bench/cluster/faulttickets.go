package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"netserver/bench/loopback"
)

// stayAt has a client stay at a node and have its lines echoed; one that is lost
// is followed by another.
func (t *trial) stayAt(ctx context.Context, i int) {
	for ctx.Err() == nil {
		e := event{kind: cameClient, node: i, at: t.now()}
		err := t.stay(ctx, i, &e.at)
		if ctx.Err() != nil {
			return
		}
		e.end, e.err = t.now(), "one that stayed: "+err.Error()
		t.note(e)
		pause(ctx, clientsPause)
	}
}

// stay returns when the client is lost, and sets when it was well last.
func (t *trial) stay(ctx context.Context, i int, well *time.Duration) error {
	c, err := loopback.Dial(ctx, netip.Addr{}, t.s.at(toPlain+i), clientTime)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	for b := []byte("x"); ; {
		now := t.now()
		c.SetDeadline(time.Now().Add(clientTime))
		if _, err := c.Write(b); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, b); err != nil {
			return err
		}
		*well = now
		if err := pause(ctx, clientsPause); err != nil {
			return err
		}
	}
}

// come is a TLS client of a node, which is up, with a ticket or without.
func (t *trial) come(ctx context.Context, i int, with *tls.ClientSessionState) (resumed bool, got *tls.ClientSessionState, err error) {
	e := event{kind: cameClient, node: i, at: t.now()}
	resumed, got, err = t.s.visit(ctx, i, with)
	if ctx.Err() != nil {
		return false, nil, ctx.Err()
	}
	if e.end = t.now(); err != nil {
		e.err = "with a ticket: " + err.Error()
	}
	t.note(e)
	return resumed, got, nil
}

// issue gets a ticket of a node.
func (t *trial) issue(ctx context.Context, i int) error {
	at := t.now()
	_, got, err := t.come(ctx, i, nil)
	if err != nil || got == nil {
		return err
	}
	t.tickets = append(t.tickets, ticket{got, at})
	t.tickets = t.tickets[max(0, len(t.tickets)-keptTickets):]
	return nil
}

// offer offers one of the tickets to a node.
func (t *trial) offer(ctx context.Context, i int) error {
	all := slices.Concat(t.tickets, t.old)
	if len(all) == 0 {
		return errNothing
	}
	return t.offerOne(ctx, i, all[t.r.IntN(len(all))])
}

func (t *trial) offerOne(ctx context.Context, i int, one ticket) error {
	at := t.now()
	resumed, _, err := t.come(ctx, i, one.state)
	if err == nil {
		t.note(event{kind: ticketTried, node: i, at: at, issued: one.at, resumed: resumed})
	}
	return err
}

// await polls ok for so long as the nodes may take to agree.
func await(ctx context.Context, ok func() bool) bool {
	for end := time.Now().Add(agreeWithin); !ok(); {
		if time.Now().After(end) || pause(ctx, 200*time.Millisecond) != nil {
			return false
		}
	}
	return true
}

// calm heals all and waits until all is written again.
func (t *trial) calm(ctx context.Context) error {
	if err := t.heal(); err != nil {
		return err
	}
	if !await(ctx, func() bool { return t.s.knowEachOther(ctx) }) {
		t.fault("the nodes did not know each other within %v after all was healed at %v", agreeWithin, short(t.now()))
	} else if err := pause(ctx, calmFor); err != nil {
		return err
	} else {
		t.observe(ctx)
		t.note(event{kind: calm})
	}
	if len(t.old) == 0 {
		return ctx.Err()
	}
	who := t.whoResumes(ctx, t.old)
	for _, i := range who {
		t.note(event{kind: secretsBack, node: i})
	}
	if len(who) == 0 {
		t.note(event{kind: secretsGone, at: t.gaveUp})
	}
	return ctx.Err()
}

func (t *trial) fault(format string, args ...any) {
	t.wrong = append(t.wrong, fmt.Sprintf(format, args...))
}

// whoResumes waits until no node resumes any of the tickets, and returns which
// do in the end.
func (t *trial) whoResumes(ctx context.Context, list []ticket) (nodes []int) {
	await(ctx, func() bool {
		nodes = nil
		for i := range t.s.nodes {
			if slices.ContainsFunc(list, func(one ticket) bool {
				resumed, _, _ := t.come(ctx, i, one.state)
				return resumed
			}) {
				nodes = append(nodes, i)
			}
		}
		return len(nodes) == 0
	})
	return nodes
}

// opens returns which node resumes a new ticket of which.
func (t *trial) opens(ctx context.Context) (all [][]bool) {
	for from := range t.s.nodes {
		row := make([]bool, len(t.s.nodes))
		if _, got, err := t.come(ctx, from, nil); err == nil && got != nil {
			for to := range row {
				row[to], _, _ = t.come(ctx, to, got)
			}
		}
		all = append(all, row)
	}
	return all
}

// giveUpSecrets kills a process that serves clients, which may have given the
// ticket secrets away, and waits until no node opens tickets of before. Then the
// store gets a dump from before that, and all must go on as before.
func (t *trial) giveUpSecrets(ctx context.Context) error {
	if err := t.save(ctx, 0); err != nil {
		return err
	}
	before := t.dumps
	for i := range t.s.nodes {
		if err := t.issue(ctx, i); err != nil {
			return err
		}
	}
	old := slices.Clone(t.tickets[len(t.tickets)-len(t.s.nodes):])
	i := t.r.IntN(len(t.s.nodes))
	n := t.s.nodes[i]
	pid, err := n.aWorker(ctx, 0)
	if err != nil {
		return err
	}
	e := event{kind: workerDown, node: i, at: t.now()}
	if err := sendSignal(pid, os.Kill); err != nil {
		return err
	}
	if !await(ctx, func() bool { next, err := n.aWorker(ctx, pid); return err == nil && next > 0 }) {
		return fmt.Errorf("node %s has no process in the place of the one that was killed", n.name)
	}
	e.end = t.now()
	t.note(e)
	t.count["processes that serve clients killed"]++
	t.old = old
	if who := t.whoResumes(ctx, old); len(who) > 0 {
		t.fault("%d nodes resume tickets from before a process of node %s was killed at %v, %v later", len(who), n.name, short(e.at), agreeWithin)
	}
	t.gaveUp = e.at
	t.note(event{kind: secretsGone, at: e.at})
	t.tickets = nil
	if err := t.load(ctx, before); err != nil {
		return err
	}
	t.count["stores killed and started with a dump"]++
	if err := t.calm(ctx); err != nil {
		return err
	}
	if !await(ctx, func() bool { return allTrue(t.opens(ctx)) }) {
		t.fault("new tickets are not resumed by all nodes after a dump of before the secrets were given up")
	}
	return ctx.Err()
}

func allTrue(all [][]bool) bool {
	return !slices.ContainsFunc(all, func(row []bool) bool { return slices.Contains(row, false) })
}

// verdict finds out how it ended, giving the nodes their time, and judges.
func (t *trial) verdict(ctx context.Context) (v verdict) {
	before := len(judge(len(t.s.nodes), t.history, ending{}).wrong)
	await(ctx, func() bool {
		end := ending{inForce: make(map[string][]bool), tickets: t.opens(ctx)}
		for _, n := range t.s.nodes {
			c, _ := n.cluster(ctx)
			var names []string
			for _, o := range c.Nodes {
				names = append(names, o.Name+" "+o.State)
			}
			slices.Sort(names)
			end.epochs, end.members = append(end.epochs, c.Epoch), append(end.members, strings.Join(names, ", "))
		}
		for _, e := range t.history {
			if e.kind == banMade {
				for i := range t.s.nodes {
					end.inForce[e.source] = append(end.inForce[e.source], !t.s.serves(ctx, i, netip.MustParseAddr(e.source)))
				}
			}
		}
		v = judge(len(t.s.nodes), t.history, end)
		return len(v.wrong) == before
	})
	v.wrong = append(t.wrong, v.wrong...)
	return v
}
