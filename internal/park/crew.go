package park

import (
	"runtime"
	"sync"
	"time"
)

// look is how often a Crew with work and no free goroutine looks whether its
// goroutines get on.
const look = 10 * time.Millisecond

// A Crew goes on with clients that have been woken, in the order in which they
// were: 10,000 that wake at once start no 10,000 goroutines. One of its
// goroutines that is with the same client for more than look counts as stuck,
// and another one takes its place, so that clients who block do not hold up the
// others. A Crew of one has no other: it is there so that one client goes on at
// a time.
//
// Its methods may be called concurrently.
type Crew struct {
	most  int
	alone bool // never more than one

	mu         sync.Mutex
	work       sync.Cond
	head, tail *Spot
	workers    map[*worker]struct{}
	stuck      int
	idle       int // that wait and have not been signalled
	timer      *time.Timer
	armed      bool
	closed     bool
}

// A worker is one goroutine of a Crew.
type worker struct {
	jobs, seen uint64 // begun; by the last look
	busy       bool
	stuck      bool
}

// NewCrew returns a Crew that has to be closed: of one, or of a few goroutines
// for each processor.
func NewCrew(alone bool) *Crew {
	c := &Crew{most: max(8, 4*runtime.GOMAXPROCS(0)), alone: alone, workers: make(map[*worker]struct{})}
	if alone {
		c.most = 1
	}
	c.work.L = &c.mu
	return c
}

// Most returns how many goroutines it has that are not stuck.
func (c *Crew) Most() int { return c.most }

// run has the client go on. It does not wait.
func (c *Crew) run(s *Spot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tail == nil {
		c.head = s
	} else {
		c.tail.next = s
	}
	c.tail = s
	switch {
	case c.idle > 0:
		c.idle--
		c.work.Signal()
	case len(c.workers)-c.stuck < c.most:
		c.start()
	case !c.armed && !c.alone:
		c.arm()
	}
}

func (c *Crew) start() {
	w := new(worker)
	c.workers[w] = struct{}{}
	go c.serve(w)
}

func (c *Crew) arm() {
	c.armed = true
	if c.timer == nil {
		c.timer = time.AfterFunc(look, c.check)
		return
	}
	c.timer.Reset(look)
}

// check starts goroutines in the place of those that are stuck.
func (c *Crew) check() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = false
	if c.closed || c.head == nil {
		return
	}
	for w := range c.workers {
		if w.busy && !w.stuck && w.jobs == w.seen {
			w.stuck = true
			c.stuck++
		}
		w.seen = w.jobs
	}
	for s := c.head; s != nil && len(c.workers)-c.stuck < c.most; s = s.next {
		c.start()
	}
	c.arm()
}

// serve is a goroutine.
func (c *Crew) serve(w *worker) {
	c.mu.Lock()
	defer c.leave(w) // also if a client has called runtime.Goexit
	for {
		for c.head == nil {
			if c.closed || len(c.workers)-c.stuck > c.most {
				return
			}
			c.idle++
			c.work.Wait()
		}
		s := c.head
		if c.head = s.next; c.head == nil {
			c.tail = nil
		}
		s.next = nil
		w.jobs++
		w.busy = true
		c.mu.Unlock()
		s.c.GoOn()
		c.mu.Lock()
		c.free(w)
	}
}

// free notes that w is no longer with a client.
func (c *Crew) free(w *worker) {
	w.busy = false
	if w.stuck {
		w.stuck = false
		c.stuck--
	}
}

// leave ends w.
func (c *Crew) leave(w *worker) {
	if w.busy { // its client has ended the goroutine, which does not hold mu
		c.mu.Lock()
		c.free(w)
	}
	delete(c.workers, w)
	if c.head != nil && len(c.workers)-c.stuck < c.most {
		c.start()
	}
	c.mu.Unlock()
}

// Close ends the goroutines. Nobody may be woken any more.
func (c *Crew) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.work.Broadcast()
}
