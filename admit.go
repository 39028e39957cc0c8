package netserver

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"syscall"
	"time"

	"netserver/access"
	"netserver/internal/admit"
	"netserver/internal/bridge"
	"netserver/logs"
	"netserver/outcome"
)

// What a connection takes, in bytes: measured with 9,000 connections from the
// resident memory of a server on Linux, and rounded up. What the Handler takes
// comes on top.
const (
	priceWaiting = 6 << 10  // in its handshake, the hello not come: 3.4 KiB, and 5.2 where a goroutine waits for it
	pricePlain   = 6 << 10  // served, without TLS
	priceTLS     = 12 << 10 // served over TLS
)

// newLimiter makes the counters of sources.
func (r *run) newLimiter() *admit.Limiter { return admit.NewLimiter(r.cfg.limits()) }

// newLimiter makes the counters of a port that has limits by source of its own.
// Memory and the penalty box are the Server's alone.
func (pc *portConfig) newLimiter() *admit.Limiter {
	if pc.beside == nil {
		return nil
	}
	e := effective{Admission: *pc.beside}
	e.Admission.Shadow = pc.Admission.Shadow
	return admit.NewLimiter(e.limits())
}

// countedAs returns the address that limits count a new client under. A proxy
// that is believed is many clients: which one this is its header tells, and
// countAgain counts it then. None of them is charged with what the proxy does.
func (l *listening) countedAs(p access.Peer) netip.Addr {
	if l.header != nil && l.header.trusts(p) {
		return netip.Addr{}
	}
	return p.IP
}

// count counts a new connection, before anything is allocated for it. It
// returns the limit that refuses it; then nothing is counted.
func (r *run) count(a *arrival) admit.Reason {
	if a.l.datagram != nil {
		why := r.binding(a, r.limiter.Datagram(a.peer.IP))
		if own := a.l.limiter; why == admit.OK && own != nil {
			why = r.binding(a, own.Datagram(a.peer.IP))
		}
		return why
	}
	if why := r.binding(a, r.limiter.Enter(a.source)); why != admit.OK {
		return why
	}
	if own := a.l.limiter; own != nil {
		if why := r.binding(a, own.Enter(a.source)); why != admit.OK {
			r.limiter.Leave(a.source)
			return why
		}
	}
	if a.l.answer != nil || r.limiter.Reserve(int64(a.l.price)) || !r.cfg.Admission.Shadow && r.queue != nil && r.queue.Shed(nil) {
		return admit.OK
	}
	why := r.binding(a, admit.OverMemory)
	if why != admit.OK {
		r.limiter.Reserve(-int64(a.l.price))
		r.uncount(a.l, a.source)
	}
	return why
}

// uncount undoes the counting of a connection by source.
func (r *run) uncount(l *listening, source netip.Addr) {
	r.limiter.Leave(source)
	if l.limiter != nil {
		l.limiter.Leave(source)
	}
}

// binding returns why, or OK in shadow mode, where limits refuse nobody.
func (r *run) binding(a *arrival, why admit.Reason) admit.Reason {
	if why == admit.OK || !r.cfg.Admission.Shadow {
		return why
	}
	r.wouldRefuse(a.l, outcomeOfLimit(why), a.nc.RemoteAddr(), why)
	return admit.OK
}

func outcomeOfLimit(why admit.Reason) outcome.Class {
	if why == admit.Penalised {
		return outcome.Penalised
	}
	return outcome.OverLimit
}

// refuse closes a connection that a limit refuses, and counts it as such.
func (r *run) refuse(a *arrival, why admit.Reason) {
	o := outcomeOfLimit(why)
	a.l.outcomes[o].Add(1)
	a.l.refused[why].Add(1)
	r.logRefused(o, "refused", a.l, a.nc.RemoteAddr(), limitKeys[why])
	if f := r.srv.Hooks.Logged; f != nil {
		err := errOverLimit
		if why == admit.Penalised {
			err = errPenalised
		}
		r.logged(a, f, StageAccept, o, fmt.Errorf("%w: %s", err, limitKeys[why]))
	}
	a.nc.Close()
	a.l.datagramDone()
}

// wouldRefuse counts and logs what shadow mode lets through.
func (r *run) wouldRefuse(l *listening, o outcome.Class, peer net.Addr, limit admit.Reason) {
	l.wouldRefuse[limit].Add(1)
	r.logRefused(o, "would refuse", l, peer, limitKeys[limit])
}

func (r *run) logRefused(o outcome.Class, msg string, l *listening, peer net.Addr, limit string) {
	if !r.log.Enabled(context.Background(), logs.Notice) || !r.mayLog(o) {
		return
	}
	r.log.LogAttrs(context.Background(), logs.Notice, msg, slog.String("port", l.spec.Short()),
		slog.String("peer", peer.String()), slog.String("limit", limit))
}

// leave ends what count began, and charges the client's source with how it
// ended.
func (c *Conn) leave(rec *Record) {
	o := rec.Outcome
	c.l.outcomes[o].Add(1)
	if rec.Quiet {
		c.l.meter.Quiet.Add(1)
	}
	if t := c.admission.ticket.Load(); t != nil && (o != outcome.Served || rec.In == 0) {
		took := uint64(t.Took())
		if rec.Stage == StageHandshake { // of others shakeHands has told
			c.l.meter.Spent.Add(took)
		}
		c.l.meter.Wasted.Add(took)
	}
	if c.l.datagram != nil {
		return // nobody is charged: anyone can send in another's name
	}
	if o == outcome.Shed {
		c.l.refused[admit.ShedFor(c.err)].Add(1)
	}
	l := c.run.limiter
	c.run.charge(c.admission.source, o)
	l.Reserve(-int64(c.admission.price))
	c.run.uncount(c.l, c.admission.source)
}

