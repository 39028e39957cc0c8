package slots

import (
	"runtime"
	"sync/atomic"
)

// A Pool runs handshakes on goroutines that are used again. A TLS handshake
// grows a fresh goroutine's stack four times, about 5 % of its CPU; these
// have grown already.
type Pool[T any] struct {
	do   func(T)
	work chan T
	quit chan struct{}
	idle atomic.Int64
	max  int64 // goroutines that may wait for work
}

// NewPool returns a Pool whose goroutines call do.
func NewPool[T any](do func(T)) *Pool[T] {
	return &Pool[T]{
		do:   do,
		work: make(chan T),
		quit: make(chan struct{}),
		max:  int64(4 * runtime.GOMAXPROCS(0)),
	}
}

// Run calls do with v on one of the pool's goroutines. It does not wait.
func (p *Pool[T]) Run(v T) {
	select {
	case p.work <- v:
	default:
		go p.worker(v)
	}
}

func (p *Pool[T]) worker(v T) {
	for {
		p.do(v)
		if p.idle.Add(1) > p.max {
			p.idle.Add(-1)
			return
		}
		select {
		case v = <-p.work:
			p.idle.Add(-1)
		case <-p.quit:
			return
		}
	}
}

// Stop ends the waiting goroutines.
func (p *Pool[T]) Stop() { close(p.quit) }
