package top

import (
	"netserver/internal/control"
	"netserver/outcome"
)

// rates are what has become of clients since the snapshot before, in a second.
type rates struct {
	sinceStart bool // there is none before it: the mean since the server's start
	accepted   float64
	served     float64
	refused    float64 // for limits and rules
	failed     float64
	shakes     control.Sample // handshakes that succeeded in that time
}

// refusals are the outcomes of clients that a limit or a rule has kept out.
var refusals = [...]outcome.Class{outcome.OverLimit, outcome.Shed, outcome.Penalised, outcome.Denied, outcome.NoRoute,
	outcome.UnknownName, outcome.NoCertificate, outcome.BadCertificate}

// ratesOf compares two snapshots; before is nil if there is none, and has no
// effect if the server was started anew since.
func ratesOf(before, now *snapshot) rates {
	if before == nil || before.status.PID != now.status.PID || before.status.Uptime >= now.status.Uptime {
		before = &snapshot{}
	}
	r := rates{sinceStart: before.status.PID == 0, shakes: handshakes(before, now)}
	took := now.status.Uptime - before.status.Uptime
	if took <= 0 {
		return r
	}
	var n [4]float64 // accepted, served, refused, failed
	n[0] = float64(now.status.Clients - before.status.Clients)
	was := map[string]map[string]uint64{}
	for _, l := range before.status.Listeners {
		was[l.Port] = l.Outcomes
	}
	for _, l := range now.status.Listeners {
		for name, count := range l.Outcomes {
			if old := was[l.Port][name]; count > old {
				n[0] += float64(count - old)
				if group := groupOf(name); group > 0 {
					n[group] += float64(count - old)
				}
			}
		}
	}
	r.accepted, r.served, r.refused, r.failed = max(0, n[0]/took), n[1]/took, n[2]/took, n[3]/took
	return r
}

// groupOf says as what an outcome counts: 1 served, 2 refused, 3 failed, or 0 none
// of them. One of a newer server has failed, so that it is seen.
func groupOf(name string) int {
	switch name {
	case outcome.Served.String(), outcome.Left.String(), outcome.Challenge.String():
		return 1
	case outcome.Probe.String():
		return 0
	}
	for _, c := range refusals {
		if c.String() == name {
			return 2
		}
	}
	return 3
}

// handshakes puts the histograms of all kinds of handshakes together, without
// what they had before.
func handshakes(before, now *snapshot) control.Sample {
	var count, zero uint64
	sum := control.Sample{Count: &count, Zero: &zero, Buckets: map[int]uint64{}}
	add := func(s *snapshot, sign uint64) {
		for _, f := range s.metrics.Families {
			if f.Name != "netserver_handshake_seconds" {
				continue
			}
			for _, one := range f.Samples {
				if one.Schema == nil || one.Zero == nil || sum.Schema != nil && *sum.Schema != *one.Schema {
					continue
				}
				sum.Schema = one.Schema
				zero += sign * *one.Zero
				for i, n := range one.Buckets {
					sum.Buckets[i] += sign * n
				}
			}
		}
	}
	add(now, 1)
	add(before, ^uint64(0)) // less
	if int64(zero) < 0 {    // a killed worker's last seconds are missing now
		zero = 0
	}
	count = zero
	for i, n := range sum.Buckets {
		if int64(n) < 0 {
			delete(sum.Buckets, i)
			continue
		}
		count += n
	}
	return sum
}
