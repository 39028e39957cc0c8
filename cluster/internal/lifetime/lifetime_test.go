package lifetime

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func TestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e Ends
		start := time.Now()
		for _, tt := range []struct {
			rev  uint64
			age  time.Duration
			want time.Duration // from start
		}{
			{1, 2 * time.Second, 8 * time.Second},
			{1, time.Hour, 8 * time.Second},     // seen before: a clock has jumped
			{2, -time.Hour, 10 * time.Second},   // from the future
			{3, time.Minute, -50 * time.Second}, // over when first seen
		} {
			if got := e.At("x", tt.rev, 10*time.Second, tt.age).Sub(start); got != tt.want {
				t.Errorf("revision %d of age %v ends after %v, want %v", tt.rev, tt.age, got, tt.want)
			}
		}
		e.Forget("x")
		if got := e.At("x", 3, time.Second, 0).Sub(start); got != time.Second {
			t.Errorf("a forgotten value ends after %v", got)
		}
	})
}

func TestEndsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e Ends
		for i := range maxSeen + 10 {
			e.At(strconv.Itoa(i), 1, time.Second, 0)
		}
		if len(e.seen) != maxSeen {
			t.Errorf("%d are remembered", len(e.seen))
		}
		time.Sleep(2 * time.Second)
		e.At("new", 1, time.Second, 0)
		if len(e.seen) != 1 {
			t.Errorf("%d are remembered when all but one are over", len(e.seen))
		}
	})
}
