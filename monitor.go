package netserver

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"netserver/access"
	"netserver/internal/admit"
	"netserver/internal/bridge"
	"netserver/internal/metric"
	"netserver/outcome"
	"netserver/port"
	"netserver/proto"
	"netserver/sock"
)

// A Monitor shows a running Server to its operator, who may step in by it. It
// is of all Serves that run, and stays of use when they have ended. Its methods
// may be called at any time, from any goroutine; clients are not held up.
//
// It is an interface so that a program's own tests can stand in for it.
// Further methods may be added.
type Monitor interface {
	// Stats returns the numbers of the Serves that run, or, if none does, of
	// the one that ended last: then no client is left and the counters stand.
	Stats() Stats
	// Clients returns the clients whose ID is above after, the lowest IDs
	// first, and n of them at most: for the next page ask again with the last
	// ID. Their records say what is known by now. The clients of several
	// Serves have the same numbers; then a page may end among equals.
	Clients(after uint64, n int) []Record
	// Limits returns the limits of Config. Of several Serves each has its own.
	Limits() []LimitUse
	// TopSources returns the n sources that have the most clients connected,
	// the most first.
	TopSources(n int) []Source
	// Penalties lists the sources and networks whose connections are closed at
	// accept, the longest to stay first.
	Penalties() []Source
	// Lift takes everything within p out of the penalty box and forgets its
	// points. It returns how much was in it. An IPv6 address stands for its
	// /64, as it does in the box; a network that is in it and wider than p
	// stays there.
	Lift(p netip.Prefix) int
	// Kill ends the client of that ID, with outcome.Killed in its record. It reports
	// whether there was one. It does not wait for the Handler to return.
	Kill(id uint64) bool
}

// Monitor returns the server's Monitor, before, while and after it serves.
func (s *Server) Monitor() Monitor { return monitor{s} }

// A Source is what limits by source count together: an IPv4 address or an IPv6
// /64, or, in the penalty box, a network around many of them, an IPv4 /24 or an
// IPv6 /48.
type Source struct {
	Prefix  netip.Prefix
	Clients int // connected; of Penalties it is not known
	// Left is how long it stays in the penalty box, and Offences is how often
	// it was put there. Both are 0 in TopSources.
	Left     time.Duration
	Offences int
}

// tally is what a listener counts.
type tally struct {
	outcomes    [outcome.Count]atomic.Uint64
	refused     [admit.Reasons]atomic.Uint64
	wouldRefuse [admit.Reasons]atomic.Uint64
	wouldCut    atomic.Uint64
	meter       metric.Port
}

// Stats are a Server's numbers at one moment.
type Stats struct {
	Clients int    // connected, in any stage
	Serving int    // of them: in the Handler
	Served  uint64 // that have been in the Handler
	Memory  int64  // bytes that connections take, as Config.Admission.MaxMemory counts them
	// Handshakes are those under the fair queue.
	Handshakes struct {
		Unfinished int    // handshakes that are not finished
		Waiting    int    // of them: wait for a turn
		Running    int    // of them: have it
		Sources    int    // addresses that are remembered
		Shed       uint64 // ended for being too many, ever
	}
	Ports []PortStats
}

// PortStats are the counters of one listener since it is served.
type PortStats struct {
	Port     port.Spec
	Outcomes [outcome.Count]uint64 // ended clients and refused connections, by class
	// Refused are the connections and datagrams that a limit refused, and the
	// handshakes that were ended for one, by the key of the limit, such as
	// max_per_source; nil if there are none. They are under outcome.OverLimit,
	// outcome.Penalised or outcome.Shed as well. WouldRefuse are those that
	// Config.Admission.Shadow let through.
	Refused, WouldRefuse map[string]uint64
	// WouldCut are the clients that Config.Admission.Shadow let stay although they
	// were below a minimum rate.
	WouldCut uint64
}

// monitor is the Monitor of a Server and its bridge.Engine.
type monitor struct{ s *Server }

var (
	_ bridge.Engine   = monitor{}
	_ bridge.Listener = (*listener)(nil)
)

