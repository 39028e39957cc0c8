package netserver

import (
	"errors"
	"fmt"
	"io"
	"math"
	"runtime/debug"
	"sync/atomic"
	"time"

	"netserver/internal/deadline"
	"netserver/internal/relay"
	"netserver/proto"
)

// This file is the story of a client. An accept loop takes its connection,
// arrive notes who it is, and limits admit or refuse it (accept.go, admit.go).
// Then it passes through the route of its port, a step at a time, and whatever
// becomes of it, finish closes it, gives back what it held and writes its
// record.

// A Stage is a part of a client's life. Errors, hooks, log records and
// counters all name the same stages.
type Stage int

// The stages, in the order in which a client passes through them.
const (
	StageAccept    Stage = iota // a connection or datagram is taken from the kernel
	StageHeader                 // the PROXY header is read, where the port has them
	StageAdmit                  // limits and address rules, before any byte of the client is read
	StageHandshake              // the Transport makes the connection usable
	StageAccess                 // rules that need the handshake, then Hooks.Allow
	StageHandler                // the Handler serves the client
	StageClose                  // the client is closed and its record written
)

// A stageCell holds a client's stage, and above its lowest bits the milliseconds
// from accept until it came to that: as many as fit in, six days. Its own
// goroutine sets it, and anybody may look.
type stageCell struct{ v atomic.Uint32 }

const stageBits = 3

// enter sets the stage of a client that was accepted at begin.
func (c *stageCell) enter(s Stage, begin time.Time) {
	if c.get() == s {
		return
	}
	ms := min(max(time.Since(begin).Milliseconds(), 0), math.MaxUint32>>stageBits)
	c.v.Store(uint32(ms)<<stageBits | uint32(s))
}

func (c *stageCell) get() Stage { return Stage(c.v.Load() & (1<<stageBits - 1)) }

// look returns the stage, and how long after accept the client came to it.
func (c *stageCell) look() (s Stage, after time.Duration) {
	v := c.v.Load()
	return Stage(v & (1<<stageBits - 1)), time.Duration(v>>stageBits) * time.Millisecond
}

// String returns the stage's name: "accept", "header", "admit", "handshake",
// "access", "handler" or "close".
func (s Stage) String() string {
	switch s {
	case StageAccept:
		return "accept"
	case StageHeader:
		return "header"
	case StageAdmit:
		return "admit"
	case StageHandshake:
		return "handshake"
	case StageAccess:
		return "access"
	case StageHandler:
		return "handler"
	case StageClose:
		return "close"
	default:
		return "unknown"
	}
}

// A lane is where a step may run.
type lane uint8

const (
	laneAccept lane = iota // in the accept loop: it waits for nothing
	laneHello              // when the client's hello is whole, until which it is a bare socket; it waits for nothing
	laneTurn               // on a pooled goroutine, in its turn of the handshake scheduler if there is one
	laneOwn                // on a goroutine of its own: it may wait
	laneWoken              // on one of a few goroutines, when what a parked client waits for has come (parked.go)
)

// A step is one thing that happens to every client of a port.
type step struct {
	stage Stage // that it belongs to
	lane  lane
	do    func(*Conn) error // an error ends the client
}

// routeOf returns what the clients of a port pass through, in order.
func (r *run) routeOf(l *listening) (route []step) {
	shakes := !l.plain                                   // there is a handshake that waits for the client
	turns := shakes && r.queue != nil                    // and takes turns with others
	waits := l.header != nil || r.srv.Hooks.seeClients() // what comes before it may wait

	before, handshake := laneOwn, laneOwn
	if shakes {
		handshake = laneTurn
	}
	switch {
	case turns && !waits:
		before = laneAccept // rules for addresses take less than starting a goroutine
	case shakes && !turns && l.header == nil:
		before = laneTurn
	}

	add := func(s Stage, on lane, do func(*Conn) error) { route = append(route, step{s, on, do}) }
	if turns && l.header == nil {
		add(StageAccept, laneAccept, (*Conn).queueUp)
	}
	add(StageAccept, before, (*Conn).accepted)
	if l.header != nil {
		add(StageHeader, before, (*Conn).readHeader)
	}
	add(StageAdmit, before, (*Conn).admit)
	if turns && l.header != nil {
		add(StageHandshake, before, (*Conn).queueUp) // under the address that the header told
	}
	if turns && l.hello || l.passer != nil || l.hello && (l.traced&TraceHello != 0 || len(l.cfg.QuietFrom) > 0) {
		add(StageHandshake, laneHello, (*Conn).heard)
	}
	add(StageHandshake, handshake, (*Conn).shakeHands)
	add(StageAccess, laneOwn, (*Conn).authorize)
	add(StageHandler, laneOwn, (*Conn).handle)
	return route
}

