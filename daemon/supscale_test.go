package daemon

import (
	"testing"
	"time"
)

func TestScaleWants(t *testing.T) {
	s := scale{min: 3, max: 8, minSpare: 2, maxSpare: 4, clients: 1, dynamic: true, surplus: 10 * time.Second, minLife: 10 * time.Second}
	long, short := time.Minute, time.Second
	for _, tc := range []struct {
		c          census
		start, end int
	}{
		{census{}, 3, 0},
		{census{waiting: 3}, 0, 0},
		{census{waiting: 2}, 1, 0},
		{census{waiting: 2, busy: 1}, 0, 0},
		{census{waiting: 1, busy: 2}, 1, 0},
		{census{waiting: 1, starting: 1, busy: 2}, 0, 0},
		{census{waiting: 0, busy: 7}, 1, 0},
		{census{waiting: 0, busy: 8}, 0, 0},
		{census{waiting: 2, busy: 8, sinceLook: short}, 0, 2}, // TTOU
		{census{waiting: 6, busy: 1, sinceLook: long, sinceStart: long}, 0, 2},
		{census{waiting: 6, busy: 1, sinceLook: short, sinceStart: long}, 0, 0},
		{census{waiting: 6, busy: 1, sinceLook: long, sinceStart: short}, 0, 0},
		{census{waiting: 4, busy: 1, sinceLook: long, sinceStart: long}, 0, 0},
	} {
		if start, end := s.want(tc.c); start != tc.start || end != tc.end {
			t.Errorf("%+v: start %d, end %d", tc, start, end)
		}
	}
	fixed := scale{min: 4, max: 4, clients: 1}
	if start, end := fixed.want(census{busy: 4, waiting: 2}); start != 0 || end != 2 {
		t.Errorf("start %d, end %d of a fixed number", start, end)
	}
}

// Whatever the census, the rules keep the bounds and never start and end at
// once.
func TestScaleKeepsBounds(t *testing.T) {
	for _, s := range []scale{
		{min: 1, max: 1, minSpare: 1, maxSpare: 1, dynamic: true},
		{min: 3, max: 8, minSpare: 2, maxSpare: 4, dynamic: true},
		{min: 4, max: 4},
	} {
		for i := range 12 * 12 * 12 {
			c := census{waiting: i % 12, busy: i / 12 % 12, starting: i / 144, sinceLook: time.Hour, sinceStart: time.Hour}
			start, end := s.want(c)
			total := c.waiting + c.busy + c.starting
			if start < 0 || end < 0 || start > 0 && end > 0 || start > 0 && total+start > s.max || end > 0 && total-end < s.min {
				t.Fatalf("%+v, %+v: start %d, end %d", s, c, start, end)
			}
		}
	}
}
