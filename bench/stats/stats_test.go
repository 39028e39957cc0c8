package stats

import (
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		v            []float64
		want, spread float64
	}{{nil, 0, 0}, {[]float64{3}, 3, 0}, {[]float64{9, 1}, 5, 0.8}, {[]float64{9, 1, 2}, 2, 2}} {
		if got := Median(tt.v); got != tt.want {
			t.Errorf("median of %v is %v", tt.v, got)
		}
		if got := Spread(tt.v); got != tt.spread {
			t.Errorf("spread of %v is %v", tt.v, got)
		}
	}
}

func TestDigits(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.01234: "0.012", 1.234: "1.23", -12.34: "-12.3", 1234.5: "1234"} {
		if got := Digits(v); got != want {
			t.Errorf("%v is written %q, want %q", v, got, want)
		}
	}
	if got := Millis(1500 * time.Microsecond); got != "1.50" {
		t.Error(got)
	}
}
