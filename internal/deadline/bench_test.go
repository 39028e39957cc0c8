package deadline

import (
	"net"
	"testing"
	"time"
)

// noDeadlines is a connection that takes no deadline, so that what limits cost
// themselves is seen.
type noDeadlines struct{ net.Conn }

func (noDeadlines) SetReadDeadline(time.Time) error  { return nil }
func (noDeadlines) SetWriteDeadline(time.Time) error { return nil }

// wait is a read that waits, and a write, with all limits.
func wait(l *Limits, nc net.Conn) {
	l.ArmRead(nc)
	l.Got()
	l.ArmWrite(nc)
	l.Active()
}

func allLimits() *Limits {
	l := new(Limits)
	l.Init(&Values{Idle: time.Minute, Write: time.Minute, Life: time.Hour, FirstRequest: time.Minute}, time.Now())
	l.Begin()
	return l
}

func TestAllocsOfTheIdleWait(t *testing.T) {
	l := allLimits()
	var nc net.Conn = noDeadlines{}
	if n := testing.AllocsPerRun(1000, func() { wait(l, nc) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkIdleWait(b *testing.B) {
	var nc net.Conn = noDeadlines{}
	for name, l := range map[string]*Limits{"none": new(Limits), "all": allLimits()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				wait(l, nc)
			}
		})
	}
}
