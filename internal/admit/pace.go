package admit

import "time"

// A pace fits the limits to what the machine has left.
//
// It widens them while handshakes wait for a turn and yet the CPU is idle,
// because those that run wait for distant clients.
//
// It halves them where other programs want the CPU too, on one machine even
// the attackers: then it is the process that wants more than its share whose
// threads the kernel lets wait, with honest clients' work and all. How many
// handshakes want the CPU does not tell that, but the queue's own ticks come
// late. With 256 attackers on the same machine who send garbage after their
// hello, that made an honest client's p99 5 ms and not 31.
type pace struct {
	more   int // the limits' factor, in quarters above one
	ready  int // how many wanted the CPU of late, in sixteenths
	narrow int // ticks until the limits are whole again
	span   int // how many they were at first
	whole  int // ticks since they are
}

const (
	paceUnit = 4
	paceMost = 60 // a factor of 16

	// paceLate is later than ticks come by what handshakes do: they wait for
	// a few of them, a fraction of a millisecond each.
	paceLate = int64(time.Millisecond)
	// paceNarrow is how many ticks in time show that the CPU is our own: of
	// those of a busy machine one in ten is late. While the limits are narrow
	// fewer are, so each time that this shows too soon it takes twice as many,
	// up to paceNarrowest.
	paceNarrow    = 64
	paceNarrowest = 4096
)

// times returns the limit n at this pace.
func (p *pace) times(n int) int {
	if p.narrow > 0 {
		return max(n/2, 1)
	}
	return n * (paceUnit + p.more) / paceUnit
}

// tick takes one look at how many want the CPU, that late. It returns true if
// the limits grew.
func (p *pace) tick(ready, procs int, late int64, alone bool) bool {
	p.ready += ready - p.ready/16
	low, high := procs*16, procs*16*7/4
	if alone { // there is nobody to delay
		low, high, late = procs*16, procs*16*2, 0
	}
	switch {
	case late > paceLate:
		p.squeeze()
		return false
	case p.narrow > 0:
		p.narrow--
		return p.narrow == 0
	}
	p.whole++
	switch {
	case p.ready > high && p.more > 0:
		p.more -= 1 + p.more/8
	case p.ready < low && p.more < paceMost:
		p.more += 1 + p.more/8
		return true
	}
	return false
}

// squeeze makes the limits narrow, or keeps them so.
func (p *pace) squeeze() {
	if p.narrow == 0 {
		if p.whole < 4*p.span {
			p.span = min(2*p.span, paceNarrowest)
		} else {
			p.span = paceNarrow
		}
	}
	p.more, p.narrow, p.whole = 0, p.span, 0
}
