package stats

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Median returns the middle one, or the mean of the middle two; 0 of none.
func Median[T ~int64 | ~float64](v []T) T {
	if len(v) == 0 {
		return 0
	}
	v = slices.Clone(v)
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// MedianOf returns the median of a figure of each item.
func MedianOf[S any, T ~int64 | ~float64](all []S, figure func(S) T) T {
	var v []T
	for _, one := range all {
		v = append(v, figure(one))
	}
	return Median(v)
}

// Spread returns how far the values lie apart: half of the distance from the
// smallest to the largest, as a share of the median; 0 of fewer than two.
func Spread(v []float64) float64 {
	m := Median(v)
	if len(v) < 2 || m == 0 {
		return 0
	}
	return (slices.Max(v) - slices.Min(v)) / 2 / math.Abs(m)
}

// Millis is a latency in milliseconds with three digits that mean something.
func Millis(d time.Duration) string { return Digits(float64(d) / 1e6) }

// Digits is a figure with three digits that mean something.
func Digits(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a < 0.1:
		return fmt.Sprintf("%.3f", v)
	case a < 10:
		return fmt.Sprintf("%.2f", v)
	case a < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// FirstLine returns the first line of a text.
func FirstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
