package supervisor

import (
	"testing"
	"time"
)

func TestLimiterSlowsDown(t *testing.T) {
	l := limiter{perSecond: 10}
	began := time.Now()
	for range 25 {
		l.wait()
	}
	if d := time.Since(began); d < 900*time.Millisecond {
		t.Errorf("25 of 10 a second took %v", d)
	}
}
