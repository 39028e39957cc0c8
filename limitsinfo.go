package netserver

import (
	"math"
	"time"

	"netserver/internal/admit"
	"netserver/internal/slots"
	"netserver/port"
)

// A LimitUse is a limit as it is in force, and what there is of it now.
type LimitUse struct {
	Key   string
	Port  port.Spec // of a limit that each port has; else zero
	Unit  string    // clients, handshakes, datagrams, bytes, seconds, per second or bytes per second
	Value float64   // 0 is no limit
	Use   float64   // -1: it is not counted, as with times
	// Refused is how many clients and datagrams it has refused or ended, or
	// would have in shadow mode. max_connections, max_servers and
	// max_datagrams refuse none: clients wait.
	Refused uint64
}

// unused marks a limit whose use is not counted.
const unused = -1

func (r *run) limitUses() []LimitUse {
	n := r.tallies()
	return append(r.countLimits(n), r.timeLimits(n)...)
}

// tallies adds up what the ports have counted.
func (r *run) tallies() (sum tallied) {
	for _, l := range r.ls {
		sum.WouldCut += l.wouldCut.Load()
		for i := range l.outcomes {
			sum.Outcomes[i] += l.outcomes[i].Load()
		}
		for i := range l.refused {
			sum.Refused[i] += l.refused[i].Load() + l.wouldRefuse[i].Load()
		}
	}
	return sum
}

// tallied is what the ports have counted together.
type tallied struct {
	Outcomes [Outcomes]uint64
	Refused  [admit.Reasons]uint64 // or would have been
	WouldCut uint64
}

func (r *run) countLimits(n tallied) []LimitUse {
	c := r.cfg.limits(r.gate.MaxOpen())
	sources, networks := r.limiter.Top(1)
	most := func(list []admit.SourceUse) float64 {
		if len(list) == 0 {
			return 0
		}
		return float64(list[0].Conns)
	}
	conns, datagrams := r.limiter.Rates()
	rateUse := func(limit, use float64) float64 {
		if limit <= 0 {
			return unused
		}
		return math.Round(use)
	}
	st := r.limiter.Stats()
	list := []LimitUse{
		{Key: "max_connections", Unit: "clients", Value: float64(r.gate.MaxOpen()), Use: float64(r.clients.count())},
		{Key: "max_servers", Unit: "clients", Value: float64(r.gate.MaxServing()), Use: servingNow(r.gate)},
		r.handshakeLimit(n),
		{Key: "max_handshakes_per_source", Unit: "handshakes", Value: float64(r.cfg.maxHandshakesPerSource()), Use: unused, Refused: n.Refused[admit.OverSourceHandshakes]},
		{Key: "max_handshakes_per_prefix", Unit: "handshakes", Value: float64(r.cfg.maxHandshakesPerPrefix()), Use: unused, Refused: n.Refused[admit.OverPrefixHandshakes]},
		{Key: "max_per_source", Unit: "clients", Value: float64(c.MaxPerSource), Use: most(sources), Refused: n.Refused[admit.OverSource]},
		{Key: "max_per_prefix", Unit: "clients", Value: float64(c.MaxPerPrefix), Use: most(networks), Refused: n.Refused[admit.OverPrefix]},
		{Key: "connection_rate", Unit: "per second", Value: c.Rate, Use: rateUse(c.Rate, conns), Refused: n.Refused[admit.OverRate]},
		{Key: "connection_rate_per_source", Unit: "per second", Value: c.RatePerSource, Use: unused, Refused: n.Refused[admit.OverSourceRate]},
		{Key: "connection_rate_per_prefix", Unit: "per second", Value: c.RatePerPrefix, Use: unused, Refused: n.Refused[admit.OverPrefixRate]},
		{Key: "datagram_rate", Unit: "per second", Value: c.DatagramRate, Use: rateUse(c.DatagramRate, datagrams), Refused: n.Refused[admit.OverDatagramRate]},
		{Key: "datagram_rate_per_source", Unit: "per second", Value: c.DatagramRatePerSource, Use: unused, Refused: n.Refused[admit.OverSourceDatagramRate]},
		{Key: "datagram_rate_per_prefix", Unit: "per second", Value: c.DatagramRatePerPrefix, Use: unused, Refused: n.Refused[admit.OverPrefixDatagramRate]},
		{Key: "max_memory", Unit: "bytes", Value: float64(c.MaxMemory), Use: float64(st.Memory), Refused: n.Refused[admit.OverMemory]},
		{Key: "penalty_points", Unit: "points", Value: c.Penalty.Threshold, Use: unused, Refused: n.Refused[admit.Penalised]},
	}
	for _, l := range r.ls {
		if l.datagram != nil {
			list = append(list, LimitUse{Key: "max_datagrams", Port: l.spec, Unit: "datagrams", Value: float64(cap(l.datagram)), Use: float64(len(l.datagram))})
		}
	}
	return list
}

func (r *run) handshakeLimit(n tallied) LimitUse {
	u := LimitUse{Key: "max_handshakes", Unit: "handshakes", Use: unused}
	if r.queue != nil {
		u.Value, u.Use = float64(r.cfg.maxHandshakesOf(r.maxConns())), float64(r.queue.Stats().Unfinished)
		u.Refused = n.Refused[admit.OverHandshakes]
	}
	return u
}

func (r *run) timeLimits(n tallied) []LimitUse {
	c := &r.cfg
	t := func(key string, d time.Duration, ended ...Outcome) LimitUse {
		u := LimitUse{Key: key, Unit: "seconds", Value: d.Seconds(), Use: unused}
		for _, o := range ended {
			u.Refused += n.Outcomes[o]
		}
		return u
	}
	return []LimitUse{
		t("timeout_proxy_header", c.proxyHeaderTimeout(), OutcomeHeader),
		t("timeout_first_byte", c.firstByteTimeout(), OutcomeFirstByte),
		t("timeout_hello", c.helloTimeout(), OutcomeHello),
		t("timeout_handshake", c.handshakeTimeout(), OutcomeHandshake),
		t("timeout_first_request", c.firstRequestTimeout(), OutcomeFirstRequest),
		t("timeout_idle", c.idleTimeout(), OutcomeIdle),
		t("timeout_write", c.writeTimeout(), OutcomeWriteStalled),
		t("timeout_life", c.maxLife(), OutcomeMaxLife),
		t("grace", c.grace(), OutcomeCut),
		// Which of the two it was stands in the client's record.
		{Key: "min_read_rate", Unit: "bytes per second", Value: float64(c.minReadRate()), Use: unused, Refused: n.Outcomes[OutcomeTooSlow] + n.WouldCut},
		{Key: "min_write_rate", Unit: "bytes per second", Value: float64(c.minWriteRate()), Use: unused, Refused: n.Outcomes[OutcomeTooSlow] + n.WouldCut},
	}
}

// servingNow returns how many clients are in the Handler, if that is counted.
func servingNow(g *slots.Gate) float64 {
	if g.MaxServing() == 0 {
		return unused
	}
	return float64(g.Serving())
}
