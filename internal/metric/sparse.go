package metric

import (
	"errors"
	"fmt"
	"math"
)

// A Sparse is a histogram of which only the buckets that have something are
// listed: what a worker sends, and what is added up. An empty one is a
// histogram that has counted nothing.
type Sparse struct {
	Sum   float64  // seconds
	Zero  uint64   `json:",omitempty"` // in the zero bucket
	Index []int    `json:",omitempty"` // the buckets, in rising order
	N     []uint64 `json:",omitempty"` // what is in each
}

// MaxCount bounds what one counter or bucket of one process can have.
const MaxCount = 1 << 48

// maxSum bounds a sum of seconds.
const maxSum = 1e15

// Count returns how many were counted.
func (s *Sparse) Count() (n uint64) {
	n = s.Zero
	for _, c := range s.N {
		n += c
	}
	return n
}

// Check refuses what no Histogram can be.
func (s *Sparse) Check() error {
	if len(s.Index) != len(s.N) {
		return fmt.Errorf("%d buckets with %d numbers", len(s.Index), len(s.N))
	}
	if len(s.Index) > bucketsAll {
		return fmt.Errorf("%d buckets", len(s.Index))
	}
	last := MinBucket - 1
	for i, at := range s.Index {
		switch {
		case at <= last || at > MaxBucket:
			return fmt.Errorf("bucket %d behind %d", at, last)
		case s.N[i] > MaxCount:
			return fmt.Errorf("%d in bucket %d", s.N[i], at)
		}
		last = at
	}
	switch {
	case s.Zero > MaxCount:
		return fmt.Errorf("%d in the zero bucket", s.Zero)
	case !(s.Sum >= 0 && s.Sum <= maxSum): // also not a number
		return errors.New("a sum that seconds cannot have")
	}
	return nil
}

// Add adds another one.
func (s *Sparse) Add(o *Sparse) { s.merge(o, s.Sum+o.Sum, sum) }

// Raise makes each number at least that of o, which is the same histogram at
// another time: what was counted once stays.
func (s *Sparse) Raise(o *Sparse) {
	s.merge(o, math.Max(s.Sum, o.Sum), func(a, b uint64) uint64 { return max(a, b) })
}

// sum adds, and stays at the highest number there is instead of beginning anew.
func sum(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

func (s *Sparse) merge(o *Sparse, total float64, f func(a, b uint64) uint64) {
	s.Sum, s.Zero = total, f(s.Zero, o.Zero)
	index := make([]int, 0, max(len(s.Index), len(o.Index)))
	n := make([]uint64, 0, cap(index))
	for i, j := 0, 0; i < len(s.Index) || j < len(o.Index); {
		switch {
		case j == len(o.Index) || i < len(s.Index) && s.Index[i] < o.Index[j]:
			index, n = append(index, s.Index[i]), append(n, s.N[i])
			i++
		case i == len(s.Index) || o.Index[j] < s.Index[i]:
			index, n = append(index, o.Index[j]), append(n, o.N[j])
			j++
		default:
			index, n = append(index, s.Index[i]), append(n, f(s.N[i], o.N[j]))
			i, j = i+1, j+1
		}
	}
	s.Index, s.N = index, n
}

// Buckets returns the buckets by number.
func (s *Sparse) Buckets() map[int]uint64 {
	m := make(map[int]uint64, len(s.Index))
	for i, at := range s.Index {
		m[at] = s.N[i]
	}
	return m
}
