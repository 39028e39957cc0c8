package netserver

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"

	"netserver/access"
	"netserver/admit"
	"netserver/port"
)

// What a connection takes, in bytes: measured with 9,000 connections from the
// resident memory of a server on Linux, and rounded up. What the Handler takes
// comes on top.
const (
	priceWaiting = 6 << 10  // in its handshake, the hello not come: 5.2 KiB
	pricePlain   = 6 << 10  // served, without TLS
	priceTLS     = 12 << 10 // served over TLS
)

// newLimiter makes the counters of sources.
func (r *run) newLimiter() *admit.Limiter { return admit.NewLimiter(r.cfg.limits(r.maxConns())) }

// enter counts a new connection, before anything is allocated for it. It
// returns false for one that is refused, which is closed.
func (r *run) enter(l *listening, nc net.Conn) bool {
	ip := access.PeerOf(nc.RemoteAddr()).IP
	if l.datagram != nil {
		return r.permit(l, nc, r.limiter.Datagram(ip))
	}
	if l.header != nil {
		ip = netip.Addr{} // who it is the header tells: see reenter
	}
	if !r.permit(l, nc, r.limiter.Enter(ip)) {
		return false
	}
	if r.limiter.Reserve(l.price) || r.queue != nil && r.queue.Shed(nil) {
		return true
	}
	if !r.permit(l, nc, admit.OverMemory) {
		r.limiter.Reserve(-l.price)
		r.limiter.Leave(ip)
		return false
	}
	return true
}

// permit closes and counts a connection that a limit refuses, unless limits
// are in shadow mode.
func (r *run) permit(l *listening, nc net.Conn, why admit.Reason) bool {
	if why == admit.OK {
		return true
	}
	o := OutcomeOverLimit
	if why == admit.Penalised {
		o = OutcomePenalised
	}
	if r.cfg.LimitsShadow {
		l.wouldRefuse[why].Add(1)
		r.logNoise(o, "would refuse", l, nc.RemoteAddr(), why.String())
		return true
	}
	l.outcomes[o].Add(1)
	l.refused[why].Add(1)
	r.logNoise(o, "refused", l, nc.RemoteAddr(), why.String())
	nc.Close()
	return false
}

func (r *run) logNoise(o Outcome, msg string, l *listening, peer net.Addr, why string) {
	if !r.log.Enabled(context.Background(), LevelNotice) || !r.noise.allowOutcome(o) {
		return
	}
	r.log.LogAttrs(context.Background(), LevelNotice, msg, slog.String("port", l.spec.Short()),
		slog.String("peer", peer.String()), slog.String("limit", why))
}

// leave ends what enter began, and charges the client's source with how it
// ended.
func (c *Conn) leave(o Outcome) {
	c.l.outcomes[o].Add(1)
	l := c.run.limiter
	if p := o.points(); p > 0 && l.Punish(c.peer.IP, p) {
		c.run.boxed(c.peer.IP)
	}
	if c.l.datagram != nil {
		return
	}
	l.Reserve(-c.price)
	l.Leave(c.source)
}

// reenter counts a client under the address that is its own, once that is
// known.
func (c *Conn) reenter() error {
	l := c.run.limiter
	why := l.Enter(c.peer.IP)
	switch {
	case why == admit.OK:
	case c.run.cfg.LimitsShadow:
		c.l.wouldRefuse[why].Add(1)
		c.run.logNoise(OutcomeOverLimit, "would refuse", c.l, c.RemoteAddr(), why.String())
	case why == admit.Penalised:
		c.l.refused[why].Add(1)
		return ErrPenalised
	default:
		c.l.refused[why].Add(1)
		return fmt.Errorf("%w: %v", ErrOverLimit, why)
	}
	l.Leave(c.source)
	s := c.run.clients.shard(c)
	s.mu.Lock()
	c.source = c.peer.IP
	s.mu.Unlock()
	return nil
}

