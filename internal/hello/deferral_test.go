package hello

import (
	"testing"
	"testing/synctest"
	"time"
)

// A fakePort remembers what was asked of it.
type fakePort struct{ set []time.Duration }

func (p *fakePort) DeferAccept(d time.Duration) error {
	p.set = append(p.set, d)
	return nil
}

func (p *fakePort) last() time.Duration { return p.set[len(p.set)-1] }

// A flood of dead connections turns the deferral on, its time turns it off, and
// that is longer each time that the flood is still there.
func TestDeferral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(fakePort)
		var d Deferral
		d.Init(p, time.Second)
		// Few dead ones among others, or many over a long time, are no flood.
		for range 10 * deferDead {
			d.Took(true)
			d.Took(false)
			time.Sleep(2 * deferSpan / deferDead)
		}
		if d.now != 0 || len(p.set) != 1 {
			t.Fatalf("on with no flood: %v", p.set)
		}
		hold := time.Duration(0)
		for range 3 {
			for range deferDead + 1 {
				d.Took(true)
			}
			if p.last() != time.Second || d.now != time.Second {
				t.Fatal("not on in a flood")
			}
			if d.hold <= hold {
				t.Errorf("on for %v, the time before for %v", d.hold, hold)
			}
			hold = d.hold
			time.Sleep(hold - time.Millisecond)
			if d.Took(false); p.last() == 0 {
				t.Error("off too soon")
			}
			time.Sleep(2 * time.Millisecond)
			if d.Took(false); p.last() != 0 || d.now != 0 {
				t.Error("not off after its time")
			}
		}
		time.Sleep(4*hold + time.Second)
		for range deferDead + 1 {
			d.Took(true)
		}
		if d.hold != deferHold {
			t.Errorf("after a long peace on for %v", d.hold)
		}
		n := len(p.set)
		for range deferDead + 1 {
			d.Took(true)
		}
		if len(p.set) != n+1 || p.last() != time.Second {
			t.Error("not on again when another process has turned it off")
		}
	})
}

// A port without the deferral has none, whatever comes.
func TestDeferralOff(t *testing.T) {
	p := new(fakePort)
	var d Deferral
	d.Init(p, 0)
	for range 2 * deferDead {
		d.Took(true)
		d.Took(false)
	}
	if len(p.set) != 1 || p.last() != 0 || d.Now() != 0 {
		t.Errorf("set: %v", p.set)
	}
}
