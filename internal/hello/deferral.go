package hello

import "time"

// A Deferral lets the kernel keep a port's connections while their clients say
// nothing, as long as many of them are dead when they are accepted. A flood of
// connections that are only reset then costs no accept: an honest client's p99
// was 3.5 ms with 256 such attackers, and 35 without. At other times every
// client is seen at once, and silent ones do not come all together when the
// kernel lets go of them: with 10,000 of those p99 was 31 ms and not 10.
//
// It belongs to the accept loop of its port.
type Deferral struct {
	port interface{ DeferAccept(time.Duration) error } // nil if it cannot be had
	most time.Duration
	now  time.Duration // in force; 0 is off

	dead  int // in the span that began at since
	since time.Time
	end   time.Time // of what is in force, or of what was last
	hold  time.Duration
}

const (
	// So many dead connections in deferSpan are a flood.
	deferDead = 64
	deferSpan = 100 * time.Millisecond
	// deferHold is how long a flood is believed to go on, as nothing is seen
	// of it; each time that it comes back soon twice as long, up to
	// deferLongest.
	deferHold    = 5 * time.Second
	deferLongest = 80 * time.Second
)

// Init prepares the deferral of a port, for so long; 0 is never. What an
// earlier process may have left in force is taken back.
func (d *Deferral) Init(port interface{ DeferAccept(time.Duration) error }, most time.Duration) {
	if err := port.DeferAccept(0); err == nil && most > 0 {
		d.port, d.most = port, most
	}
}

// Now returns for how long the kernel may keep a silent connection; 0 is not at
// all.
func (d *Deferral) Now() time.Duration { return d.now }

// Took notes a connection that was accepted.
func (d *Deferral) Took(dead bool) {
	if d.port == nil || !dead && d.now == 0 {
		return
	}
	now := time.Now()
	if d.now > 0 && now.After(d.end) {
		d.now = 0
		_ = d.port.DeferAccept(0) // the port is closed if that fails
	}
	if !dead {
		return
	}
	if now.Sub(d.since) > deferSpan {
		d.since, d.dead = now, 0
	}
	if d.dead++; d.dead < deferDead {
		return
	}
	d.dead = 0
	if d.now > 0 { // another process has taken it back
		_ = d.port.DeferAccept(d.most)
		return
	}
	if now.Sub(d.end) < 4*d.hold {
		d.hold = min(2*d.hold, deferLongest)
	} else {
		d.hold = deferHold
	}
	if d.port.DeferAccept(d.most) != nil {
		d.port = nil
		return
	}
	d.now, d.end = d.most, now.Add(d.hold)
}
