package slots

import (
	"context"
	"sync"
	"testing"
	"time"
)

// The places that a client takes and gives back.
func through(g *Gate) {
	g.Opened()
	g.Enter(context.Background())
	g.Leave()
	g.Closed()
}

func TestAllocsOfPlaces(t *testing.T) {
	g := NewGate(100, 100, nil)
	if n := testing.AllocsPerRun(1000, func() { through(g) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkGate(b *testing.B) {
	for name, g := range map[string]*Gate{"unlimited": NewGate(0, 0, nil), "limited": NewGate(1000, 1000, nil)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					through(g)
				}
			})
		})
	}
}

// A handed work comes back when it is done.
type handed struct{ done chan struct{} }

// handOff hands a client to a goroutine of the pool and waits for its end.
func handOff(p *Pool[*handed], h *handed) {
	p.Run(h)
	<-h.done
}

// newPool returns a pool with a goroutine that waits for work.
func newPool(tb testing.TB) (*Pool[*handed], *handed) {
	p := NewPool(func(h *handed) { h.done <- struct{}{} })
	tb.Cleanup(p.Stop)
	h := &handed{make(chan struct{})}
	handOff(p, h)
	for end := time.Now().Add(10 * time.Second); p.idle.Load() == 0; {
		if time.Now().After(end) {
			tb.Fatal("the goroutine does not wait for more")
		}
	}
	return p, h
}

func TestAllocsOfTheHandOff(t *testing.T) {
	p, h := newPool(t)
	// Now and then the goroutine is not back in time, and a new one starts.
	if n := testing.AllocsPerRun(1000, func() { handOff(p, h) }); n >= 1 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkHandOff is what a client's change to a pooled goroutine costs,
// beside one to a goroutine of its own.
func BenchmarkHandOff(b *testing.B) {
	b.Run("pool", func(b *testing.B) {
		p, h := newPool(b)
		b.ReportAllocs()
		for b.Loop() {
			handOff(p, h)
		}
	})
	b.Run("fresh goroutine", func(b *testing.B) {
		var one sync.WaitGroup
		b.ReportAllocs()
		for b.Loop() {
			one.Add(1)
			go one.Done()
			one.Wait()
		}
	})
}
