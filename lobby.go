package netserver

import (
	"container/heap"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"netserver/sock"
)

// A lobby is where the clients of TLS ports wait until their hello is whole:
// as bare sockets, with no goroutine and no TLS state. One goroutine looks
// after them all. With a goroutine for each, a flood whose hellos come at once
// made hundreds of them runnable, and everybody else waited behind those.
//
// Its methods may be called concurrently.
type lobby struct {
	poll *poller

	mu     sync.Mutex
	guests map[uint64]*guest // by the client's number
	ends   guestHeap
	timer  *time.Timer
}

// A guest is a client that waits.
type guest struct {
	c     *Conn
	nc    *net.TCPConn
	begun bool      // part of its hello is there
	end   time.Time // when it is cut; zero is never
	why   error     // what that means
	at    int       // its place in the heap, plus one; 0 is none
}

// newLobby opens a lobby if there are ports for it. It returns nil where a
// goroutine must wait for each client.
func (r *run) newLobby() *lobby {
	if r.queue == nil || !slices.ContainsFunc(r.ls, (*listening).hasLobby) {
		return nil
	}
	p, err := newPoller()
	if err != nil {
		return nil
	}
	return &lobby{poll: p, guests: make(map[uint64]*guest)}
}

// hasLobby reports whether clients of the port can wait in a lobby.
func (l *listening) hasLobby() bool {
	_, ok := below(l.Listener).(*sock.StreamListener)
	return ok && l.hello
}

// enter takes in a client whose hello is not whole: begun tells whether it has
// begun. It reports whether that worked.
func (l *lobby) enter(c *Conn, state helloState) bool {
	nc, ok := c.raw.(*net.TCPConn)
	if !ok {
		return false
	}
	g := &guest{c: c, nc: nc, begun: state.begun()}
	g.end, g.why = c.helloEnd(g.begun, time.Now())
	l.mu.Lock()
	l.guests[c.id] = g
	l.setEnd(g)
	l.mu.Unlock()
	err := l.poll.add(nc, c.id, state.missing)
	if (err == nil && c.cause() == nil) || !l.leave(c) {
		return true
	}
	why := c.cause()
	if why == nil {
		return false // the system has no room for it: it waits as others would
	}
	c.dismiss(why) // it was cut before it was here to be told
	return true
}

// leave takes a client out. It reports whether it was there: then the caller,
// and nobody else, has to see to it.
func (l *lobby) leave(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.guests[c.id]
	if g == nil {
		return false
	}
	l.drop(g)
	return true
}

func (l *lobby) drop(g *guest) {
	delete(l.guests, g.c.id)
	if g.at > 0 {
		heap.Remove(&l.ends, g.at-1)
	}
}

// loop looks after the clients until the lobby is closed.
func (l *lobby) loop() {
	for {
		found, err := l.poll.wait()
		if err != nil {
			return
		}
		for _, f := range found {
			l.mu.Lock()
			g := l.guests[f.id]
			l.mu.Unlock()
			if g != nil {
				l.look(g, f.left)
			}
		}
	}
}

// A found client has something, or has left.
type found struct {
	id   uint64
	left bool
}

// errHalfHello ends a client that left in its hello.
var errHalfHello = fmt.Errorf("TLS handshake: the client left in its hello: %w", io.ErrUnexpectedEOF)

// look sees what there is of a client's hello. left tells that no more comes.
func (l *lobby) look(g *guest, left bool) {
	c := g.c
	state, err := lookForHello(g.nc)
	if err == nil && state.missing > 0 && left {
		err = errHalfHello
	}
	if err == nil && state.missing > 0 {
		if state.begun() && !g.begun {
			l.mu.Lock()
			g.begun = true
			if l.guests[c.id] == g {
				g.end, g.why = c.helloEnd(true, time.Now())
				l.setEnd(g)
			}
			l.mu.Unlock()
		}
		err = l.poll.again(g.nc, c.id, state.missing)
		if err == nil {
			return
		}
	}
	if !l.leave(c) {
		return
	}
	if err == nil {
		err = l.poll.done(g.nc, g.begun)
	}
	if err != nil {
		c.dismiss(c.orCause(err))
		return
	}
	c.ticket.Load().Submit()
}

// setEnd puts g where its end belongs among the others.
func (l *lobby) setEnd(g *guest) {
	switch {
	case g.at > 0 && g.end.IsZero():
		heap.Remove(&l.ends, g.at-1)
	case g.at > 0:
		heap.Fix(&l.ends, g.at-1)
	case !g.end.IsZero():
		heap.Push(&l.ends, g)
	}
	if g.at == 1 {
		l.arm(time.Until(g.end))
	}
}

func (l *lobby) arm(d time.Duration) {
	if l.timer == nil {
		l.timer = time.AfterFunc(d, l.expire)
		return
	}
	l.timer.Reset(d)
}

// expire cuts those whose time is over, one after the other: 10,000 goroutines
// that all end at one moment would be felt.
func (l *lobby) expire() {
	for {
		l.mu.Lock()
		if len(l.ends) == 0 {
			l.mu.Unlock()
			return
		}
		g := l.ends[0]
		if d := time.Until(g.end); d > 0 {
			l.arm(d)
			l.mu.Unlock()
			return
		}
		l.drop(g)
		l.mu.Unlock()
		g.c.dismiss(g.c.orCause(g.why))
	}
}

// close ends the loop. Nobody may be in the lobby any more.
func (l *lobby) close() {
	l.mu.Lock()
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	l.poll.close()
}

// A guestHeap has the guest whose end is next at its top.
type guestHeap []*guest

func (h guestHeap) Len() int           { return len(h) }
func (h guestHeap) Less(i, j int) bool { return h[i].end.Before(h[j].end) }
func (h guestHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i+1, j+1
}

// Push and Pop are for package heap.
func (h *guestHeap) Push(x any) {
	g := x.(*guest)
	*h = append(*h, g)
	g.at = len(*h)
}

func (h *guestHeap) Pop() any {
	last := len(*h) - 1
	g := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	g.at = 0
	return g
}

// helloEnd returns when a client is cut whose hello is not whole by then, and
// the error that this is. Zero is never.
func (c *Conn) helloEnd(begun bool, now time.Time) (end time.Time, why error) {
	limit := c.l.cfg.handshakeTimeout()
	if limit > 0 {
		end, why = c.begin.Add(limit), errHandshakeTimeout(limit)
	}
	from, phase, name := c.begin, c.l.cfg.firstByteTimeout(), ErrFirstByteTimeout
	if begun {
		from, phase, name = now, c.l.cfg.helloTimeout(), ErrHelloTimeout
	}
	if phase > 0 && (end.IsZero() || from.Add(phase).Before(end)) {
		end, why = from.Add(phase), name
	}
	return end, why
}

// dismiss ends a client that did not get to its handshake. It waits for
// nothing.
func (c *Conn) dismiss(why error) {
	c.fail(StageHandshake, why)
	if c.run.srv.Hooks.seeClients() {
		go c.finish() // what a program adds may wait
		return
	}
	c.finish()
}
