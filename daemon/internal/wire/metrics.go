package wire

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"netserver"
	"netserver/handler/proxy"
	"netserver/internal/bridge"
	"netserver/internal/metric"
)

const (
	// maxSamples is how many series one message has.
	maxSamples = 512
	// maxSampleBytes bounds their JSON, far below MaxFromWorker: one histogram has
	// 4 KiB at the most.
	maxSampleBytes = 40 << 10
)

// MaxSeries is how many series a worker may have with so many ports and targets:
// those of the server, and those that each port and target has at the most.
func MaxSeries(ports, targets int) int { return 512 + 64*ports + 8*targets }

// A TargetName is a target as metrics name it: its backend, and what it is
// configured as.
type TargetName struct{ Backend, Target string }

// takeMetrics takes what a worker has counted beside outcomes: families of the
// table that workers send, of ports that it has.
func takeMetrics(s *Peer, from, to *Message) error {
	if len(from.Metrics) == 0 || len(from.Metrics) > maxSamples {
		return fmt.Errorf("%d samples", len(from.Metrics))
	}
	to.Metrics = from.Metrics
	limits := limitKeys()
	has := func(label, value string) bool {
		switch label {
		case metric.LabelLimit:
			return slices.Contains(limits, value)
		case metric.LabelBackend:
			return slices.ContainsFunc(s.Targets, func(t TargetName) bool { return t.Backend == value })
		case metric.LabelTarget:
			return value == metric.Other || slices.ContainsFunc(s.Targets, func(t TargetName) bool { return t.Target == value })
		}
		return false
	}
	for i := range to.Metrics {
		if err := to.Metrics[i].Check(s.Ports, has); err != nil {
			return err
		}
	}
	return nil
}

// TargetSamples returns what there is to count of targets; those that are not in
// known come together.
func TargetSamples(backends []*proxy.Backend, known []TargetName) (list []metric.Sample) {
	var set metric.Set
	for _, t := range targetRows(backends, "") {
		t.Backend, t.Target = knownAs(known, t.Backend, t.Target)
		set.Add(metric.TargetUp, float64(t.Up), t.Backend, t.Target)
		set.Add(metric.TargetClients, float64(t.Clients), t.Backend, t.Target)
		set.Add(metric.TargetTotal, float64(t.Connected), t.Backend, t.Target, metric.ResultDone)
		set.Add(metric.TargetTotal, float64(t.Failed), t.Backend, t.Target, metric.ResultFailed)
		set.Add(metric.TargetChecks, float64(t.Checks), t.Backend, t.Target)
		set.Add(metric.TargetFaults, float64(t.Faults), t.Backend, t.Target)
	}
	for _, b := range backends {
		for _, t := range b.ConnectTimes() {
			backend, target := knownAs(known, ShortName(cmp.Or(b.Name, plainTargets)), ShortName(t.Target))
			set.AddHistogram(metric.TargetConnect, &metric.Sparse{Sum: t.Sum, Zero: t.Zero, Index: t.Index, N: t.N}, backend, target)
		}
	}
	for _, name := range []string{metric.TargetUp, metric.TargetClients, metric.TargetTotal, metric.TargetConnect, metric.TargetChecks, metric.TargetFaults} {
		for _, one := range set.Series(name) {
			list = append(list, *one)
		}
	}
	return list
}

// knownAs returns what a target is called in metrics.
func knownAs(known []TargetName, backend, target string) (string, string) {
	if slices.Contains(known, TargetName{backend, target}) {
		return backend, target
	}
	if !slices.ContainsFunc(known, func(k TargetName) bool { return k.Backend == backend }) {
		backend = metric.Other
	}
	return backend, metric.Other
}

// ProgramSamples returns what handlers have counted of the programs that they
// start; none if there are no such handlers.
func ProgramSamples[S interface {
	Counts() (started, succeeded, failed, killed uint64)
}](starters []S) []metric.Sample {
	if len(starters) == 0 {
		return nil
	}
	var n [4]uint64
	for _, s := range starters {
		a, b, c, d := s.Counts()
		n[0], n[1], n[2], n[3] = n[0]+a, n[1]+b, n[2]+c, n[3]+d
	}
	ended := func(exit string, n uint64) metric.Sample {
		return metric.Sample{Family: metric.ProgramsEnded, Labels: []string{exit}, Value: float64(n)}
	}
	return []metric.Sample{
		{Family: metric.ProgramsStarted, Value: float64(n[0])},
		ended(metric.ExitSuccess, n[1]), ended(metric.ExitFailure, n[2]), ended(metric.ExitSignal, n[3]),
		{Family: metric.Programs, Value: max(0, float64(n[0])-float64(n[1]+n[2]+n[3]))},
	}
}

// limitKeys returns what the label limit can be.
func limitKeys() []string {
	return append(bridge.Of(new(netserver.Server).Monitor()).LimitKeys(), metric.UsedLimits()...)
}

// MetricsMessages returns what a worker has counted in as many messages as it
// needs.
func MetricsMessages(list []metric.Sample) (all []Message) {
	m, size := Message{Op: OpMetrics}, 0
	for _, one := range list {
		b, err := json.Marshal(one)
		if err != nil {
			continue
		}
		if len(m.Metrics) == maxSamples || len(m.Metrics) > 0 && size+len(b) > maxSampleBytes {
			all, m, size = append(all, m), Message{Op: OpMetrics}, 0
		}
		m.Metrics = append(m.Metrics, one)
		size += len(b) + 1
	}
	if len(m.Metrics) > 0 {
		all = append(all, m)
	}
	return all
}
