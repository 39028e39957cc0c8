package metric

import (
	"math"
	"sync/atomic"
	"time"
)

// The buckets are those of Prometheus's native histograms: each is
// 2^(2^-Schema) times as wide as the one below, and bucket i ends at
// 2^(i*2^-Schema) seconds, included. Below them is the zero bucket.
const (
	// Schema is the resolution: eight buckets to a power of two, so that a
	// quantile is wrong by less than 5 %.
	Schema = 3
	// ZeroThreshold is the upper end of the zero bucket, in seconds: about a
	// microsecond.
	ZeroThreshold = 1.0 / (1 << 20)

	perOctave = 1 << Schema
	// MinBucket and MaxBucket are the first and the last bucket. What is longer
	// than 2^22 seconds, 48 days, is in the last one.
	MinBucket  = -20*perOctave + 1
	MaxBucket  = 22 * perOctave
	bucketsAll = MaxBucket - MinBucket + 1
)

// bounds are the ends of the buckets between 1 and 2, as the lowest bits of a
// float64: 2^(0/8) to 2^(7/8).
var bounds = [perOctave]uint64{
	0x0000000000000, 0x172b83c7d517b, 0x306fe0a31b715, 0x4bfdad5362a27,
	0x6a09e667f3bcd, 0x8ace5422aa0db, 0xae89f995ad3ad, 0xd5818dcfba487,
}

// A Histogram counts durations. The zero value is empty. Its methods may be
// called at any time, from any goroutine; none of them allocates but Sparse.
type Histogram struct {
	zero    atomic.Uint64
	sum     atomic.Uint64 // in microseconds: nanoseconds of 100,000 clients would not fit for long
	buckets [bucketsAll]atomic.Uint64
}

// Observe counts d.
func (h *Histogram) Observe(d time.Duration) {
	if d <= 0 {
		h.zero.Add(1)
		return
	}
	h.sum.Add(uint64(d+500) / 1000)
	if i := bucketOf(d.Seconds()); i >= MinBucket {
		h.buckets[i-MinBucket].Add(1)
	} else {
		h.zero.Add(1)
	}
}

// bucketOf returns the bucket of a positive number of seconds; below MinBucket
// it is the zero bucket.
func bucketOf(v float64) int {
	bits := math.Float64bits(v)
	exp, frac := int(bits>>52)-1023, bits&(1<<52-1)
	i := 0
	if frac > bounds[perOctave/2] {
		i = perOctave/2 + 1
	}
	for i < perOctave && bounds[i] < frac {
		i++
	}
	return min(i+exp*perOctave, MaxBucket)
}

// Sparse returns what has been counted so far. What is counted meanwhile may be
// missing in a part of it.
func (h *Histogram) Sparse() Sparse {
	s := Sparse{Sum: float64(h.sum.Load()) / 1e6, Zero: h.zero.Load()}
	for i := range h.buckets {
		if n := h.buckets[i].Load(); n > 0 {
			s.Index = append(s.Index, i+MinBucket)
			s.N = append(s.N, n)
		}
	}
	return s
}
