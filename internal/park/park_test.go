package park

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A guest is a Client of tests.
type guest struct {
	spot Spot
	end  atomic.Int64 // its deadline, in Unix nanoseconds; 0 is none
	on   func(*guest)
}

func (g *guest) Deadline(time.Time) time.Time {
	if n := g.end.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

func (g *guest) GoOn() { g.on(g) }

func newGuest(l *Lot, c *Crew, on func(*guest)) *guest {
	g := &guest{on: on}
	g.spot.Init(g, l, c, nil)
	return g
}

// A Crew of one goes on with clients in their order, one at a time.
func TestCrewOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := new(Lot), NewCrew(true)
		defer c.Close()
		var got []int // with no lock: they are one at a time
		var want []int
		for i := range 1000 {
			want = append(want, i)
			g := newGuest(l, c, func(*guest) { got = append(got, i); runtime.Gosched() })
			g.spot.Park(false, false)
			g.spot.Wake()
		}
		synctest.Wait()
		if !slices.Equal(got, want) {
			t.Errorf("in the order %v", got)
		}
	})
}

// 10,000 that wake at once have a few goroutines.
func TestCrewIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 10000
		l, c := new(Lot), NewCrew(false)
		defer c.Close()
		var busy, most, done atomic.Int32
		for range count {
			g := newGuest(l, c, func(*guest) {
				for n := busy.Add(1); ; {
					if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
						break
					}
				}
				time.Sleep(look / 10) // each gets on
				busy.Add(-1)
				done.Add(1)
			})
			g.spot.Park(false, false)
			g.spot.Wake()
		}
		time.Sleep(count * look / 10)
		synctest.Wait()
		if done.Load() != count || int(most.Load()) > c.Most() {
			t.Errorf("%d went on, %d at once; want %d, at most %d", done.Load(), most.Load(), count, c.Most())
		}
	})
}

// Clients that block have others take their goroutines' place, and these end when
// they are too many.
func TestCrewIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := new(Lot), NewCrew(false)
		free := make(chan struct{})
		for range 3 * c.Most() {
			g := newGuest(l, c, func(*guest) { <-free })
			g.spot.Park(false, false)
			g.spot.Wake()
		}
		begin, went := time.Now(), time.Duration(-1)
		g := newGuest(l, c, func(*guest) { went = time.Since(begin) })
		g.spot.Park(false, false)
		g.spot.Wake()
		time.Sleep(time.Second)
		synctest.Wait()
		if went < 0 || went > 10*look {
			t.Errorf("it went on after %v", went)
		}
		close(free)
		synctest.Wait()
		c.mu.Lock()
		if len(c.workers) > c.Most() || c.stuck != 0 {
			t.Errorf("%d goroutines are left, of which %d are stuck", len(c.workers), c.stuck)
		}
		c.mu.Unlock()
		c.Close()
		synctest.Wait()
		if len(c.workers) != 0 {
			t.Errorf("%d goroutines after Close", len(c.workers))
		}
	})
}

// A client that ends its goroutine ends no other's.
func TestCrewLosesGoroutines(t *testing.T) {
	for _, alone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l, c := new(Lot), NewCrew(alone)
			defer c.Close()
			var done atomic.Int32
			for range 100 {
				g := newGuest(l, c, func(*guest) { done.Add(1); runtime.Goexit() })
				g.spot.Park(false, false)
				g.spot.Wake()
			}
			synctest.Wait()
			if done.Load() != 100 {
				t.Errorf("%d went on", done.Load())
			}
		})
	}
}

// Deadlines wake in time and in their order, also those that have moved, and not
// those of who has left.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := new(Lot), NewCrew(true)
		defer c.Close()
		defer l.Close()
		begin := time.Now()
		var got []time.Duration
		park := func(d time.Duration) *guest {
			g := newGuest(l, c, func(*guest) { got = append(got, time.Since(begin)) })
			g.end.Store(begin.Add(d).UnixNano())
			g.spot.Park(false, false)
			return g
		}
		park(3 * time.Second)
		park(time.Second)
		gone := park(2 * time.Second)
		later := park(1500 * time.Millisecond)
		none := park(500 * time.Millisecond)
		park(4 * time.Second)
		gone.spot.Leave()
		later.end.Store(begin.Add(5 * time.Second).UnixNano()) // it is looked at in vain, and again
		none.end.Store(0)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		want := []time.Duration{time.Second, 3 * time.Second, 4 * time.Second, 5 * time.Second}
		if !slices.Equal(got, want) {
			t.Errorf("woken after %v, want %v", got, want)
		}
	})
}

// A Wake before Park, and several, count once; one after Leave does nothing.
func TestWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := new(Lot), NewCrew(false)
		defer c.Close()
		n := 0
		g := newGuest(l, c, func(*guest) { n++ })
		g.spot.Wake()
		g.spot.Wake()
		synctest.Wait()
		if n != 0 {
			t.Error("woken before it was parked")
		}
		g.spot.Park(false, false)
		synctest.Wait()
		g.spot.Park(false, false)
		g.spot.Wake()
		g.spot.Wake() // is for the next Park
		synctest.Wait()
		if n != 2 {
			t.Errorf("went on %d times", n)
		}
		g.spot.Leave()
		g.spot.Wake()
		synctest.Wait()
		if n != 2 {
			t.Errorf("went on %d times, once after it has left", n)
		}
	})
}

// Wakes from many sides: a client is on one goroutine at a time, and no Wake is
// lost.
func TestWakesRace(t *testing.T) {
	l, c := new(Lot), NewCrew(false)
	defer c.Close()
	var sent, seen atomic.Int64
	var busy atomic.Int32
	g := newGuest(l, c, func(g *guest) {
		if busy.Add(1) != 1 {
			t.Error("two at a time")
		}
		seen.Store(sent.Load())
		busy.Add(-1)
		g.spot.Park(false, false)
	})
	g.spot.Park(false, false)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 2000 {
				sent.Add(1)
				g.spot.Wake()
			}
		})
	}
	all.Wait()
	for end := time.Now().Add(20 * time.Second); seen.Load() != 16000; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("a wake was lost: %d of %d", seen.Load(), sent.Load())
		}
	}
}

// Another Crew can go on.
func TestMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, one, other := new(Lot), NewCrew(true), NewCrew(false)
		defer one.Close()
		defer other.Close()
		moved := false
		g := newGuest(l, one, nil)
		g.on = func(g *guest) {
			if g.spot.Crew() == one {
				g.spot.Move(other)
				return
			}
			moved = true
		}
		g.spot.Park(false, false)
		g.spot.Wake()
		synctest.Wait()
		if !moved {
			t.Error("it did not go on")
		}
	})
}