func (m monitor) Stats() Stats {
	s := m.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.runs) == 0 {
		return s.last
	}
	var st Stats
	for r := range s.runs {
		r.addTo(&st)
	}
	return st
}

// addTo adds the numbers of one Serve.
func (r *run) addTo(st *Stats) {
	st.Clients += r.clients.count()
	st.Serving += int(r.serving.Load())
	st.Served += r.served.Load()
	st.Memory += r.limiter.Stats().Memory
	if r.queue != nil {
		q := r.queue.Stats()
		st.Handshakes.Unfinished += q.Unfinished
		st.Handshakes.Waiting += q.Waiting
		st.Handshakes.Running += q.Running
		st.Handshakes.Sources += q.Sources
		st.Handshakes.Shed += q.Shed
	}
	for _, l := range r.ls {
		st.Ports = append(st.Ports, l.stats())
	}
}

func (l *listening) stats() PortStats {
	p := PortStats{Port: l.spec, WouldCut: l.wouldCut.Load(), Refused: byLimit(&l.refused), WouldRefuse: byLimit(&l.wouldRefuse)}
	for i := range l.outcomes {
		p.Outcomes[i] = l.outcomes[i].Load()
	}
	return p
}

func byLimit(counts *[admit.Reasons]atomic.Uint64) (m map[string]uint64) {
	for i := range counts {
		if n := counts[i].Load(); n > 0 {
			if m == nil {
				m = make(map[string]uint64)
			}
			m[limitKeys[i]] = n
		}
	}
	return m
}

// Metrics returns the samples of internal/metric, and the names of the ports
// that they are of.
func (m monitor) Metrics() (ports []string, list []metric.Sample) {
	s := m.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.runs) == 0 {
		for _, p := range s.last.Ports {
			ports = append(ports, p.Port.Short())
		}
		return ports, s.lastSamples
	}
	for r := range s.runs {
		list = r.counted(list, len(ports))
		for _, l := range r.ls {
			ports = append(ports, l.spec.Short())
		}
	}
	return ports, append(list, metric.Sample{Family: metric.Goroutines, Value: float64(runtime.NumGoroutine())})
}

// counted appends what one Serve has counted, whose ports are those behind the
// first before.
func (r *run) counted(list []metric.Sample, before int) []metric.Sample {
	add := func(family string, place int, value float64, labels ...string) {
		list = append(list, metric.Sample{Family: family, Port: place, Labels: labels, Value: value})
	}
	for i, c := range r.clients.census(len(r.ls)) {
		place := before + i + 1
		for stage, n := range c.stages {
			add(metric.Open, place, float64(n), Stage(stage).String())
		}
		add(metric.Bytes, place, float64(c.in), metric.DirectionIn)
		add(metric.Bytes, place, float64(c.out), metric.DirectionOut)
	}
	for i, l := range r.ls {
		place := before + i + 1
		list = l.meter.Samples(list, place)
		for limit, n := range byLimit(&l.wouldRefuse) {
			add(metric.WouldRefuse, place, float64(n), limit)
		}
		if n := l.wouldCut.Load(); n > 0 {
			add(metric.WouldCut, place, float64(n))
		}
		if d, ok := below(l.Listener).(*sock.DatagramListener); ok {
			add(metric.DatagramsDropped, place, float64(d.Oversize()), metric.DropOversize)
		}
	}
	list = r.mix.Samples(list)
	if r.queue != nil {
		q := r.queue.Stats()
		add(metric.HandshakesOpen, 0, float64(q.Unfinished))
		add(metric.HandshakesWaiting, 0, float64(q.Waiting))
		add(metric.HandshakesRunning, 0, float64(q.Running))
		add(metric.HandshakesShed, 0, float64(q.Shed))
	}
	st := r.limiter.Stats()
	add(metric.Penalties, 0, float64(st.Boxed))
	add(metric.Penalised, 0, float64(r.boxings.Load()))
	add(metric.ConnMemory, 0, float64(st.Memory))
	r.usedShares(func(limit string, share float64) { add(metric.LimitUsed, 0, share, limit) })
	return list
}

func (m monitor) Limits() []LimitUse {
	var all []LimitUse
	for _, r := range m.s.running() {
		all = append(all, r.limitUses()...)
	}
	return all
}

