package deadline

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// What ends a client, and when, can be asked at any time.
func TestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		begin := time.Now()
		var none Limits
		none.Init(&Values{Write: time.Second}, begin)
		if e := none.Ends(); e != (Ends{}) {
			t.Errorf("without limits: %+v", e)
		}
		var l Limits
		l.Init(&Values{Idle: time.Minute, Life: time.Hour, FirstRequest: 10 * time.Second}, begin)
		after := func(t time.Time) time.Duration {
			if t.IsZero() {
				return -1
			}
			return t.Sub(begin)
		}
		look := func(idle, life, first, read, write time.Duration) {
			t.Helper()
			e := l.Ends()
			got := [...]time.Duration{after(e.Idle), after(e.Life), after(e.FirstRequest), after(e.Read), after(e.Write)}
			if want := [...]time.Duration{idle, life, first, read, write}; got != want {
				t.Errorf("%v after accept the ends are %v, not %v", time.Since(begin), got, want)
			}
		}
		look(time.Minute, time.Hour, -1, -1, -1)
		time.Sleep(2 * time.Second)
		l.Begin()
		look(time.Minute, time.Hour, -1, -1, -1) // nothing waits for the request yet
		l.ArmRead(a)
		look(time.Minute, time.Hour, 12*time.Second, -1, -1)
		time.Sleep(time.Second)
		l.Got()
		look(63*time.Second, time.Hour, -1, -1, -1)
		l.SetRead(a, begin.Add(20*time.Second))
		l.SetWrite(a, begin.Add(30*time.Second))
		look(63*time.Second, time.Hour, -1, 20*time.Second, 30*time.Second)
		l.Off(a)
		look(-1, -1, -1, -1, -1)
	})
}
