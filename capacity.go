package netserver

import (
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"time"

	"netserver/access"
	"netserver/internal/admit"
	"netserver/internal/bridge"
	"netserver/internal/descriptors"
	"netserver/internal/metric"
	"netserver/internal/proc"
	"netserver/internal/session"
	"netserver/outcome"
	"netserver/port"
	"netserver/proto"
)

const (
	// minDivided is the least max_connections that is divided among sources:
	// with fewer, one program's own connections would be in each other's way.
	minDivided = 64

	minReserve, maxReserve = 32, 512

	mostHandshakes = 16384
	mostSpread     = 5 * time.Second
)

// connsByDescriptors is the default of max_connections: as many clients as
// there are descriptors for, with some kept back for logs, reloads and what the
// Handler opens. 0 is no limit.
func connsByDescriptors(_ *effective, h Handler) int64 {
	return int64(connsFor(descriptors.DescriptorLimit(), h))
}

func connsFor(limit uint64, h Handler) int {
	if limit == 0 || limit > math.MaxInt32 {
		return 0
	}
	each := 1 + descriptorsOf(h)
	n := int(limit)
	reserve := min(max(n/16, minReserve), maxReserve)
	return max((n-reserve-reservedFor(h))/each, 1)
}

func descriptorsOf(h Handler) int {
	d, ok := HandlerAs[proto.Descriptors](h)
	if !ok {
		return 0
	}
	return max(d.Descriptors(), 0)
}

// A demand is a Handler with what others need beside it.
type demand struct {
	Handler
	sessions int // of all ports for datagrams
}

// Unwrap returns the Handler.
func (d demand) Unwrap() Handler { return d.Handler }

// reservedFor returns how many descriptors are not for connections.
func reservedFor(h Handler) int {
	if d, ok := h.(demand); ok {
		return d.sessions
	}
	return 0
}

// sessionsDemanded returns how many sessions there may be on all ports.
func (s *Server) sessionsDemanded() (n int) {
	for _, p := range s.ports() {
		if k := p.Kind(); k == port.UDP || k == port.UnixDgram {
			m := sessionsOf(s.handlerOf(p))
			n += m + session.Spare(m)
		}
	}
	return n
}

// handshakesByConns is the default of max_handshakes: unfinished handshakes
// never take all places. Without the queue nothing counts them.
func handshakesByConns(e *effective, _ Handler) int64 {
	if e.Admission.NoQueue {
		return 0
	}
	if e.Limits.MaxConns >= minDivided {
		return int64(min(mostHandshakes, e.Limits.MaxConns/4*3))
	}
	return mostHandshakes
}

// sourceByConns and prefixByConns are the defaults of max_per_source and
// max_per_prefix.
func sourceByConns(e *effective, _ Handler) int64 {
	if e.Limits.MaxConns < minDivided {
		return 0
	}
	return int64(e.Limits.MaxConns / 4 * 3)
}

func prefixByConns(e *effective, _ Handler) int64 {
	if e.Limits.MaxConns < minDivided {
		return 0
	}
	return int64(e.Limits.MaxConns / 8 * 7)
}

// halfOfMemory is the default of max_memory: half of what the process may
// have, of which proc.PaceGC leaves the collector a part.
func halfOfMemory(*effective, Handler) int64 {
	limit := debug.SetMemoryLimit(-1) // GOMEMLIMIT
	if m := proc.SystemMemory(); m > 0 && (m < limit || limit == proc.SoftLimit(m)) {
		limit = m
	}
	if limit == math.MaxInt64 {
		return 0
	}
	return limit / 2
}

// tenthOfGrace is the default of grace_spread.
func tenthOfGrace(e *effective, _ Handler) int64 { return int64(min(e.Shutdown.Grace/10, mostSpread)) }