// boxed tells of a source that was put into the penalty box.
func (r *run) boxed(ip netip.Addr) {
	if r.noise.allow() {
		r.log.LogAttrs(context.Background(), LevelNotice, "source put into the penalty box", slog.String("peer", ip.String()))
	}
	if r.cfg.PenaltyClose {
		r.clients.cutSource(ip, ErrPenalised)
	}
}

// cutSource ends every client of the address.
func (cs *clients) cutSource(ip netip.Addr, why error) {
	for i := range cs.shards {
		s := &cs.shards[i]
		s.mu.Lock()
		for c := range s.set {
			if c.source == ip {
				c.cut(why)
			}
		}
		s.mu.Unlock()
	}
}

// tally is what a listener counts.
type tally struct {
	outcomes    [Outcomes]atomic.Uint64
	refused     [admit.Reasons]atomic.Uint64
	wouldRefuse [admit.Reasons]atomic.Uint64
	wouldCut    atomic.Uint64
}

// Stats are a Server's numbers at one moment, of all its Serves.
type Stats struct {
	Clients    int    // connected, in any stage
	Serving    int    // of them: in the Handler
	Served     uint64 // that have been in the Handler
	Handshakes admit.QueueStats
	Limits     admit.LimiterStats
	Ports      []PortStats
}

// PortStats are the counters of one listener since it is served.
type PortStats struct {
	Port     port.Spec
	Outcomes [Outcomes]uint64 // ended clients and refused connections, by class
	// Refused are the connections and datagrams that a limit refused, by
	// limit; they are under OutcomeOverLimit or OutcomePenalised as well.
	// WouldRefuse are those that Config.LimitsShadow let through.
	Refused, WouldRefuse [admit.Reasons]uint64
	// WouldCut are the clients that Config.LimitsShadow let stay although they
	// were below a minimum rate.
	WouldCut uint64
}

// Stats returns the numbers of the Serves that run. It may be called at any
// time.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	var st Stats
	for r := range s.runs {
		r.addTo(&st)
	}
	return st
}

// LastStats returns the numbers of the Serve that ended last, as they were
// then: those that Stats does not have any more. It is zero before that.
func (s *Server) LastStats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// addTo adds the numbers of one Serve.
func (r *run) addTo(st *Stats) {
	st.Clients += r.clients.count()
	st.Serving += int(r.serving.Load())
	st.Served += r.served.Load()
	if r.queue != nil {
		q := r.queue.Stats()
		st.Handshakes.Unfinished += q.Unfinished
		st.Handshakes.Waiting += q.Waiting
		st.Handshakes.Running += q.Running
		st.Handshakes.Sources += q.Sources
		st.Handshakes.Shed += q.Shed
	}
	m := r.limiter.Stats()
	st.Limits.Conns += m.Conns
	st.Limits.Memory += m.Memory
	st.Limits.Sources += m.Sources
	st.Limits.Boxed += m.Boxed
	for _, l := range r.ls {
		st.Ports = append(st.Ports, l.stats())
	}
}

func (l *listening) stats() PortStats {
	p := PortStats{Port: l.spec, WouldCut: l.wouldCut.Load()}
	for i := range l.outcomes {
		p.Outcomes[i] = l.outcomes[i].Load()
	}
	for i := range l.refused {
		p.Refused[i], p.WouldRefuse[i] = l.refused[i].Load(), l.wouldRefuse[i].Load()
	}
	return p
}

// PenaltyBox lists the sources and networks that are cut at accept.
func (s *Server) PenaltyBox() []admit.Boxed {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []admit.Boxed
	for r := range s.runs {
		list = append(list, r.limiter.List()...)
	}
	return list
}

// Lift takes everything within p out of the penalty box, and returns how much
// that was.
func (s *Server) Lift(p netip.Prefix) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.runs {
		n += r.limiter.Lift(p)
	}
	return n
}