func (m monitor) TopSources(n int) []Source {
	var all []Source
	for _, r := range m.s.running() {
		list, _ := r.limiter.Top(n)
		for _, u := range list {
			all = append(all, Source{Prefix: u.Prefix, Clients: u.Conns})
		}
	}
	return all
}

func (m monitor) Penalties() []Source {
	var all []Source
	for _, r := range m.s.running() {
		for _, b := range r.limiter.List() {
			all = append(all, Source{Prefix: b.Prefix, Left: b.Left, Offences: b.Offences})
		}
	}
	return all
}

func (m monitor) Lift(p netip.Prefix) (n int) {
	for _, r := range m.s.running() {
		n += r.limiter.Lift(p)
	}
	return n
}

func (m monitor) Clients(after uint64, n int) []Record { return m.s.clients(after, n) }
func (m monitor) Kill(id uint64) bool                  { return m.s.cut(id, errKilled) }

// What follows is for the command alone, by package bridge.

func (m monitor) Transports() ([]proto.Transport, error) { return m.s.checkedTransports() }

func (m monitor) Requests(ts []proto.Transport) ([]sock.Request, error) { return m.s.requests(ts) }

func (m monitor) Budget() bridge.Budget                     { return m.s.budget() }
func (m monitor) GraceTimes() (grace, spread time.Duration) { return m.s.Config.graceTimes() }

func (m monitor) ExplainPort(p port.Spec, peer access.Peer) (bridge.PortVerdict, error) {
	return m.s.explainPort(p, peer)
}

func (m monitor) ExplainNow(ctx context.Context, peer access.Peer, ask func(port.Spec) bool) (list []bridge.PortNow) {
	place := 0
	for _, r := range m.s.running() {
		for _, l := range r.ls {
			if !r.isDraining() && ask(l.spec) {
				p := r.explain(ctx, l, peer)
				p.Place = place
				list = append(list, p)
			}
			place++
		}
	}
	return list
}

// explain says what a port would do now with a client that connects.
func (r *run) explain(ctx context.Context, l *listening, peer access.Peer) bridge.PortNow {
	p := bridge.PortNow{
		Spec: l.spec, PortVerdict: l.header.verdict(peer), Transport: l.transport, Handler: l.handler, Shadow: r.cfg.Admission.Shadow,
	}
	if l.datagram == nil && l.answer == nil {
		p.Limits = r.roomNow(l)
	}
	if p.Proxied {
		return p // who it is, its header tells
	}
	p.Source = r.limiter.Look(peer.IP, l.datagram != nil)
	p.Limits = append(p.Limits, r.sourceLimits(l, peer.IP, p.Source)...)
	p.Limits = append(p.Limits, r.handshakeLimits(l, peer.IP)...)
	if p.Health = l.answer != nil; p.Health {
		if p.Access = l.rules.store.Policy().Early(peer); !p.Access.Final {
			p.Access.Allowed, p.Access.Rule = false, "rules that look its name up, which a port with "+keyHealth+" does not"
		}
		return p
	}
	if p.Allowed {
		peer, p.Access = l.rules.store.Policy().Check(ctx, l.rules.lookups, peer)
		p.Host = peer.Host
	}
	return p
}

// sourceLimits returns the limits of the Server and of the port that count
// clients from a, who stands as k says.
func (r *run) sourceLimits(l *listening, a netip.Addr, k admit.Look) []bridge.LimitNow {
	list := limitsNow(k, &r.cfg.Admission, l.datagram != nil, a.IsValid())
	if l.limiter != nil {
		for _, own := range limitsNow(l.limiter.Look(a, l.datagram != nil), l.beside, l.datagram != nil, a.IsValid()) {
			own.Own = true
			list = append(list, own)
		}
	}
	return list
}