// limits returns the Limiter's values.
func (e *effective) limits() admit.Limits {
	return admit.Limits{
		MaxPerSource:          e.Admission.MaxPerSource,
		MaxPerPrefix:          e.Admission.MaxPerPrefix,
		Rate:                  float64(e.Admission.ConnRate.All),
		RatePerSource:         float64(e.Admission.ConnRate.PerSource),
		RatePerPrefix:         float64(e.Admission.ConnRate.PerPrefix),
		DatagramRate:          float64(e.Admission.DatagramRate.All),
		DatagramRatePerSource: float64(e.Admission.DatagramRate.PerSource),
		DatagramRatePerPrefix: float64(e.Admission.DatagramRate.PerPrefix),
		MaxMemory:             e.Admission.MaxMemory,
		Shadow:                e.Admission.Shadow,
		Penalty: admit.Penalty{
			Threshold: float64(e.Admission.Penalty.Points),
			Time:      e.Admission.Penalty.Time,
			MaxTime:   e.Admission.Penalty.MaxTime,
			Exempt:    e.Admission.Penalty.Exempt,
		},
	}
}

// warnDescriptors tells of a max_connections that the descriptor limit does not
// allow: accept will fail before it is reached.
func (r *run) warnDescriptors() {
	limit := descriptors.DescriptorLimit()
	if n := r.srv.Config.Limits.MaxConns; n > 0 && limit > 0 && limit <= math.MaxInt32 && n > connsFor(limit, r.srv.greediest()) {
		r.log.Warn(fmt.Sprintf("max_connections %d is more than %d descriptors are enough for (%d clients): raise the limit (ulimit -n, limit_nofile), or clients will wait in the backlog for descriptors",
			n, limit, connsFor(limit, r.srv.greediest())))
	}
}

// budget returns the effective limits of s.Config whose defaults depend on the
// machine and on the Handlers.
func (s *Server) budget() bridge.Budget {
	e := s.Config.effective(s.greediest())
	b := bridge.Budget{"memory_waiting": priceWaiting, "memory_plain": pricePlain, "memory_tls": priceTLS}
	for i := range settings {
		if t := &settings[i]; t.budget {
			b[t.key] = t.value((*Config)(&e)).Int()
		}
	}
	return b
}

// explainPort says what the port alone decides about a client that connects to
// it.
func (s *Server) explainPort(p port.Spec, peer access.Peer) (bridge.PortVerdict, error) {
	all := s.Config.effective(s.greediest())
	pc, err := s.configOf(p, &all)
	if err != nil {
		return bridge.PortVerdict{}, err
	}
	if err := pc.checkStream(!p.IsDatagram()); err != nil {
		return bridge.PortVerdict{}, err
	}
	return pc.header.verdict(peer), nil
}

// verdict says what the rule decides about a client before any byte of its own.
func (r *headerRule) verdict(peer access.Peer) bridge.PortVerdict {
	switch {
	case r == nil:
		return bridge.PortVerdict{Allowed: true}
	case r.trusts(peer):
		return bridge.PortVerdict{Allowed: true, Proxied: true, Why: "in " + keyProxyFrom + ": the rules and limits go by the address in its PROXY header"}
	case r.optional:
		return bridge.PortVerdict{Allowed: true, Why: "not in " + keyProxyFrom + ": the rules go by this address, and a PROXY header is refused"}
	}
	return bridge.PortVerdict{Why: fmt.Sprintf("%s %s: not in %s", keyProxyProtocol, ProxyRequire, keyProxyFrom)}
}

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

var limitKeys = keysOfReasons()

func keysOfReasons() (keys [admit.Reasons]string) {
	for i := range settings {
		if t := &settings[i]; t.reason != admit.OK {
			keys[t.reason] = t.key
		}
	}
	return keys
}

// unused marks a limit whose use is not counted.
const unused = -1

// limitUses lists the limits as the table of settings has them.
func (r *run) limitUses() []LimitUse {
	var list []LimitUse
	n, u := r.tallies(), r.usage()
	for i := range settings {
		t := &settings[i]
		switch {
		case t.unit == "":
		case t.each != nil:
			for _, l := range r.ls {
				if use, ok := t.each(l); ok {
					list = append(list, LimitUse{Key: t.key, Port: l.spec, Unit: t.unit, Value: t.amount(&l.cfg), Use: use})
				}
			}
		default:
			limit := LimitUse{Key: t.key, Unit: t.unit, Value: t.amount(&r.cfg), Use: unused, Refused: t.refused(&n)}
			if t.use != nil {
				limit.Use = t.use(&u)
			}
			list = append(list, limit)
			for _, l := range r.ls {
				if own, ok := r.limitUse(t, l); ok {
					list = append(list, own)
				}
			}
		}
	}
	return list
}

