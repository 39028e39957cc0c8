package supervisor

import (
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"netserver/cluster"
	"netserver/daemon/internal/clustering"
	"netserver/daemon/internal/wire"
	"netserver/internal/metric"
)

// hearCounts takes what a worker has counted.
func (s *supervisor) hearCounts(w *child, m wire.Message) {
	if m.Status != nil {
		s.hearStatus(w, *m.Status)
	}
	c := m.Counts
	if c == nil {
		return
	}
	if w.counts == nil {
		w.counts = make([]wire.PortCount, len(w.gen.plan.Ports))
	}
	copy(w.counts[min(c.First, len(w.counts)):], c.Ports)
}

// tally adds up what all workers have counted, those that have ended among
// them.
func (s *supervisor) tally() wire.Tallies {
	sum := make(wire.Tallies)
	for name, c := range s.past {
		*sum.At(name) = wire.PortCount{Outcomes: maps.Clone(c.Outcomes), Refused: maps.Clone(c.Refused)}
	}
	for _, g := range s.gens {
		for w := range g.workers {
			sum.Add(g.plan, w.counts)
		}
	}
	return sum
}

// Metrics returns what the workers have counted, those that have ended among
// them, and what the supervisor has.
func (c *Controlled) Metrics() *metric.Set {
	set := new(metric.Set)
	c.do(func() { c.addMetrics(set) })
	return set
}

func (s *supervisor) addMetrics(set *metric.Set) {
	set.AddSet(&s.pastMetrics)
	for _, g := range s.gens {
		ports := s.metricPorts(g)
		for w := range g.workers {
			set.AddAll(w.metrics.All(), ports)
			w.keyLink.addTo(set)
		}
	}
	s.cluster.addMetrics(set)
	set.Add(metric.StartTime, float64(s.began.UnixMilli())/1000)
	set.Add(metric.Reloads, float64(s.reloads.done), metric.ResultDone)
	set.Add(metric.Reloads, float64(s.reloads.failed), metric.ResultFailed)
	s.ordering.tally.AddTo(set)
	if s.conf.hasJobs() || s.jobs.next > 0 {
		set.Add(metric.JobsBegun, float64(s.jobs.next))
		set.Add(metric.Jobs, float64(len(s.jobs.running)))
	}
}

// addTo adds what the key agent has counted of a worker.
func (l *keyLink) addTo(set *metric.Set) {
	if n := l.signatures(); n != nil {
		set.Add(metric.Signatures, float64(n.Signed), "signed")
		set.Add(metric.Signatures, float64(n.Refused), "refused")
		set.Add(metric.Signatures, float64(n.Slowed), "slowed")
	}
}

// mayServe reports whether the configuration names a certificate's file, by
// itself or its directory: workers cannot make up others.
func (g *generation) mayServe(file string) bool {
	file = filepath.Clean(file)
	return g.allowed != nil && (g.allowed.Names(file) || g.allowed.Lists(filepath.Dir(file)))
}

// metricPorts returns the names under which the ports of a generation are
// counted: those beyond what past generations have used up come together.
func (s *supervisor) metricPorts(g *generation) []string {
	names := g.plan.PortNames()
	for i, name := range names {
		names[i] = s.past.Known(name)
	}
	return names
}

// hearShared takes what a worker has for other nodes, a part at a time.
func (s *supervisor) hearShared(w *child, part *wire.Shared) {
	if s.cluster == nil {
		return
	}
	if part.First {
		w.sharing, w.sharesSame = cluster.Report{}, part.Same
		w.lifts.Done(part.Lifted)
		if part.Same {
			w.sharing.Counts = w.shared.Counts
		}
	}
	r := &w.sharing
	r.Counts = append(r.Counts, part.Counts[:min(len(part.Counts), cluster.MaxCounts-len(r.Counts))]...)
	r.Bans = append(r.Bans, part.Bans[:min(len(part.Bans), cluster.MaxBans-len(r.Bans))]...)
	if len(part.Targets) > 0 {
		r.Targets = part.Targets
	}
	if part.Last {
		w.shared, w.sharing, w.sharedAt = w.sharing, cluster.Report{}, time.Now()
		w.shared.Bans = w.lifts.Rest(w.shared.Bans)
		if !w.sharesSame {
			w.sharedSeq++
		}
		s.cluster.reportSoon()
	}
}

