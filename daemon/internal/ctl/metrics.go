package ctl

import (
	"cmp"
	"context"
	"os"
	"runtime"
	"strconv"

	"netserver/daemon/internal/wire"
	"netserver/internal/control"
	"netserver/internal/metric"
	"netserver/internal/proc"
)

// partSeries is about how many series one part of an answer has; a family is in
// one part.
const partSeries = 1000

// metrics sends what Metrics returns, some families at a time.
func (s *Server) metrics(ctx context.Context, to *control.Answer) error {
	m := s.Metrics(ctx)
	part := control.Metrics{Families: []control.Family{}, Silent: m.Silent}
	n := 0
	for _, f := range m.Families {
		if n > 0 && n+len(f.Samples) > partSeries {
			if err := to.Send("metrics", part); err != nil {
				return err
			}
			part, n = control.Metrics{Families: []control.Family{}, Silent: []control.Silent{}}, 0
		}
		part.Families = append(part.Families, f)
		n += len(f.Samples)
	}
	return to.Send("metrics", part)
}

// Metrics has the members tell what they have counted, and returns that with
// what the server has counted itself.
func (s *Server) Metrics(ctx context.Context) *control.Metrics {
	m := &control.Metrics{Families: []control.Family{}, Silent: []control.Silent{}}
	s.all(ctx, wire.Ask{What: wire.AskMetrics}, &m.Silent)
	set := s.target.Metrics()
	set.Add(metric.Silent, float64(len(m.Silent)))
	s.processMetrics(set)
	s.certMetrics(ctx, set)
	for _, f := range set.Families() {
		m.Families = append(m.Families, familyOf(f))
	}
	return m
}

// processMetrics adds what the system and the overview tell of the processes.
func (s *Server) processMetrics(set *metric.Set) {
	st := s.target.Overview()
	mine := metric.ProcessWorker
	if st.Supervisor {
		mine = metric.ProcessSupervisor
		use(set, mine, os.Getpid())
	}
	for _, g := range st.Generations {
		for _, w := range g.Workers {
			set.Add(metric.Workers, 1, strconv.Itoa(g.ID), w.State)
			use(set, metric.ProcessWorker, w.PID)
		}
	}
	set.Add(metric.Crashes, float64(st.Crashes))
	for _, l := range st.Listeners {
		for o, n := range l.Outcomes {
			set.Add(metric.Connections, float64(n), l.Port, o)
		}
		for limit, n := range l.Refused {
			set.Add(metric.Refused, float64(n), l.Port, limit)
		}
	}
	set.Add(metric.Build, 1, st.Version, runtime.Version())
}

// maxCertSeries bounds the ports and files that certificates are told of.
const maxCertSeries = 1000

// certMetrics adds when certificates end; of several with one file, as with the
// port 0, the first.
func (s *Server) certMetrics(ctx context.Context, set *metric.Set) {
	n := 0
	for _, c := range s.Certs(ctx).Certificates {
		file := cmp.Or(c.File, "memory")
		for _, port := range c.Ports {
			if n++; n > maxCertSeries {
				return
			}
			set.Least(metric.CertificateEnd, float64(c.ChainEnd.Unix()), port, file)
			if c.Since != nil {
				set.Least(metric.CertificateSince, float64(c.Since.Unix()), port, file)
			}
			var failed float64
			if c.LastErrorAt != nil {
				failed = float64(c.LastErrorAt.Unix())
			}
			set.Least(metric.CertificateError, failed, port, file)
		}
	}
}

// use adds what a process has in use, where the system tells.
func use(set *metric.Set, kind string, pid int) {
	u := proc.UsageOf(pid)
	if u.Memory != nil {
		set.Add(metric.Memory, float64(*u.Memory), kind)
	}
	if u.Descriptors != nil {
		set.Add(metric.Descriptors, float64(*u.Descriptors), kind)
		if most := proc.DescriptorLimit(pid); most > 0 {
			set.Most(metric.LimitUsed, float64(*u.Descriptors)/float64(most), metric.LimitDescriptors)
		}
	}
}

func familyOf(f metric.Filled) control.Family {
	out := control.Family{Name: f.Name, Help: f.Help, Type: string(f.Type), Unit: f.Unit, Samples: make([]control.Sample, len(f.Series))}
	for i, one := range f.Series {
		out.Samples[i] = sampleOf(f.Family, one)
	}
	return out
}

func sampleOf(f *metric.Family, one *metric.Sample) control.Sample {
	s := control.Sample{Labels: make(map[string]string, len(one.Labels))}
	for i, v := range one.Labels {
		s.Labels[f.Labels[i]] = v
	}
	if one.Hist == nil {
		s.Value = &one.Value
		return s
	}
	h := one.Hist
	count, schema, threshold := h.Count(), metric.Schema, metric.ZeroThreshold
	s.Count, s.Sum, s.Schema, s.ZeroThreshold, s.Zero, s.Buckets = &count, &h.Sum, &schema, &threshold, &h.Zero, h.Buckets()
	return s
}
