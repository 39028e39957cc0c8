package wire

import (
	"testing"
	"time"
)

func TestLimiterSlowsDown(t *testing.T) {
	l := Limiter{PerSecond: 10}
	began := time.Now()
	for range 25 {
		l.Wait()
	}
	if d := time.Since(began); d < 900*time.Millisecond {
		t.Errorf("25 of 10 a second took %v", d)
	}
}
