package supervisor

import (
	"testing"
	"time"
)

func TestScaleWants(t *testing.T) {
	s := Scale{Min: 3, Max: 8, MinSpare: 2, MaxSpare: 4, Clients: 1, Dynamic: true, Surplus: 10 * time.Second, MinLife: 10 * time.Second}
	long, short := time.Minute, time.Second
	for _, tc := range []struct {
		c          population
		start, end int
	}{
		{population{}, 3, 0},
		{population{waiting: 3}, 0, 0},
		{population{waiting: 2}, 1, 0},
		{population{waiting: 2, busy: 1}, 0, 0},
		{population{waiting: 1, busy: 2}, 1, 0},
		{population{waiting: 1, starting: 1, busy: 2}, 0, 0},
		{population{waiting: 0, busy: 7}, 1, 0},
		{population{waiting: 0, busy: 8}, 0, 0},
		{population{waiting: 2, busy: 8, sinceLook: short}, 0, 2}, // TTOU
		{population{waiting: 6, busy: 1, sinceLook: long, sinceStart: long}, 0, 2},
		{population{waiting: 6, busy: 1, sinceLook: short, sinceStart: long}, 0, 0},
		{population{waiting: 6, busy: 1, sinceLook: long, sinceStart: short}, 0, 0},
		{population{waiting: 4, busy: 1, sinceLook: long, sinceStart: long}, 0, 0},
	} {
		if start, end := s.want(tc.c); start != tc.start || end != tc.end {
			t.Errorf("%+v: start %d, end %d", tc, start, end)
		}
	}
	fixed := Scale{Min: 4, Max: 4, Clients: 1}
	if start, end := fixed.want(population{busy: 4, waiting: 2}); start != 0 || end != 2 {
		t.Errorf("start %d, end %d of a fixed number", start, end)
	}
}

// Whatever the population, the rules keep the bounds and never start and end at
// once.
func TestScaleKeepsBounds(t *testing.T) {
	for _, s := range []Scale{
		{Min: 1, Max: 1, MinSpare: 1, MaxSpare: 1, Dynamic: true},
		{Min: 3, Max: 8, MinSpare: 2, MaxSpare: 4, Dynamic: true},
		{Min: 4, Max: 4},
	} {
		for i := range 12 * 12 * 12 {
			c := population{waiting: i % 12, busy: i / 12 % 12, starting: i / 144, sinceLook: time.Hour, sinceStart: time.Hour}
			start, end := s.want(c)
			total := c.waiting + c.busy + c.starting
			if start < 0 || end < 0 || start > 0 && end > 0 || start > 0 && total+start > s.Max || end > 0 && total-end < s.Min {
				t.Fatalf("%+v, %+v: start %d, end %d", s, c, start, end)
			}
		}
	}
}

func TestOneCPUForEach(t *testing.T) {
	for _, tc := range []struct {
		s    Scale
		want bool
	}{
		{Scale{Min: 5, Max: 50, Clients: 1}, true},
		{Scale{Min: 8, Max: 8, Clients: 1}, true},
		{Scale{Min: 5, Max: 7, Clients: 1}, false}, // processors would idle
		{Scale{Min: 1, Max: 1, Clients: 1}, false}, // Single
		{Scale{Min: 8, Max: 8, Clients: 2}, false},
		{Scale{Min: 1, Max: 1}, false},
	} {
		if got := tc.s.oneCPU(8); got != tc.want {
			t.Errorf("%+v: %v", tc.s, got)
		}
	}
}