// advance takes a client along its route, on the lane where the caller is. It
// returns when the client is finished, or goes on in another lane: then the
// client is no longer the caller's.
func (c *Conn) advance(on lane) {
	left := false
	defer func() {
		if !left { // a step called runtime.Goexit
			c.fail(c.stage.get(), errors.New("the handler ended its goroutine"))
			c.finish()
		}
	}()
	for ; int(c.at) < len(c.l.route); c.at++ {
		s := &c.l.route[c.at]
		if on == laneWoken {
			s = &c.l.woken
		}
		c.stage.enter(s.stage, c.begin)
		if c.trace != nil {
			c.trace.enter(s.stage, c.begin)
		}
		if s.lane != on {
			left = true
			if !c.change(s.lane) {
				return
			}
			left, on = false, s.lane
		}
		err := c.try(s)
		if err == errDetached || err == ErrParked {
			left = true
			if err == ErrParked {
				c.park()
			}
			return
		}
		if err != nil {
			c.fail(s.stage, err)
			break
		}
	}
	left = true
	if on == laneWoken && c.leaves() {
		return
	}
	if on == laneHello && c.run.srv.Hooks.seeClients() {
		go c.finish() // what a program adds may wait
		return
	}
	c.finish()
}

// change has a client go on in another lane, where advance is called for it. It
// returns true if the caller is to go on there itself, as there is nothing to
// wait for.
func (c *Conn) change(to lane) (here bool) {
	switch to {
	case laneHello:
		if c.hello.Missing == 0 || c.hello.Err != nil {
			return true
		}
		if !c.run.room.Enter((*greeting)(c), c.raw, c.hello) {
			go c.awaitHello() // this stack may have grown: 2 KiB more for each
		}
	case laneTurn:
		if t := c.admission.ticket.Load(); t != nil {
			t.Submit()
		} else {
			c.run.pool.Run(c)
		}
	default:
		if c.l.datagram != nil && c.l.sessions == nil && to == laneOwn {
			c.run.packets.Run(c)
		} else {
			go c.advance(to)
		}
	}
	return false
}

// turn goes on with a client in its turn, on a pooled goroutine.
func (c *Conn) turn() { c.advance(laneTurn) }

// packet goes on with a datagram that may wait, on a goroutine that was another's.
func (c *Conn) packet() { c.advance(laneOwn) }

// try runs one step. A panic in it becomes the client's error.
func (c *Conn) try(s *step) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return s.do(c)
}

// accepted gives the program a look at the client before anything else.
func (c *Conn) accepted() error {
	if f := c.run.srv.Hooks.Accepted; f != nil {
		ctx := f(c.ctx, c)
		if ctx == nil {
			return errors.New("Hooks.Accepted returned a nil context")
		}
		c.ctx = ctx
	}
	return nil
}

// handle gives the client to the Handler when there is a place for it.
func (c *Conn) handle() error {
	if c.l.sessions == nil {
		if err := c.run.gate.Enter(c.ctx); err != nil {
			return c.orCause(err)
		}
	}
	c.admission.placed = uint32(min(time.Since(c.begin).Microseconds(), math.MaxUint32))
	c.place.Store(isPlaced) // with which others may look at placed
	c.run.serving.Add(1)
	c.run.served.Add(1)
	err := c.serve()
	switch {
	case c.place.CompareAndSwap(isDetached, isAlone):
		return errDetached
	case c.place.Load() == isEnded:
		return nil // End has noted the error
	}
	return c.served(err)
}

// serve has the Handler serve the client, or begin to.
func (c *Conn) serve() error {
	if d, ok := c.l.handler.(Detacher); ok {
		return d.ServeDetached(c.ctx, c)
	}
	return c.l.handler.Serve(c.ctx, c)
}

// orServed returns the error of a Handler, nil for those that say only that the
// client is done.
func orServed(err error) error {
	if err == io.EOF || errors.Is(err, ErrDraining) {
		return nil
	}
	return err
}

// errDetached says of a client that End ends it.
var errDetached = errors.New("detached")

