package slots

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// A Gate holds the limits on how many clients are open and how many are in
// the handler. Accept loops wait before Accept, so that clients over a limit
// stay in the backlog, where another process on the same socket can take them.
//
// Its methods may be called concurrently.
type Gate struct {
	maxOpen, maxServing int // 0 is no limit
	ls                  []net.Listener

	mu      sync.Mutex
	open    int
	serving int
	queue   []chan struct{} // of clients that finished their handshake and wait for a place, in order: closed when they get it
	room    chan struct{}   // closed when a place became free; nil while nobody waits
}

// NewGate returns a Gate for the clients of ls; 0 is no limit.
func NewGate(maxOpen, maxServing int, ls []net.Listener) *Gate {
	return &Gate{maxOpen: maxOpen, maxServing: maxServing, ls: ls}
}

// MaxOpen returns how many clients may be open; 0 is no limit.
func (g *Gate) MaxOpen() int { return g.maxOpen }

// MaxServing returns how many clients may be in the handler; 0 is no limit.
func (g *Gate) MaxServing() int { return g.maxServing }

// Serving returns how many clients are in the handler, where MaxServing is not
// 0.
func (g *Gate) Serving() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.serving
}

func (g *Gate) limited() bool { return g.maxOpen > 0 || g.maxServing > 0 }

// Wait returns true when there is room for one more client of l, and false when
// stop is closed first.
func (g *Gate) Wait(l net.Listener, stop <-chan struct{}) bool {
	if !g.limited() {
		select {
		case <-stop:
			return false
		default:
			return true
		}
	}
	for {
		// Before looking at the counts: a deadline set after we looked
		// must stay and interrupt our Accept.
		SetAcceptDeadline(l, time.Time{})
		g.mu.Lock()
		if !g.full() {
			g.mu.Unlock()
			select {
			case <-stop:
				return false
			default:
				return true
			}
		}
		if g.room == nil {
			g.room = make(chan struct{})
		}
		room := g.room
		g.mu.Unlock()
		select {
		case <-room:
		case <-stop:
			return false
		}
	}
}

func (g *Gate) full() bool {
	return g.maxOpen > 0 && g.open >= g.maxOpen ||
		g.maxServing > 0 && g.serving+len(g.queue) >= g.maxServing
}

// Opened counts a client that was accepted.
func (g *Gate) Opened() {
	if !g.limited() {
		return
	}
	g.mu.Lock()
	g.open++
	full := g.full()
	g.mu.Unlock()
	if full {
		g.interrupt()
	}
}

// Closed gives back the place that Opened took.
func (g *Gate) Closed() {
	if !g.limited() {
		return
	}
	g.mu.Lock()
	g.open--
	g.announce()
	g.mu.Unlock()
}

// Enter waits for a place in the handler, in the order in which clients came
// to be ready. It returns ctx's error if ctx ends first.
func (g *Gate) Enter(ctx context.Context) error {
	if g.maxServing == 0 {
		return nil
	}
	g.mu.Lock()
	if g.serving < g.maxServing && len(g.queue) == 0 {
		g.serving++
		full := g.full()
		g.mu.Unlock()
		if full {
			g.interrupt()
		}
		return nil
	}
	turn := make(chan struct{})
	g.queue = append(g.queue, turn)
	g.mu.Unlock()
	g.interrupt()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, q := range g.queue {
		if q == turn {
			g.queue = append(g.queue[:i], g.queue[i+1:]...)
			g.announce()
			return ctx.Err()
		}
	}
	g.pass() // our turn came at the same moment
	return ctx.Err()
}

// Leave gives back the place that Enter took.
func (g *Gate) Leave() {
	if g.maxServing == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pass()
}

// pass hands a place in the handler to the next in the queue.
func (g *Gate) pass() {
	if len(g.queue) > 0 {
		next := g.queue[0]
		g.queue = g.queue[1:]
		close(next)
		return
	}
	g.serving--
	g.announce()
}

// announce wakes the accept loops if there is room again.
func (g *Gate) announce() {
	if g.room != nil && !g.full() {
		close(g.room)
		g.room = nil
	}
}

// interrupt ends the Accept of the other loops when the last place goes.
// Without it 108 of 200 rounds with two workers and two ports left a client
// waiting beside an idle worker; with it none of 9,000 did.
func (g *Gate) interrupt() {
	for _, l := range g.ls {
		SetAcceptDeadline(l, time.Unix(1, 0))
	}
}

// SetAcceptDeadline makes Accept of l return by t; zero is never. It returns
// errors.ErrUnsupported for a listener that has no deadlines.
func SetAcceptDeadline(l net.Listener, t time.Time) error {
	if d, ok := l.(interface{ SetDeadline(time.Time) error }); ok {
		return d.SetDeadline(t)
	}
	return errors.ErrUnsupported
}

// HasRoom reports whether one more client may be accepted now.
func (g *Gate) HasRoom() bool {
	if !g.limited() {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.full()
}
