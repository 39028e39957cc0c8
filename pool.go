package netserver

import (
	"runtime"
	"sync/atomic"
)

// A pool runs handshakes on goroutines that are used again. A TLS handshake
// grows a fresh goroutine's stack four times, about 5 % of its CPU; these
// have grown already. The Handler gets a small stack of its own instead.
type pool struct {
	work chan *Conn
	quit chan struct{}
	idle atomic.Int64
	max  int64 // goroutines that may wait for work
}

func (p *pool) init() {
	p.work = make(chan *Conn)
	p.quit = make(chan struct{})
	p.max = int64(4 * runtime.GOMAXPROCS(0))
}

// run takes c through its stages up to the Handler. It does not wait.
func (p *pool) run(c *Conn) {
	select {
	case p.work <- c:
	default:
		go p.worker(c)
	}
}

func (p *pool) worker(c *Conn) {
	for {
		c.live(c.from)
		if p.idle.Add(1) > p.max {
			p.idle.Add(-1)
			return
		}
		select {
		case c = <-p.work:
			p.idle.Add(-1)
		case <-p.quit:
			return
		}
	}
}

// stop ends the waiting goroutines.
func (p *pool) stop() { close(p.quit) }