// shares puts together what all workers have for other nodes.
func (s *supervisor) shares() *cluster.Report {
	r := &cluster.Report{Version: s.o.Version, Ready: s.serving && !s.ending, Draining: s.ending}
	now, bans := time.Now(), make(map[netip.Prefix]cluster.Ban)
	sources := make(map[netip.Prefix]cluster.Count)
	var targets clustering.Agreed
	for _, g := range s.gens {
		for w := range g.workers {
			r.Clients += w.status.Clients
			r.Processes++
			if !w.leaving && !g.leaving {
				targets.Add(w.shared.Targets)
			}
			for _, b := range w.ownBans(now) {
				if have := bans[b.Prefix]; b.Left > have.Left {
					bans[b.Prefix] = b
				}
			}
			if len(g.workers) == 1 && len(s.gens) == 1 {
				r.Counts = w.shared.Counts
				continue
			}
			for _, n := range w.shared.Counts {
				addCount(sources, n)
			}
		}
	}
	for _, b := range bans {
		r.Bans = append(r.Bans, b)
	}
	r.Counts, r.Targets = biggest(r.Counts, sources), targets.Findings()
	if len(s.gens) > 0 {
		names := s.newest().plan.PortNames()
		r.Ports = names[:min(len(names), cluster.MaxPorts)]
	}
	return r
}

// addCount adds n to the sum of its source or network.
func addCount(sum map[netip.Prefix]cluster.Count, n cluster.Count) {
	have := sum[n.Prefix]
	sum[n.Prefix] = cluster.Count{
		Prefix: n.Prefix, Conns: min(have.Conns+n.Conns, cluster.MaxCount), Handshakes: min(have.Handshakes+n.Handshakes, cluster.MaxCount),
	}
}

// biggest adds sources to list, those with most clients if there are too many.
func biggest(list cluster.Counts, sources map[netip.Prefix]cluster.Count) cluster.Counts {
	for _, n := range sources {
		list = append(list, n)
	}
	if len(list) > cluster.MaxCounts {
		slices.SortFunc(list, func(a, b cluster.Count) int { return int(b.Conns) - int(a.Conns) })
		list = list[:cluster.MaxCounts]
	}
	return list
}

// countsState returns a number that changes with the workers and with what they
// tell of their clients. It is not 0.
func (s *supervisor) countsState() uint64 {
	state := uint64(1)
	for _, g := range s.gens {
		for w := range g.workers {
			state += uint64(w.id+1)<<32 + w.sharedSeq
		}
	}
	return state
}

// Lifted has other nodes take a network out of their penalty boxes too. It
// returns a number for the question by which the workers are told.
func (s *supervisor) Lifted(p netip.Prefix) (number uint64) {
	s.do(func() { number = s.cluster.lift(p) })
	return number
}

func (c *clusterProcess) lift(p netip.Prefix) (number uint64) {
	if c == nil {
		return 0
	}
	now := time.Now()
	number = c.made.Lift(p, c.bans.Told(now), now)
	c.s.awaitLift(number, []netip.Prefix{p}, now)
	c.bans.Lift(p)
	if c.proc != nil {
		c.proc.tell(wire.Message{Op: wire.OpLifted, Network: p.String()})
	}
	c.reportSoon()
	return number
}

// awaitLift has what workers tell of bans within networks count for nothing until
// they have lifted those.
func (s *supervisor) awaitLift(number uint64, networks []netip.Prefix, now time.Time) {
	for _, g := range s.gens {
		for w := range g.workers {
			w.lifts.Add(number, networks, now)
			w.shared.Bans = w.lifts.Rest(w.shared.Bans)
		}
	}
}

// tellLifts tells a worker again what it has not confirmed.
func (w *child) tellLifts(now time.Time) {
	for w.ready && !w.gone && len(w.outbox) < newsRoom {
		number, networks, ok := w.lifts.Again(now)
		if !ok {
			return
		}
		w.tell(wire.Message{Op: wire.OpNews, ID: number, News: &cluster.News{Lifted: networks}})
	}
}

// staleShare is how old what a worker has told may be before that is taken off
// its bans: one that serves tells twice a second.
const staleShare = time.Second

// ownBans returns the bans that a worker has told of, with what is left of them.
func (w *child) ownBans(now time.Time) []cluster.Ban {
	age := now.Sub(w.sharedAt)
	if age < staleShare {
		return w.shared.Bans
	}
	var list []cluster.Ban
	for _, b := range w.shared.Bans {
		if b.Left -= age; b.Left > 0 {
			list = append(list, b)
		}
	}
	return list
}
