package admit

import (
	"testing"
	"time"
)

const (
	inTime  = int64(100 * time.Microsecond)
	tooLate = int64(3 * time.Millisecond)
)

// Where ticks come late the limits are halved, and stay so the longer the
// sooner they come late again once they are whole.
func TestPaceNarrows(t *testing.T) {
	var p pace
	if n := p.times(8); n != 8 {
		t.Fatalf("at first %d", n)
	}
	span := 0
	for round := range 5 {
		p.tick(8, 8, tooLate, false)
		if n := p.times(8); n != 4 {
			t.Fatalf("round %d: %d after a late tick", round, n)
		}
		n := 0
		for p.times(8) == 4 {
			p.tick(8, 8, inTime, false)
			if n++; n > 2*paceNarrowest {
				t.Fatal("narrow for ever")
			}
		}
		if n <= span {
			t.Errorf("round %d: narrow for %d ticks, the time before for %d", round, n, span)
		}
		span = n
	}
	for range 4*span + 1 {
		p.tick(16, 8, inTime, false)
	}
	p.tick(8, 8, tooLate, false)
	if p.narrow != paceNarrow {
		t.Errorf("after a long time in peace narrow for %d ticks", p.narrow)
	}
}

// While the CPU is idle the limits grow, and no further than paceMost; nothing
// is narrow for a source that is alone.
func TestPaceGrows(t *testing.T) {
	var p pace
	for range 1000 {
		p.tick(0, 4, inTime, false)
	}
	if n := p.times(4); n != 4*(paceUnit+paceMost)/paceUnit && n < 4*15 {
		t.Errorf("grew to %d", n)
	}
	p.tick(0, 4, tooLate, true)
	if p.narrow > 0 {
		t.Error("narrow for a source that is alone")
	}
	for range 1000 {
		p.tick(4*readyFactor, 4, inTime, false)
	}
	if n := p.times(4); n != 4 {
		t.Errorf("with a busy CPU %d", n)
	}
}
