package admit

import "time"

// A pace widens the limits while handshakes wait for a turn and yet the CPU is
// idle, because those that run wait for distant clients.
//
// That few handshakes want the CPU does not tell that it is idle: other
// programs may have it, on one machine even the attackers. But then the
// queue's own ticks come late. Without that second look, 256 attackers on the
// same machine made the honest client's p99 142 to 285 ms instead of 11 to 42.
type pace struct {
	more  int   // the limits' factor, in quarters above one
	ready int   // how many wanted the CPU of late, in sixteenths
	late  int64 // how late ticks came of late, in ns
}

const (
	paceUnit = 4
	paceMost = 60 // a factor of 16

	paceLate = int64(200 * time.Microsecond) // later than timers are anyway
)

// times returns the limit n at this pace.
func (p *pace) times(n int) int { return n * (paceUnit + p.more) / paceUnit }

// tick takes one look at how many want the CPU, that late. It returns true if
// the limits grew.
func (p *pace) tick(ready, procs int, late int64, alone bool) bool {
	p.ready += ready - p.ready/16
	p.late += (late - p.late) / 16
	low, high := procs*16, procs*16*7/4
	busy := p.late > paceLate
	if alone { // there is nobody to delay
		low, high, busy = procs*16, procs*16*2, false
	}
	switch {
	case (p.ready > high || busy) && p.more > 0:
		p.more -= 1 + p.more/8
	case p.ready < low && !busy && p.more < paceMost:
		p.more += 1 + p.more/8
		return true
	}
	return false
}