// limitsNow returns the limits by source, and by rate, that there are, and how
// much of them is in use. Only clients whose address is known meet those by source.
func limitsNow(k admit.Look, a *Admission, datagram, known bool) (list []bridge.LimitNow) {
	add := func(why admit.Reason, unit string, value int, use float64, refuses bool) {
		if value > 0 {
			list = append(list, bridge.LimitNow{Key: limitKeys[why], Unit: unit, Value: float64(value), Use: math.Round(use), Refuses: refuses})
		}
	}
	if !known {
		a = &Admission{ConnRate: Bounds{All: a.ConnRate.All}, DatagramRate: Bounds{All: a.DatagramRate.All}}
	}
	rate := func(why admit.Reason, value int, use float64) {
		add(why, unitPerSecond, value, use, admit.Full(use, float64(value)))
	}
	if datagram {
		rate(admit.OverSourceDatagramRate, a.DatagramRate.PerSource, k.Rate)
		rate(admit.OverPrefixDatagramRate, a.DatagramRate.PerPrefix, k.NetworkRate)
		rate(admit.OverDatagramRate, a.DatagramRate.All, k.Total)
		return list
	}
	add(admit.OverSource, unitClients, a.MaxPerSource, float64(k.Conns+k.Others), k.Conns >= a.MaxPerSource || k.Shared && k.Conns >= k.Room)
	add(admit.OverPrefix, unitClients, a.MaxPerPrefix, float64(k.NetworkConns+k.NetworkOthers), k.NetworkConns >= a.MaxPerPrefix || k.Shared && k.NetworkConns >= k.NetworkRoom)
	rate(admit.OverSourceRate, a.ConnRate.PerSource, k.Rate)
	rate(admit.OverPrefixRate, a.ConnRate.PerPrefix, k.NetworkRate)
	rate(admit.OverRate, a.ConnRate.All, k.Total)
	return list
}

// roomNow returns the limits on all clients together.
func (r *run) roomNow(l *listening) (list []bridge.LimitNow) {
	if n := r.cfg.Limits.MaxConns; n > 0 {
		use := r.clients.count()
		list = append(list, bridge.LimitNow{Key: keyMaxConns, Unit: unitClients, Value: float64(n), Use: float64(use), Waits: use >= n})
	}
	if n := r.gate.MaxServing(); n > 0 {
		use := r.gate.Serving()
		list = append(list, bridge.LimitNow{Key: keyMaxServing, Unit: unitClients, Value: float64(n), Use: float64(use), Waits: use >= n})
	}
	if n := r.cfg.Admission.MaxMemory; n > 0 {
		use := r.limiter.Stats().Memory
		refuses := use+int64(l.price) > n && (r.queue == nil || r.queue.Stats().Unfinished == 0) // or it would end one of these
		list = append(list, bridge.LimitNow{Key: limitKeys[admit.OverMemory], Unit: unitBytes, Value: float64(n), Use: float64(use), Refuses: refuses})
	}
	return list
}

func (m monitor) RulesOf(p port.Spec) (access.Rules, bool) {
	c := m.s.Config
	c.setParams(p) // what is wrong with it is said elsewhere
	return c.Access.Rules, hasRules(p)
}

func (m monitor) OnServing(f func()) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	m.s.onServing = f
}

func (m monitor) Stop() { m.s.stop((*run).cutNow) }

func (m monitor) ClientCount() (n int) {
	for _, r := range m.s.running() {
		n += r.clients.count()
	}
	return n
}

func (m monitor) Cut(id uint64, why string) bool { return m.s.cut(id, &cutError{why}) }

func (m monitor) ClientNow(id uint64) (n bridge.ClientNow, found bool) { return m.s.clientNow(id) }

func (m monitor) Ban(p netip.Prefix, d time.Duration) error {
	var errs []error
	for _, r := range m.s.running() {
		errs = append(errs, r.limiter.Ban(p, d))
	}
	return errors.Join(errs...)
}

func (m monitor) LimitKeys() []string { return slices.Clone(limitKeys[admit.OK+1:]) }

func (m monitor) LimiterStats() (sum admit.LimiterStats) {
	for _, r := range m.s.running() {
		st := r.limiter.Stats()
		sum.Conns += st.Conns
		sum.Memory += st.Memory
		sum.Sources += st.Sources
		sum.Open += st.Open
		sum.Boxed += st.Boxed
	}
	return sum
}
