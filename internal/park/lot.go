package park

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"netserver/internal/poll"
)

// A Client is who waits in a Spot.
type Client interface {
	// Deadline returns when to wake it if nothing else does; zero is never. It
	// may be called at any time, and must not wait.
	Deadline(now time.Time) time.Time
	// GoOn is called on a goroutine of its Crew when it has been woken. By its
	// end the client is parked again or has left.
	GoOn()
}

// A Lot is where clients wait. One goroutine looks after them all. Its methods
// may be called concurrently.
type Lot struct {
	poll *poll.Poller // nil where there is none

	mu    sync.Mutex
	spots []*Spot
	free  []uint32
	gen   uint32
	ends  ends
	timer *time.Timer
}

// NewLot returns a Lot whose Run is to be called, and that has to be closed.
func NewLot() *Lot {
	p, err := poll.New()
	if err != nil {
		p = nil
	}
	return &Lot{poll: p}
}

// Polls reports whether clients can be woken by their sockets here.
func (l *Lot) Polls() bool { return l.poll != nil }

// Run looks after the clients until the Lot is closed.
func (l *Lot) Run() {
	if l.poll == nil {
		return
	}
	var woken []*Spot
	for {
		found, err := l.poll.Wait()
		if err != nil {
			return
		}
		woken = woken[:0]
		l.mu.Lock()
		for _, f := range found {
			if at := uint32(f); int(at) < len(l.spots) {
				if s := l.spots[at]; s != nil && s.gen == uint32(f>>32) {
					woken = append(woken, s)
				}
			}
		}
		l.mu.Unlock()
		for i, s := range woken {
			s.Wake()
			woken[i] = nil
		}
	}
}

// Close ends Run. Nobody may be in the Lot any more.
func (l *Lot) Close() {
	l.mu.Lock()
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	if l.poll != nil {
		l.poll.Close()
	}
}

// enter gives s its place.
func (l *Lot) enter(s *Spot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.free); n > 0 {
		s.slot = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		s.slot = uint32(len(l.spots))
		l.spots = append(l.spots, nil)
	}
	l.gen++
	s.gen = l.gen
	l.spots[s.slot] = s
}

// setEnd has expire look at s in time. An earlier look stays: it finds out.
func (l *Lot) setEnd(s *Spot, end time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case s.at > 0 && !end.Before(s.end):
		return
	case s.at > 0:
		s.end = end
		heap.Fix(&l.ends, int(s.at)-1)
	default:
		s.end = end
		heap.Push(&l.ends, s)
	}
	if s.at == 1 {
		l.arm(time.Until(end))
	}
}

func (l *Lot) arm(d time.Duration) {
	if l.timer == nil {
		l.timer = time.AfterFunc(d, l.expire)
		return
	}
	l.timer.Reset(d)
}

// expire wakes those whose time is over.
func (l *Lot) expire() {
	for {
		l.mu.Lock()
		if len(l.ends) == 0 {
			l.mu.Unlock()
			return
		}
		s := l.ends[0]
		if d := time.Until(s.end); d > 0 {
			l.arm(d)
			l.mu.Unlock()
			return
		}
		heap.Pop(&l.ends)
		l.mu.Unlock()
		if s.state.Load() != parked {
			continue // it asks again when it parks
		}
		now := time.Now()
		switch end := s.c.Deadline(now); {
		case end.IsZero():
		case end.After(now):
			l.setEnd(s, end)
		default:
			s.Wake()
		}
	}
}

// The states of a Spot.
const (
	running = iota // a goroutine has the client, or will
	woken          // and something has happened meanwhile
	parked
	gone
)

// A Spot is a client's place. It is in use from its Init to its Leave.
type Spot struct {
	c      Client
	lot    *Lot
	crew   *Crew
	socket syscall.RawConn // that wakes it; nil for none
	next   *Spot           // in the Crew's queue
	end    time.Time       // when expire looks at it, if at > 0
	at     int32           // its place in the heap, plus one
	slot   uint32
	gen    uint32
	known  bool // the poller knows its socket
	beside *beside
	state  atomic.Uint32
}

// Init prepares the Spot of c, whom crew is to go on with. socket wakes it; nil
// is none.
func (s *Spot) Init(c Client, lot *Lot, crew *Crew, socket syscall.RawConn) {
	s.c, s.lot, s.crew, s.socket = c, lot, crew, socket
	if socket != nil {
		lot.enter(s)
	}
}

// A beside is a second socket that wakes a client.
type beside struct {
	socket syscall.RawConn
	known  bool
}

// Beside has the input of another socket wake the client too, in addition to
// that of Init, which must not be nil. It is the same one each time, and is to be
// closed by about Leave.
func (s *Spot) Beside(socket syscall.RawConn) {
	if s.beside == nil {
		s.beside = &beside{socket: socket}
	}
}

// Polled reports whether a socket wakes the client.
func (s *Spot) Polled() bool { return s.socket != nil }

// Parked reports whether the client waits at this moment, with no goroutine. It
// may be called at any time.
func (s *Spot) Parked() bool { return s.state.Load() == parked }

// Crew returns who goes on with the client.
func (s *Spot) Crew() *Crew { return s.crew }

// Park has c wait until its socket can be read or written, as in and out ask,
// it has failed, its deadline has passed or Wake is called. If one of that has
// happened since it was woken last, it is woken at once. After an error, which is
// the poller's, it is not parked. After nil the client is no longer the caller's.
func (s *Spot) Park(in, out bool) error {
	if s.state.Load() == woken {
		s.again()
		return nil
	}
	if end := s.c.Deadline(time.Now()); !end.IsZero() {
		s.lot.setEnd(s, end)
	}
	id := uint64(s.slot) | uint64(s.gen)<<32
	if s.socket != nil {
		if err := s.lot.poll.Watch(s.socket, id, s.known, in, out); err != nil {
			return err
		}
		s.known = true
	}
	if b := s.beside; b != nil && in {
		if err := s.lot.poll.Watch(b.socket, id, b.known, true, false); err != nil {
			return err
		}
		b.known = true
	}
	if !s.state.CompareAndSwap(running, parked) {
		s.again()
	}
	return nil
}

func (s *Spot) again() {
	s.state.Store(running)
	s.crew.run(s)
}

// Wake has the client go on; if it is not parked, the next Park does. It may be
// called at any time, from any goroutine, and waits for nothing.
func (s *Spot) Wake() {
	for {
		switch s.state.Load() {
		case parked:
			if s.state.CompareAndSwap(parked, running) {
				s.crew.run(s)
				return
			}
		case running:
			if s.state.CompareAndSwap(running, woken) {
				return
			}
		default:
			return
		}
	}
}

// Move has another Crew go on with the client, at once. It is called instead of
// Park.
func (s *Spot) Move(to *Crew) {
	s.crew = to
	to.run(s)
}

// Leave gives the place back.
func (s *Spot) Leave() {
	s.state.Store(gone)
	l := s.lot
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.at > 0 {
		heap.Remove(&l.ends, int(s.at)-1)
	}
	if s.socket != nil {
		l.spots[s.slot] = nil
		l.free = append(l.free, s.slot)
	}
}

// ends is a heap that has the Spot to look at next at its top.
type ends []*Spot

func (h ends) Len() int           { return len(h) }
func (h ends) Less(i, j int) bool { return h[i].end.Before(h[j].end) }
func (h ends) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = int32(i+1), int32(j+1)
}

// Push and Pop are for package heap.
func (h *ends) Push(x any) {
	s := x.(*Spot)
	*h = append(*h, s)
	s.at = int32(len(*h))
}

func (h *ends) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	s.at = 0
	return s
}
