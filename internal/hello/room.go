package hello

import (
	"container/heap"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// A Room is where the clients of TLS ports wait until their hello is whole: as
// bare sockets, with no goroutine and no TLS state. One goroutine looks
// after them all. With a goroutine for each, a flood whose hellos come at once
// made hundreds of them runnable, and everybody else waited behind those.
//
// Its methods may be called concurrently.
type Room struct {
	poll *poller

	mu      sync.Mutex
	waiters map[uint64]*waiter // by the client's number
	ends    waiterHeap
	timer   *time.Timer
}

// A waiter is a client that waits.
type waiter struct {
	c     Client
	nc    net.Conn
	begun bool      // part of its hello is there
	end   time.Time // when it is cut; zero is never
	why   error     // what that means
	at    int       // its place in the heap, plus one; 0 is none
}

// NewRoom returns a Room whose Run is to be called. It fails where a goroutine
// must wait for each client.
func NewRoom() (*Room, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	return &Room{poll: p, waiters: make(map[uint64]*waiter)}, nil
}

// Enter takes in a client whose hello is not whole, and of which there is as
// much as state says. It reports whether that worked: then the client's Heard is
// called, possibly before Enter returns. A nil Room takes nobody.
func (r *Room) Enter(c Client, nc net.Conn, state State) bool {
	if r == nil || !Bare(nc) {
		return false
	}
	w := &waiter{c: c, nc: nc, begun: state.Begun()}
	w.end, w.why = deadlineOf(c, nc, w.begun)
	r.mu.Lock()
	r.waiters[c.ID()] = w
	r.setEnd(w)
	r.mu.Unlock()
	err := r.poll.add(nc, c.ID(), int(state.Missing))
	if (err == nil && c.Cause() == nil) || !r.Leave(c.ID()) {
		return true
	}
	why := c.Cause()
	if why == nil {
		return false // the system has no room for it: it waits as others would
	}
	c.Heard(why) // it was cut before it was here to be told
	return true
}

// Leave takes a client out. It reports whether it was there: then its Heard is
// not called any more, and the caller, and nobody else, has to see to it.
func (r *Room) Leave(id uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.waiters[id]
	if w == nil {
		return false
	}
	r.drop(w)
	return true
}

// Look reports whether a client is here, whether part of its hello is, and when
// it is cut; zero is never. A nil Room has nobody.
func (r *Room) Look(id uint64) (end time.Time, begun, here bool) {
	if r == nil {
		return end, false, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.waiters[id]
	if w == nil {
		return end, false, false
	}
	return w.end, w.begun, true
}

func (r *Room) drop(w *waiter) {
	delete(r.waiters, w.c.ID())
	if w.at > 0 {
		heap.Remove(&r.ends, w.at-1)
	}
}

// Run looks after the clients until the Room is closed.
func (r *Room) Run() {
	for {
		found, err := r.poll.wait()
		if err != nil {
			return
		}
		for _, f := range found {
			r.mu.Lock()
			w := r.waiters[f.id]
			r.mu.Unlock()
			if w != nil {
				r.look(w, f.left)
			}
		}
	}
}

// A found client has something, or has left.
type found struct {
	id   uint64
	left bool
}

// errHalf ends a client that left in its hello.
var errHalf = fmt.Errorf("TLS handshake: the client left in its hello: %w", io.ErrUnexpectedEOF)

// look sees what there is of a client's hello. left tells that no more comes.
func (r *Room) look(w *waiter, left bool) {
	c := w.c
	state := peek(w.nc, c.Most())
	err := state.Err
	if err == nil && state.Missing > 0 && left {
		err = errHalf
	}
	if err == nil && state.Missing > 0 {
		if state.Begun() && !w.begun {
			r.mu.Lock()
			w.begun = true
			if r.waiters[c.ID()] == w {
				w.end, w.why = deadlineOf(c, w.nc, true)
				r.setEnd(w)
			}
			r.mu.Unlock()
		}
		err = r.poll.again(w.nc, c.ID(), int(state.Missing))
		if err == nil {
			return
		}
	}
	if !r.Leave(c.ID()) {
		return
	}
	if err == nil {
		err = r.poll.done(w.nc, w.begun)
	}
	c.Heard(err)
}

// setEnd puts w where its end belongs among the others.
func (r *Room) setEnd(w *waiter) {
	switch {
	case w.at > 0 && w.end.IsZero():
		heap.Remove(&r.ends, w.at-1)
	case w.at > 0:
		heap.Fix(&r.ends, w.at-1)
	case !w.end.IsZero():
		heap.Push(&r.ends, w)
	}
	if w.at == 1 {
		r.arm(time.Until(w.end))
	}
}

func (r *Room) arm(d time.Duration) {
	if r.timer == nil {
		r.timer = time.AfterFunc(d, r.expire)
		return
	}
	r.timer.Reset(d)
}

// expire cuts those whose time is over, one after the other: 10,000 goroutines
// that all end at one moment would be felt.
func (r *Room) expire() {
	for {
		r.mu.Lock()
		if len(r.ends) == 0 {
			r.mu.Unlock()
			return
		}
		w := r.ends[0]
		if d := time.Until(w.end); d > 0 {
			r.arm(d)
			r.mu.Unlock()
			return
		}
		r.drop(w)
		r.mu.Unlock()
		why := w.why
		if why == errEnough {
			why = r.poll.done(w.nc, w.begun)
		}
		w.c.Heard(why)
	}
}

// Close ends Run. Nobody may be in the Room any more. A nil Room is closed.
func (r *Room) Close() {
	if r == nil {
		return
	}
	r.mu.Lock()
	if r.timer != nil {
		r.timer.Stop()
	}
	r.mu.Unlock()
	r.poll.close()
}

// A waiterHeap has the waiter whose end is next at its top.
type waiterHeap []*waiter

func (h waiterHeap) Len() int           { return len(h) }
func (h waiterHeap) Less(i, j int) bool { return h[i].end.Before(h[j].end) }
func (h waiterHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i+1, j+1
}

// Push and Pop are for package heap.
func (h *waiterHeap) Push(x any) {
	w := x.(*waiter)
	*h = append(*h, w)
	w.at = len(*h)
}

func (h *waiterHeap) Pop() any {
	last := len(*h) - 1
	w := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	w.at = 0
	return w
}
