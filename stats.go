package netserver

import (
	"net/netip"
	"sync/atomic"

	"netserver/internal/admit"
	"netserver/port"
)

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
	// Refused are the connections and datagrams that a limit refused, and the
	// handshakes that were ended for one, by limit. They are under
	// OutcomeOverLimit, OutcomePenalised or OutcomeShed as well.
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
	st.Limits.Open += m.Open
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

// PenaltyBox lists the sources and networks that are cut at accept. Those of
// several Serves stand there once for each.
func (s *Server) PenaltyBox() []admit.Boxed {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []admit.Boxed
	for r := range s.runs {
		list = append(list, r.limiter.List()...)
	}
	return list
}

// Lift takes everything within p out of the penalty box and forgets its points.
// It returns how much was in it. An IPv6 address stands for its /64, as it does
// in the box; a network that is in it and wider than p stays there.
func (s *Server) Lift(p netip.Prefix) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.runs {
		n += r.limiter.Lift(p)
	}
	return n
}
