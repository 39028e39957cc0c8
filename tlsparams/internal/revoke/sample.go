package revoke

import "time"

// A sample lets through so many lines in a while, and counts the others:
// clients decide how many questions are asked. The caller locks it.
type sample struct {
	since   time.Time
	passed  int
	dropped int
}

const (
	sampleLines  = 20
	sampleWindow = time.Minute
)

// take tells whether a line may be logged now, and how many were not since the
// last one that was.
func (s *sample) take(now time.Time) (ok bool, dropped int) {
	if now.Sub(s.since) >= sampleWindow || now.Before(s.since) {
		s.since, s.passed = now, 0
	}
	if s.passed >= sampleLines {
		s.dropped++
		return false, 0
	}
	s.passed++
	dropped, s.dropped = s.dropped, 0
	return true, dropped
}
