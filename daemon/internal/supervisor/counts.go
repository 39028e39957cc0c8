package supervisor

import (
	"maps"
	"path/filepath"

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
