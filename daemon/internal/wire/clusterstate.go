package wire

import (
	"time"

	"netserver/cluster"
	"netserver/internal/control"
	"netserver/internal/metric"
)

// ClusterOverview returns what a server knows of its cluster, for the control
// socket. running tells that what shares is there.
func ClusterOverview(s *cluster.Status, running bool) *control.Cluster {
	c := &control.Cluster{
		Name: s.Name, Running: running, StoreUp: s.Up && running, Synced: s.Synced, Errors: s.Errors,
		Sources: s.Sources, Bans: s.Bans, Targets: s.Targets, Dropped: s.Dropped, Sent: s.Sent, Epoch: s.Epoch, Nodes: []control.Node{},
	}
	if c.Errors == nil {
		c.Errors = make(map[string]uint64)
	}
	known := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.Round(0)
		return &t
	}
	c.Since, c.Exchanged = known(s.Since), known(s.Exchanged)
	for _, n := range s.Nodes {
		row := control.Node{
			Name: n.Name, Host: n.Host, PID: n.PID, Version: n.Version, Ports: n.Ports, Clients: n.Clients, State: control.NodeStarting,
			Since: n.Since, Seen: InSeconds(n.Seen), ClockOff: InSeconds(n.Clock),
		}
		switch {
		case n.Draining:
			row.State = control.NodeDraining
		case n.Ready:
			row.State = control.NodeReady
		}
		if row.Ports == nil {
			row.Ports = []string{}
		}
		c.Nodes = append(c.Nodes, row)
	}
	return c
}

// AddClusterMetrics adds what is counted of the cluster.
func AddClusterMetrics(set *metric.Set, s *cluster.Status, now time.Time) {
	up := 0.0
	if s.Up {
		up = 1
	}
	set.Add(metric.ClusterUp, up)
	set.Add(metric.ClusterNodes, float64(len(s.Nodes)))
	set.Add(metric.ClusterSources, float64(s.Sources))
	set.Add(metric.ClusterTargets, float64(s.Targets))
	set.Add(metric.ClusterSent, float64(s.Sent))
	if !s.Exchanged.IsZero() {
		set.Add(metric.ClusterExchange, max(0, now.Sub(s.Exchanged).Seconds()))
	}
	for kind, n := range s.Errors {
		set.Add(metric.ClusterErrors, float64(n), kind)
	}
}
