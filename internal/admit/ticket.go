package admit

import (
	"sync/atomic"
	"time"
)

// A state is the state of a handshake. Only the queue, under its lock, and the
// handshake's own goroutine change it.
type state uint8

const (
	paused   state = iota // needs no CPU: waits for the client's first bytes
	waiting               // waits for a turn, without a goroutine
	running               // has its turn and counts
	released              // in progress, but waited for the network too long to count
	parked                // its bytes arrived, and its goroutine waits for a turn
	done
)

// isReleased is the value of Ticket.wait for one that no longer counts.
const isReleased = -1

// A Ticket is one handshake's place in a Queue. Its methods are for the
// goroutine that drives the handshake, except Abort.
type Ticket struct {
	q    *Queue
	h    Handshake
	leaf *node

	wait atomic.Int64 // since when it waits for the network; 0 if it does not
	took atomic.Int64 // CPU so far, in ns
	from int64        // since when it has the CPU
	held int64        // how long it waited for turns; while it does, that less the time it began
	over Reason       // the limit it exceeded, in shadow mode

	// Guarded by the queue's lock:
	state    state
	aborted  bool
	why      error
	charged  int64
	deadline int64
	wake     chan struct{} // for parked
	link     [links]link
}

// Err returns why the queue ended the handshake: ErrShed, ErrTimeout or nil.
func (t *Ticket) Err() error {
	t.q.mu.Lock()
	defer t.q.mu.Unlock()
	return t.why
}

// Turn reports whether the handshake waits for a turn, and whether it has one, at
// this moment. One that waits for its client for long has none. It may be called
// at any time.
func (t *Ticket) Turn() (waits, has bool) {
	t.q.mu.Lock()
	defer t.q.mu.Unlock()
	return t.state == waiting || t.state == parked, t.state == running
}

// Submit requests a turn: Handshake.Start will be called, at once or later, on
// this goroutine or another.
func (t *Ticket) Submit() {
	q := t.q
	var do effects
	t.held -= q.clock()
	q.mu.Lock()
	switch {
	case t.state != paused:
		q.mu.Unlock()
		panic("admit: Submit of a handshake that has been submitted")
	case t.why != nil || t.aborted:
		do.add(t, effectStart)
	default:
		t.state = waiting
		q.enqueue(t, false)
		q.dispatch(&do)
	}
	q.mu.Unlock()
	do.run()
}

// Begin must be the first call of the work that Start started.
func (t *Ticket) Begin() {
	t.from = t.q.clock()
	t.held += t.from
}

// Held returns how long the handshake has waited for its turns, and Took how
// long it has worked. They are for its own goroutine, after Begin.
func (t *Ticket) Held() time.Duration { return time.Duration(t.held) }
func (t *Ticket) Took() time.Duration { return time.Duration(t.took.Load()) }

// Waiting reports that the handshake begins to wait for the network.
func (t *Ticket) Waiting() {
	now := t.q.clock()
	t.took.Add(now - t.from)
	t.wait.Store(now)
	t.q.ready.Add(-1)
	if t.q.hungry.Load() {
		t.q.feed()
	}
}

// Woken reports that data arrived. If the handshake waited too long to be
// counted, Woken waits for a new turn.
func (t *Ticket) Woken() {
	if !t.woken() {
		t.from = t.q.clock()
		return
	}
	began := t.q.clock()
	<-t.wake
	t.from = t.q.clock()
	t.held += t.from - began
}

// woken returns true if the caller must wait for a new turn.
func (t *Ticket) woken() bool {
	switch t.wait.Swap(0) {
	case 0:
		return false
	case isReleased:
		return t.park()
	default:
		t.q.ready.Add(1)
		return false
	}
}

// park requests a new turn. It returns true if the turn will come through
// t.wake.
func (t *Ticket) park() bool {
	q := t.q
	var do effects
	q.mu.Lock()
	if t.why != nil || t.aborted || t.state != released {
		q.mu.Unlock()
		return false
	}
	t.state = parked
	if t.wake == nil {
		t.wake = make(chan struct{}, 1)
	}
	q.enqueue(t, true)
	q.dispatch(&do)
	q.mu.Unlock()
	do.run()
	return true
}

// feed gives the turns freed by handshakes that wait for the network.
func (q *Queue) feed() {
	var do effects
	q.mu.Lock()
	q.dispatch(&do)
	q.mu.Unlock()
	do.run()
}

// Done ends the handshake, finished or failed. Further calls do nothing.
func (t *Ticket) Done() {
	q := t.q
	now := q.clock()
	var do effects
	q.mu.Lock()
	switch t.state {
	case done:
		q.mu.Unlock()
		return
	case running:
		if t.wait.Load() == 0 && t.from > 0 {
			t.took.Add(now - t.from)
		}
		if took := t.took.Load(); took > q.cost/8 {
			q.cost += (took - q.cost) / 16
		}
		q.stop(t, done)
		t.wait.Store(0)
	case waiting, parked:
		q.unqueue(t)
		t.state = done
	default:
		t.wait.Store(0)
		t.state = done
	}
	q.uncount(t)
	if t.leaf.tickets--; t.leaf.tickets == 0 {
		q.rest(t.leaf, now)
	}
	q.dispatch(&do)
	q.mu.Unlock()
	do.run()
}

// Useful reports that the client was served: it sent a request after its
// handshake. It may be called once, after Done. The handshake is then charged
// at a fraction, so that sources that only shake hands come after those that
// use the connection.
func (t *Ticket) Useful() {
	q := t.q
	q.mu.Lock()
	refund := t.charged - t.charged/usefulShare
	for n := t.leaf; n != nil; n = n.parent {
		n.used -= refund
		if n.at[byTurn] > 0 {
			n.parent.turns.settle(n, byTurn)
		}
	}
	q.mu.Unlock()
}

// Abort starts a handshake that waits for its turn at once, so that it can
// end: its connection has been closed. It may be called at any time and from
// any goroutine.
func (t *Ticket) Abort() {
	q := t.q
	var do effects
	q.mu.Lock()
	t.aborted = true
	q.release(t, &do)
	q.dispatch(&do)
	q.mu.Unlock()
	do.run()
}

// effects are calls decided under the lock, to be made without it.
type effects struct {
	n    int
	few  [4]effect
	more []effect
}

type effect struct {
	t    *Ticket
	kind uint8
}

const (
	effectStart uint8 = iota
	effectWake
	effectCut
)

func (e *effects) add(t *Ticket, kind uint8) {
	if e.n < len(e.few) {
		e.few[e.n] = effect{t, kind}
	} else {
		e.more = append(e.more, effect{t, kind})
	}
	e.n++
}

func (e *effects) run() {
	for _, x := range e.few[:min(e.n, len(e.few))] {
		x.run()
	}
	for _, x := range e.more {
		x.run()
	}
}

func (x effect) run() {
	switch x.kind {
	case effectStart:
		x.t.h.Start()
	case effectWake:
		x.t.wake <- struct{}{}
	case effectCut:
		x.t.h.Cut(x.t.why)
	}
}
