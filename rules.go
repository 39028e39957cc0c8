package netserver

import (
	"context"
	"log/slog"
	"sync"
	"syscall"

	"netserver/access"
	"netserver/logs"
)

// rules are the access rules of a run.
type rules struct {
	store   *access.Store
	lookups *access.Lookups
	again   bool // who is here is judged again when they change
}

// compileRules reads the rules, and says at start what is wrong with them.
func (s *Server) compileRules() (rules, error) {
	store, err := access.NewStore(s.Config.Access)
	if err != nil {
		return rules{}, err
	}
	return rules{
		store:   store,
		lookups: &access.Lookups{Resolver: s.Resolver, Config: s.Config.Lookups},
		again:   store.Follows() && !s.Config.RulesKeepOpen,
	}, nil
}

// follow takes over new rule files, until ctx ends.
func (r *run) followRules(ctx context.Context, wg *sync.WaitGroup) {
	for _, w := range r.rules.store.Policy().Warnings() {
		r.log.Warn(w)
	}
	wg.Go(func() {
		r.rules.store.Follow(ctx, func(err error) {
			if err != nil {
				r.log.Error(err.Error())
				return
			}
			r.log.Log(ctx, logs.Notice, "access rules: the files have changed; the new rules are in force")
			r.ruleAgain(ctx)
		})
	})
}

// checkAddress decides what the address alone decides, before any byte.
func (c *Conn) checkAddress() error {
	p := c.run.rules.store.Policy()
	if c.peer.Unix && c.forwarded() == nil && p.NeedsCred() {
		if s, ok := c.raw.(syscall.Conn); ok {
			c.peer.Cred, _ = access.CredOf(s) // unknown: rules for users refuse
		}
	}
	v := c.rule(false, func(p *access.Policy) access.Verdict { return p.Early(c.peer) })
	c.noteVerdict(v)
	if v.Final {
		return v.Err()
	}
	return nil
}

// checkName decides what needs the client's name, which it looks up.
func (c *Conn) checkName() error {
	p := c.run.rules.store.Policy()
	if !p.NeedsNames() {
		return nil
	}
	v := c.rule(true, func(p *access.Policy) access.Verdict {
		peer, v := p.Check(c.ctx, c.run.rules.lookups, c.peer)
		if c.peer.Host = peer.Host; peer.Host != "" {
			c.host.Store(&peer.Host)
		}
		return v
	})
	c.noteVerdict(v)
	if v.Log != "" {
		c.run.log.LogAttrs(c.ctx, slog.LevelInfo, v.Log, slog.Uint64("client", c.id))
	}
	return v.Err()
}

// noteVerdict logs, once, a client that is let through although a rule in
// shadow mode would refuse it.
func (c *Conn) noteVerdict(v access.Verdict) {
	if !v.Shadowed || c.shadowed {
		return
	}
	c.shadowed = true
	if c.run.samples.Allow() {
		c.run.log.LogAttrs(c.ctx, logs.Notice, "would refuse", slog.Uint64("client", c.id),
			slog.String("peer", c.peer.String()), slog.String("rule", v.Rule))
	}
}
