package netserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"netserver/access"
	"netserver/logs"
	"netserver/proto"
)

// judgeTime bounds one judgement of one client, which may ask a responder.
const judgeTime = 10 * time.Second

// judgesAtOnce bounds how many clients of a port are judged again at one time:
// one that waits for a responder must not keep the others, who may have been
// revoked, and one responder must not be asked more than it can answer.
const judgesAtOnce = 32

// clockLook is how often judgeLoop looks at the clock: timers do not notice one
// that is set, and dates of certificates go by it.
const clockLook = 30 * time.Second

// judge asks the Transport whether the client may come in, after its
// handshake, and when to ask again.
func (c *Conn) judge(ctx context.Context, j proto.Judge) error {
	return c.judgeConn(ctx, j, c.nc)
}

func (c *Conn) judgeConn(ctx context.Context, j proto.Judge, nc net.Conn) error {
	limited := &judging{parent: ctx}
	defer limited.end()
	for {
		changed := j.Changed()
		until, reason, err := j.Judge(limited, nc)
		if err != nil {
			return fmt.Errorf("%w: %w", errDenied, err)
		}
		c.verdicts.cert.Store(&verdict{nc: nc, until: until, reason: reason})
		c.l.sooner(until)
		select {
		case <-changed:
			// judgeAll may have passed a client without a verdict by, and
			// this one may be by the rules of before.
		default:
			return nil
		}
	}
}

// An ending is a context that can be ended.
type ending struct {
	context.Context
	cancel context.CancelCauseFunc
}

// A judging is a context that ends judgeTime after somebody has wanted to know
// of its end: few clients are asked about elsewhere.
type judging struct {
	parent context.Context
	ending atomic.Pointer[ending]
}

func (j *judging) made() *ending {
	if e := j.ending.Load(); e != nil {
		return e
	}
	ctx, cancel := context.WithTimeout(j.parent, judgeTime)
	if !j.ending.CompareAndSwap(nil, &ending{ctx, func(error) { cancel() }}) {
		cancel()
	}
	return j.ending.Load()
}

func (j *judging) end() {
	if e := j.ending.Load(); e != nil {
		e.cancel(nil)
	}
}

func (j *judging) now() context.Context {
	if e := j.ending.Load(); e != nil {
		return e
	}
	return j.parent
}

func (j *judging) Deadline() (time.Time, bool) { return j.made().Deadline() }
func (j *judging) Done() <-chan struct{}       { return j.made().Done() }
func (j *judging) Err() error                  { return j.now().Err() }
func (j *judging) Value(key any) any           { return j.now().Value(key) }

// A verdict is why a client may be here, and until when that holds.
type verdict struct {
	nc     net.Conn // that was judged: by now the client may have ended TLS
	until  time.Time
	reason string
}

// A recheck says when the next verdict on a client of a port ends.
type recheck struct {
	at   atomic.Int64  // Unix nanoseconds; 0 is never
	wake chan struct{} // has something when at became earlier
}

// sooner makes the port's judge look at its clients at until, if it would
// look later.
func (l *listening) sooner(until time.Time) {
	if until.IsZero() {
		return
	}
	n := until.UnixNano()
	for {
		at := l.recheck.at.Load()
		if at != 0 && at <= n {
			return
		}
		if l.recheck.at.CompareAndSwap(at, n) {
			break
		}
	}
	select {
	case l.recheck.wake <- struct{}{}:
	default:
	}
}

// judgeLoop judges the open clients of a port again whenever their Transport
// tells that the rules have changed, and when a verdict ends: a client does
// not stay because it came in time.
func (r *run) judgeLoop(ctx context.Context, l *listening, j proto.Judge) {
	changed := j.Changed()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		at := l.recheck.at.Load()
		if at == 0 {
			timer.Stop()
		} else {
			timer.Reset(min(time.Until(time.Unix(0, at)), clockLook))
		}
		select {
		case <-ctx.Done():
			return
		case <-l.recheck.wake:
		case <-changed:
			changed = j.Changed()
			r.judgeAll(ctx, l, j, time.Time{})
		case <-timer.C:
			if now := time.Now(); now.UnixNano() >= at {
				l.recheck.at.Store(0)
				r.judgeAll(ctx, l, j, now)
			}
		}
	}
}

// judgeAll judges the clients of a port: all, or, if ended is not zero, those
// whose verdict has ended by then.
func (r *run) judgeAll(ctx context.Context, l *listening, j proto.Judge, ended time.Time) {
	var cut atomic.Int64
	var wg sync.WaitGroup
	places := make(chan struct{}, judgesAtOnce)
	for _, c := range r.clients.on(l) {
		v := c.verdicts.cert.Load()
		if v == nil {
			continue // still in its handshake, which is judged by itself
		}
		if !ended.IsZero() && (v.until.IsZero() || v.until.After(ended)) {
			l.sooner(v.until)
			continue
		}
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if err := c.judgeConn(ctx, j, v.nc); err != nil && ctx.Err() == nil {
				// Why it could come in does not hold any more.
				c.verdicts.cert.Store(&verdict{nc: v.nc, until: v.until, reason: "cut: " + err.Error()})
				c.cut(err)
				cut.Add(1)
			}
		})
	}
	wg.Wait()
	if cut := int(cut.Load()); cut > 0 {
		r.log.LogAttrs(ctx, logs.Notice, "the rules for client certificates have changed or a certificate has ended: clients cut",
			slog.String("port", l.spec.Short()), slog.Int("clients", cut))
	}
}

