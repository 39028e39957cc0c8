package access

import (
	"reflect"
	"time"
)

// countFields returns the number of a struct's fields.
func countFields(v any) int { return reflect.TypeOf(v).NumField() }

// fastest returns the shortest of several runs of f: what is left when the
// machine is busy with something else is left out.
func fastest(f func()) time.Duration {
	best := time.Duration(1<<63 - 1)
	for range 50 {
		begin := time.Now()
		for range 20 {
			f()
		}
		best = min(best, time.Since(begin)/20)
	}
	return best
}

// fastest3 is fastest for what takes long.
func fastest3(f func()) time.Duration {
	best := time.Duration(1<<63 - 1)
	for range 3 {
		begin := time.Now()
		f()
		best = min(best, time.Since(begin))
	}
	return best
}