// The states of Conn.place.
const (
	notPlaced  = iota
	isPlaced   // Serve is running, or has returned
	isDetached // Detach was called
	isAlone    // and Serve has returned
	isEnded    // End was called, or has nothing to do any more
)

func (c *Conn) isPlaced() bool { return c.place.Load() != notPlaced }

// Detach lets the client stay when ServeDetached returns, until End is called.
// It must be called by the Handler's goroutine, before any other could call End.
func (c *Conn) Detach() { c.place.Store(isDetached) }

// End ends a client after Detach: as if Serve returned err. c must not be used
// after that. It may have to wait for what the client still sends, for two
// seconds at most. It must be called once; later calls, and those after a panic
// of ServeDetached, do nothing.
func (c *Conn) End(err error) {
	if c.place.Load() == isEnded {
		return
	}
	if err = orServed(err); err != nil {
		c.fail(StageHandler, err)
	}
	if !c.place.CompareAndSwap(isDetached, isEnded) && c.place.CompareAndSwap(isAlone, isEnded) {
		c.finish()
	}
}

// fail notes why the client ends.
func (c *Conn) fail(stage Stage, err error) {
	if cause := c.cause(); cause != nil && !errors.Is(err, cause) {
		err = cause // what it met was the consequence of being cut
	}
	c.err = &Error{Stage: stage, Port: c.l.spec, Peer: c.RemoteAddr(), Err: err}
}

// finish closes the client, frees its places and writes its record. Hooks that
// panic here, or call runtime.Goexit, must not keep a place taken.
func (c *Conn) finish() {
	if c.isPlaced() {
		c.place.Store(isEnded)
	}
	defer c.release()
	c.hook(c.beforeClose)
}

func (c *Conn) release() {
	defer c.run.clients.remove(c)
	defer (*clientCtx)(c).end()
	c.rates.Stop()
	if p := c.parking.Load(); p != nil {
		p.spot.Leave()
	}
	if c.isPlaced() { // before close, which waits for a client that still sends
		if c.l.sessions == nil {
			c.run.gate.Leave()
		}
		c.run.serving.Add(-1)
		c.l.meter.Handler.Observe(time.Since(c.begin) - time.Duration(c.admission.placed)*time.Microsecond)
	}
	ended := time.Now()
	c.close()
	if t := c.admission.ticket.Load(); t != nil {
		t.Done()
	}
	c.l.datagramDone()
	if c.l.sessions == nil {
		c.run.gate.Closed()
	} else {
		c.endSession()
	}
	if c.run.starved.Load() && c.run.starved.CompareAndSwap(true, false) {
		select {
		case c.run.freed <- struct{}{}:
		default:
		}
	}
	r := c.record()
	c.leave(&r)
	c.hook(func() { c.run.logRecord(c.ctx, r) })
	r.Trace = c.traced(ended)
	if f := c.run.srv.Hooks.Logged; f != nil {
		c.logged(f, r)
	}
	if f := c.run.srv.Hooks.Closed; f != nil {
		c.hook(func() { f(c, r) })
	}
}

func (c *Conn) beforeClose() {
	h := &c.run.srv.Hooks
	switch {
	case c.stage.get() == StageHandler && c.isPlaced() && h.Handled != nil:
		h.Handled(c.ctx, c, c.handlerErr())
	case c.err != nil && errors.Is(c.err, errDenied) && h.Denied != nil:
		h.Denied(c.ctx, c, c.err)
	case c.err != nil && c.stage.get() == StageHandshake && h.HandshakeFailed != nil && c.cause() == nil:
		c.raw.SetDeadline(time.Now().Add(relay.LingerTime))
		h.HandshakeFailed(c.ctx, c, c.err)
	}
}

func (c *Conn) handlerErr() error {
	if c.err == nil {
		return nil
	}
	return c.err.Err
}

// hook runs f; a panic in it is logged and goes no further.
func (c *Conn) hook(f func()) {
	defer func() {
		if v := recover(); v != nil {
			c.run.log.Error("panic in a hook", "client", c.id, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	f()
}

// host returns the client's name, "" if it has none or it is not known yet.
func (c *Conn) host() string {
	if h := c.verdicts.host.Load(); h != nil {
		return *h
	}
	return ""
}

// idle returns how long no byte has passed, or -1.
func (c *Conn) idle() time.Duration {
	if limit, last := c.limits.IdleLimit(); limit > 0 {
		return max(time.Since(last), 0)
	}
	nc := proto.Socket(c.raw)
	return deadline.Idle(nc)
}
