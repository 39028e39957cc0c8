package honest

import (
	"math"
	"slices"
	"time"
)

// Quantiles are what is told of many durations. All are zero if there were
// none.
type Quantiles struct{ P50, P90, P99, Max time.Duration }

// QuantilesOf sorts d and returns its quantiles, by nearest rank.
func QuantilesOf(d []time.Duration) Quantiles {
	if len(d) == 0 {
		return Quantiles{}
	}
	slices.Sort(d)
	at := func(q float64) time.Duration {
		return d[max(0, int(math.Ceil(q*float64(len(d))))-1)]
	}
	return Quantiles{P50: at(0.5), P90: at(0.9), P99: at(0.99), Max: d[len(d)-1]}
}
