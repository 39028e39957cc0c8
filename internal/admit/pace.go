package admit

import "time"

// A pace adapts the limits to the machine's load.
//
// It raises them while handshakes wait for a turn although the CPU is idle,
// because the running ones wait for distant clients.
//
// It halves them while other programs want the CPU too, perhaps attackers on
// the same machine: then the kernel delays the threads of a process that wants
// more than its share, honest clients' work included. The number of handshakes
// that want the CPU does not show this, but late ticks of the queue do. With
// 256 attackers on the same machine who send garbage after their hello, this
// lowered an honest client's p99 from 31 ms to 5 ms.
type pace struct {
	more   int // the limits' factor, in quarters above one
	ready  int // recent number that wanted the CPU, in sixteenths
	narrow int // ticks until the limits are restored
	span   int // initial value of narrow
	whole  int // ticks since the limits were restored
}

const (
	paceUnit = 4
	paceMost = 60 // a factor of 16

	// paceLate exceeds the delay of ticks by handshakes alone: a tick waits
	// for a few of them, a fraction of a millisecond each.
	paceLate = int64(time.Millisecond)
	// paceNarrow is how many punctual ticks show that the CPU is ours alone:
	// on a busy machine one in ten is late. Fewer are late while the limits
	// are narrow, so each time this conclusion was premature, twice as many
	// are required, up to paceNarrowest.
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

// tick samples how many want the CPU, and how late the tick is. It returns
// true if the limits grew.
func (p *pace) tick(ready, procs int, late int64, alone bool) bool {
	p.ready += ready - p.ready/16
	low, high := procs*16, procs*16*7/4
	if alone { // there are no others to delay
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

// squeeze narrows the limits, or keeps them narrow.
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
