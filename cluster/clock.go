package cluster

import "time"

// A clock is the wall clock as this node goes by it: it never goes back, so
// that what is over stays over. It follows a step forward, as after a pause of
// the machine. Its owner holds a lock.
type clock struct {
	wall   func() time.Time
	last   time.Time // what was told last
	steady time.Time // and when
	behind bool      // the wall clock has gone back, and it was said
}

func newClock(wall func() time.Time) *clock {
	if wall == nil {
		wall = time.Now
	}
	return &clock{wall: wall, last: wall().Round(0), steady: time.Now()}
}

func (c *clock) now() time.Time {
	steady := time.Now()
	c.last, c.steady = c.last.Add(max(steady.Sub(c.steady), 0)), steady
	if w := c.wall().Round(0); w.After(c.last) {
		c.last = w
	}
	return c.last
}

// wentBack returns how far the wall clock is behind, once each time that it is
// by more than clockTold.
func (c *clock) wentBack() (by time.Duration, say bool) {
	now := c.now()
	by = now.Sub(c.wall().Round(0))
	say = by > clockTold && !c.behind
	c.behind = by > clockTold
	return by, say
}