// usedShares tells how much of the limits of the whole process is in use, of
// those whose use is known without a look at every source.
func (r *run) usedShares(add func(limit string, share float64)) {
	u := usage{r: r, limits: &r.cfg.Admission}
	keys := metric.UsedLimits()
	for i := range settings {
		t := &settings[i]
		if !slices.Contains(keys, t.key) {
			continue
		}
		if value, use := t.amount(&r.cfg), t.use(&u); value > 0 && use >= 0 {
			add(t.key, use/value)
		}
	}
}

// limitUse returns the limit that a port has of its own, beside the Server's,
// and what there is of it now.
func (r *run) limitUse(t *setting, l *listening) (LimitUse, bool) {
	if !t.beside || l.limiter == nil {
		return LimitUse{}, false
	}
	value := float64(t.value(&Config{Admission: *l.beside}).Int())
	if value == 0 {
		return LimitUse{}, false
	}
	own := LimitUse{
		Key: t.key, Port: l.spec, Unit: t.unit, Value: value, Use: unused,
		Refused: l.refused[t.reason].Load() + l.wouldRefuse[t.reason].Load(),
	}
	if t.use != nil {
		u := r.usageOf(l.limiter, l.beside)
		own.Use = t.use(&u)
	}
	return own, true
}

// amount returns the limit in its unit.
func (t *setting) amount(e *effective) float64 {
	v := float64(t.value((*Config)(e)).Int())
	if t.unit == unitSeconds {
		v /= 1e9
	}
	return v
}

// refused returns how many clients the limit has refused or ended.
func (t *setting) refused(n *tallied) uint64 {
	sum := n.Refused[t.reason]
	if t.ends != outcome.Served {
		sum += n.Outcomes[t.ends]
	}
	if t.ends == outcome.TooSlow {
		sum += n.WouldCut
	}
	return sum
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
	Outcomes [outcome.Count]uint64
	Refused  [admit.Reasons]uint64 // or would have been
	WouldCut uint64
}

// A usage is what there is at one moment of what the limits count.
type usage struct {
	r                 *run
	sources, networks []admit.SourceUse // that have the most clients
	conns, datagrams  float64           // a second
	limits            *Admission        // that bound these
}

func (r *run) usage() usage { return r.usageOf(r.limiter, &r.cfg.Admission) }

// usageOf returns what a Limiter counts, for limits.
func (r *run) usageOf(l *admit.Limiter, limits *Admission) usage {
	u := usage{r: r, limits: limits}
	u.sources, u.networks = l.Top(1)
	u.conns, u.datagrams = l.Rates()
	return u
}

func (u *usage) clients() float64   { return float64(u.r.clients.count()) }
func (u *usage) memory() float64    { return float64(u.r.limiter.Stats().Memory) }
func (u *usage) topSource() float64 { return most(u.sources) }
func (u *usage) topPrefix() float64 { return most(u.networks) }

func most(list []admit.SourceUse) float64 {
	if len(list) == 0 {
		return 0
	}
	return float64(list[0].Conns)
}

// serving returns how many clients are in the Handler, if that is counted.
func (u *usage) serving() float64 {
	g := u.r.gate
	if g.MaxServing() == 0 {
		return unused
	}
	return float64(g.Serving())
}

func (u *usage) handshakes() float64 {
	if u.r.queue == nil {
		return unused
	}
	return float64(u.r.queue.Stats().Unfinished)
}

func (u *usage) connRate() float64 { return rateUse(u.limits.ConnRate.All, u.conns) }
func (u *usage) datagramRate() float64 {
	return rateUse(u.limits.DatagramRate.All, u.datagrams)
}

// rateUse returns a rate, which is counted only where it is limited.
func rateUse(limit int, use float64) float64 {
	if limit == 0 {
		return unused
	}
	return math.Round(use)
}

// datagramsNow returns how many datagrams are in the Handler, on a port for
// such that has no sessions.
func (l *listening) datagramsNow() (float64, bool) {
	return float64(len(l.datagram)), l.datagram != nil && l.sessions == nil
}