// charge gives a source the points that an outcome counts in the penalty box.
func (r *run) charge(source netip.Addr, o outcome.Class) {
	if b, ok := r.limiter.Punish(source, pointsOf(o)); ok {
		r.boxed(b)
	}
}

// countAgain counts a client under the address that is its own, once its PROXY
// header has told.
func (c *Conn) countAgain() error {
	was, now := c.admission.source, c.peer.IP
	why, own := admit.OK, c.l.limiter
	if own != nil {
		why = own.Rename(was, now)
	}
	if why == admit.OK || c.run.cfg.Admission.Shadow {
		if w := c.run.limiter.Rename(was, now); w != admit.OK {
			if why == admit.OK && own != nil && !c.run.cfg.Admission.Shadow {
				own.Rename(now, was)
			}
			why = w
		}
	}
	switch {
	case why == admit.OK:
	case c.run.cfg.Admission.Shadow:
		c.run.wouldRefuse(c.l, outcome.OverLimit, c.RemoteAddr(), why)
	case why == admit.Penalised:
		c.l.refused[why].Add(1)
		return errPenalised
	default:
		c.l.refused[why].Add(1)
		return fmt.Errorf("%w: %s", errOverLimit, limitKeys[why])
	}
	s := c.run.clients.shard(c)
	s.mu.Lock()
	c.admission.source = c.peer.IP
	s.mu.Unlock()
	return nil
}

// boxed tells of what was put into the penalty box, and cuts its clients if
// that is asked for.
func (r *run) boxed(b admit.Boxed) {
	r.boxings.Add(1)
	n := r.cutBoxed(b.Prefix)
	if r.samples.Allow() {
		r.log.LogAttrs(context.Background(), logs.Notice, "source put into the penalty box", slog.String("network", b.Prefix.String()),
			slog.Duration("for", b.Left.Round(time.Second)), slog.Int("times", b.Offences), slog.Int("cut", n))
	}
}

// cutBoxed ends the clients of what was put into the penalty box, if that is
// asked for.
func (r *run) cutBoxed(p netip.Prefix) int {
	if !r.cfg.Admission.Penalty.Close || r.cfg.Admission.Shadow {
		return 0
	}
	return r.cutSource(p, fmt.Errorf("%w (%v)", errPenalised, p))
}

// cutSource ends every client of the network, but for exempt ones, and returns
// how many there were.
func (r *run) cutSource(p netip.Prefix, why error) (n int) {
	for i := range r.clients.shards {
		s := &r.clients.shards[i]
		s.mu.Lock()
		for c := range s.set {
			if p.Contains(c.admission.source.WithZone("")) && !r.limiter.Exempt(c.admission.source) {
				c.cut(why)
				n++
			}
		}
		s.mu.Unlock()
	}
	return n
}

// What processes of a cluster tell each other, by package bridge.

func (m monitor) SharedCounts(most int) (list []admit.SourceUse) {
	for _, r := range m.s.running() {
		list = append(list, admit.Shared(r.limiter, r.queue, most)...)
	}
	return list
}

func (m monitor) SetOtherCounts(o admit.Others) {
	for _, r := range m.s.running() {
		r.limiter.SetOthers(o)
		if r.queue != nil {
			r.queue.SetOthers(o)
		}
	}
}

func (m monitor) OwnBans(most int) (list []admit.Boxed) {
	for _, r := range m.s.running() {
		list = append(list, r.limiter.Own(most)...)
	}
	return list
}

func (m monitor) SetOtherBans(list []admit.Boxed) {
	for _, r := range m.s.running() {
		for _, p := range r.limiter.SetBans(list) {
			r.cutBoxed(p)
		}
	}
}

// checkAddress decides what the address alone decides, before any byte.
func (c *Conn) checkAddress() error {
	p := c.l.rules.store.Policy()
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

// admit applies what the address alone decides, before any byte of the client
// is read.
func (c *Conn) admit() error {
	if c.l.header != nil {
		if err := c.countAgain(); err != nil {
			return err
		}
	}
	return c.checkAddress()
}

// handshakeLimits returns the limits by source on unfinished handshakes that a
// client from a counts against at a port, and how much of them is in use, here
// and in the other processes that share them.
func (r *run) handshakeLimits(l *listening, a netip.Addr) (list []bridge.LimitNow) {
	if r.queue == nil || l.plain || l.datagram != nil || l.answer != nil || !a.IsValid() {
		return nil
	}
	add := func(why admit.Reason, value int, k admit.HandshakeLook) {
		if value > 0 {
			list = append(list, bridge.LimitNow{
				Key: limitKeys[why], Unit: unitHandshakes, Value: float64(value), Use: float64(k.Own + k.Others),
				Ends: k.Own >= k.Room && !r.cfg.Admission.Shadow,
			})
		}
	}
	source, network := r.queue.Look(a)
	add(admit.OverSourceHandshakes, r.cfg.Admission.Handshakes.PerSource, source)
	add(admit.OverPrefixHandshakes, r.cfg.Admission.Handshakes.PerPrefix, network)
	return list
}
