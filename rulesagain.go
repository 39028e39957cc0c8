package netserver

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"

	"netserver/access"
	"netserver/logs"
)

// A ruled is a client as the access rules let it in. It is never changed, so
// that others than the client's goroutine can look at it.
type ruled struct {
	peer  access.Peer
	named bool // its name has been looked up, if the rules want that
}

// judge says what the rules of now make of a client that is already here. It
// looks nothing up: a name server that is down must not end connections.
func (u *ruled) judge(p *access.Policy) access.Verdict {
	v := p.Early(u.peer)
	if v.Final || !u.named {
		return v
	}
	n := access.Names{Host: u.peer.Host}
	if n.Host != "" {
		// If the rules want the name to resolve back, it did.
		n.Addrs = []netip.Addr{u.peer.IP}
	}
	return p.Decide(u.peer, n)
}

// rule has the rules judge c, and notes, where they can change, how they let it
// in. A client that was judged by the rules of before is judged again:
// ruleAgain may have passed it by. One that was not is still to be found by it.
func (c *Conn) rule(named bool, judge func(*access.Policy) access.Verdict) access.Verdict {
	r := &c.run.rules
	for {
		p := r.store.Policy()
		v := judge(p)
		if !r.again || v.Final && !v.Allowed {
			return v
		}
		c.ruled.Store(&ruled{peer: c.peer, named: named})
		if r.store.Policy() == p {
			return v
		}
	}
}

// ruleAgain cuts the clients whom the rules, which have changed, would not let
// in any more.
func (r *run) ruleAgain(ctx context.Context) {
	if !r.rules.again {
		return
	}
	p := r.rules.store.Policy()
	cut := 0
	for _, l := range r.ls {
		for _, c := range r.clients.on(l) {
			u := c.ruled.Load()
			if u == nil {
				continue // not judged yet
			}
			// One that is not final is still on its way to the look-up.
			if v := u.judge(p); v.Final && !v.Allowed {
				c.cut(fmt.Errorf("%w (the rules have changed)", v.Err()))
				cut++
			}
		}
	}
	if cut > 0 {
		r.log.LogAttrs(ctx, logs.Notice, "the access rules have changed: clients cut", slog.Int("clients", cut))
	}
}