// rules are the access rules of a port, or of all that have none of their own.
type rules struct {
	config  access.Config
	port    string // "port 443/ssl: "; "" for those of the Server
	store   *access.Store
	lookups *access.Lookups
	again   bool // who is here is judged again when they change
}

// compileRules reads the rules of the Server and of the ports that have their
// own, and says at start what is wrong with them. It returns those of each port,
// in order: ports with the same rules share them.
func (s *Server) compileRules(configs []*portConfig) ([]*rules, error) {
	lookups := &access.Lookups{Resolver: s.Resolver, Config: s.Config.Access.Lookups}
	var all []*rules
	var errs []error
	compile := func(c access.Config, port string) *rules {
		if i := slices.IndexFunc(all, func(o *rules) bool { return reflect.DeepEqual(o.config, c) }); i >= 0 {
			return all[i]
		}
		store, err := access.NewStore(c.Rules)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s%w", port, err))
			return nil
		}
		u := &rules{config: c, port: port, store: store, lookups: lookups, again: store.Follows() && !c.KeepOpen}
		all = append(all, u)
		return u
	}
	list := make([]*rules, len(configs))
	for i, pc := range configs {
		if pc.rules {
			list[i] = compile(pc.Access, "port "+pc.spec.Short()+": ")
		} else {
			list[i] = compile(s.Config.Access, "")
		}
	}
	return list, errors.Join(errs...)
}

// followRules takes over new rule files, until ctx ends.
func (r *run) followRules(ctx context.Context, wg *sync.WaitGroup) {
	var followed []*rules
	for _, l := range r.ls {
		u := l.rules
		if slices.Contains(followed, u) {
			continue
		}
		followed = append(followed, u)
		for _, w := range u.store.Policy().Warnings() {
			r.log.Warn(u.port + w)
		}
		wg.Go(func() { r.followFiles(ctx, u) })
	}
}

// followFiles takes over new files of some rules, until ctx ends.
func (r *run) followFiles(ctx context.Context, u *rules) {
	u.store.Follow(ctx, func(err error) {
		if err != nil {
			r.log.Error(u.port + err.Error())
			return
		}
		r.log.Log(ctx, logs.Notice, u.port+"access rules: the files have changed; the new rules are in force")
		r.ruleAgain(ctx, u)
	})
}

// checkName decides what needs the client's name, which it looks up.
func (c *Conn) checkName() error {
	p := c.l.rules.store.Policy()
	if !p.NeedsNames() {
		return nil
	}
	v := c.rule(true, func(p *access.Policy) access.Verdict {
		peer, v := p.Check(c.ctx, c.l.rules.lookups, c.peer)
		if c.peer.Host = peer.Host; peer.Host != "" {
			c.verdicts.host.Store(&peer.Host)
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
	r := c.l.rules
	for {
		p := r.store.Policy()
		v := judge(p)
		if !r.again || v.Final && !v.Allowed {
			return v
		}
		c.verdicts.rules.Store(&ruled{peer: c.peer, named: named})
		if r.store.Policy() == p {
			return v
		}
	}
}

// ruleAgain cuts the clients whom rules that have changed would not let in any
// more.
func (r *run) ruleAgain(ctx context.Context, u *rules) {
	if !u.again {
		return
	}
	p := u.store.Policy()
	cut := 0
	for _, l := range r.ls {
		if l.rules != u {
			continue
		}
		for _, c := range r.clients.on(l) {
			u := c.verdicts.rules.Load()
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
		r.log.LogAttrs(ctx, logs.Notice, u.port+"the access rules have changed: clients cut", slog.Int("clients", cut))
	}
}

// authorize applies what can be decided only after the handshake.
func (c *Conn) authorize() error {
	if j, ok := c.l.transport.(proto.Judge); ok && c.nc != c.raw {
		if err := c.judge(c.ctx, j); err != nil {
			return err
		}
	} else if c.l.own {
		c.verdicts.cert.Store(&verdict{nc: c.nc}) // its TLS, for who asks about clients
	}
	if err := c.checkName(); err != nil {
		return err
	}
	if f := c.run.srv.Hooks.Allow; f != nil {
		if err := f(c.ctx, c); err != nil {
			return fmt.Errorf("%w: %w", errDenied, err)
		}
	}
	return nil
}
