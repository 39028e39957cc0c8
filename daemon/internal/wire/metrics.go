package wire

import (
	"encoding/json"
	"fmt"

	"netserver"
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

// MaxSeries is how many series a worker with so many ports may have: those of
// the server, and those that each port has at the most.
func MaxSeries(ports int) int { return 512 + 64*ports }

// takeMetrics takes what a worker has counted beside outcomes: families of the
// table that workers send, of ports that it has.
func takeMetrics(s *Peer, from, to *Message) error {
	if len(from.Metrics) == 0 || len(from.Metrics) > maxSamples {
		return fmt.Errorf("%d samples", len(from.Metrics))
	}
	to.Metrics = from.Metrics
	limits := limitKeys()
	for i := range to.Metrics {
		if err := to.Metrics[i].Check(s.Ports, limits); err != nil {
			return err
		}
	}
	return nil
}

// limitKeys returns what the label limit can be.
func limitKeys() []string { return bridge.Of(new(netserver.Server).Monitor()).LimitKeys() }

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
