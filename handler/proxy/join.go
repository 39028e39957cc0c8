package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"netserver"
	"netserver/internal/relay"
	"netserver/proto"
)

// A joint is a client and its backend connection.
type joint struct {
	c        *netserver.Conn
	ep       *endpoint
	client   net.Conn // the socket below c
	backend  net.Conn // the socket below the connection to ep
	up, down half
	goes     sync.WaitGroup // the goroutine of up
	ended    atomic.Int32   // halves whose copy is done
	over     atomic.Bool    // both were ended deliberately; later errors are a consequence

	of    *Backend
	to    net.Conn // the connection to ep
	pause relay.Pause
	parks bool // it may wait with no goroutine
	looks int8 // of joints
	at    int  // its place among those of the Backend

	mu  sync.Mutex
	err error // the first error
}

// A half is one direction of a joint.
type half struct {
	src, dst net.Conn // sockets
	copy     func() (int64, error)
	finish   func() error // tells dst that nothing more follows
	blame    func(error) error
	copied   chan struct{} // closed when copy has returned
	n        int64         // bytes copied; for the half's goroutine only
	err      error         // its result; read it after copied is closed
}

// join copies between c and b, its connection to ep, closes b, and gives the
// place at ep back.
func join(ctx context.Context, c *netserver.Conn, b net.Conn, of *Backend, ep *endpoint) error {
	j := &joint{c: c, ep: ep, of: of, to: b, client: proto.Socket(c.NetConn()), backend: proto.Socket(b)}
	j.pause.Init(j.client, j.backend)
	j.parks = c.CanParkBeside(b)
	pausing := &relay.Pausing{Conn: b, Pause: &j.pause}
	j.up = half{
		src: j.client, dst: j.backend, copied: make(chan struct{}),
		copy:   func() (int64, error) { return c.WriteTo(pausing) },
		finish: func() error { return closeWrite(b) },
		blame:  j.blameUp,
	}
	j.down = half{
		src: j.backend, dst: j.client, copied: make(chan struct{}),
		copy:   func() (int64, error) { return c.ReadFrom(pausing) },
		finish: c.CloseWrite,
		blame:  j.blameDown,
	}
	return j.Serve(ctx, c)
}

// Serve copies until both directions have ended, or both are silent: then the
// joint waits with no goroutine, and Serve goes on when something comes.
func (j *joint) Serve(ctx context.Context, c *netserver.Conn) error {
	j.copyBoth(ctx)
	if j.ended.Load() == 0 {
		return c.ParkBeside(j, j.to)
	}
	j.to.Close()
	j.of.done(j.ep, j.down.n > 0, isOp(j.down.err, "read") && errors.Is(j.down.err, syscall.ECONNRESET))
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// copyBoth runs both directions until both have ended or are paused.
func (j *joint) copyBoth(ctx context.Context) {
	stop := afterEnd(ctx, func() { j.breakOff(context.Cause(ctx)) })
	defer stop()
	j.pause.Begin()
	j.of.joints.add(j)
	defer j.of.joints.remove(j)
	j.goes.Add(1)
	go j.runUp()
	j.run(&j.down, &j.up)
	j.goes.Wait()
}

// afterEnd is context.AfterFunc, at the price of what ctx itself has for that.
func afterEnd(ctx context.Context, f func()) (stop func() bool) {
	if a, ok := ctx.(interface{ AfterFunc(func()) func() bool }); ok {
		return a.AfterFunc(f)
	}
	return context.AfterFunc(ctx, f)
}

func (j *joint) runUp() {
	defer j.goes.Done()
	deepen(0)
	j.run(&j.up, &j.down)
}

// run copies one direction to its end, or until both are paused. back is the
// opposite one.
func (j *joint) run(h, back *half) {
	n, err := h.copy()
	h.n += n
	if err == relay.ErrPaused {
		return
	}
	j.pause.End()
	h.err = err
	close(h.copied)
	if !j.over.Load() {
		j.judge(h, back)
	}
	if j.ended.Add(1) == 2 {
		h.tell(j)
		back.src.SetReadDeadline(longAgo) // ends its wait for src to leave
		return
	}
	h.tell(j)
	// The opposite direction goes on as long as src is there to receive it.
	if waitGone(h.src, j.bothEnded) && !j.bothEnded() {
		if h == &j.up {
			j.note(whyLeft(back))
		}
		j.release()
	}
}

// judge decides whether the opposite direction may go on after the end of h.
func (j *joint) judge(h, back *half) {
	switch {
	case h.err == nil:
	case takesNoMore(h.err):
		// Data from dst may still be on its way to src.
		j.note(h.blame(h.err))
		return
	default:
		j.breakOff(h.blame(h.err))
		return
	}
	if j.hiddenReset(h, back) {
		j.breakOff(back.blame(back.err))
	}
}

// errLeft is the error of a client that left before its answer.
var errLeft = fmt.Errorf("the client left before the backend was done: %w", io.ErrUnexpectedEOF)

// whyLeft returns the error of a client that is gone, to whom back has copied.
// Where the kernel ended it because it took no bytes, it may say so to one of
// both directions only.
func whyLeft(back *half) error {
	select {
	case <-back.copied:
		if errors.Is(back.err, syscall.ETIMEDOUT) || errors.Is(back.err, netserver.ErrWriteStalled) {
			return back.blame(back.err)
		}
	default:
	}
	return errLeft
}

// tell passes the end of the direction on. If dst is broken, the opposite
// direction gets the error too.
func (h *half) tell(j *joint) {
	if j.over.Load() {
		return
	}
	switch err := h.finish(); {
	case errors.Is(err, errors.ErrUnsupported):
		j.release() // there is no half-close: both directions end
	case errors.Is(err, netserver.ErrWriteStalled):
		j.breakOff(err)
	}
}

// deepen grows the goroutine's stack at once to what a copy or a connect needs.
// Later each step of it would copy more, with all that is on it by then.
//
//go:noinline
func deepen(i int) byte {
	var room [4 << 10]byte
	return room[i]
}

func (j *joint) bothEnded() bool { return j.ended.Load() == 2 }

// takesNoMore reports whether err says only that the destination no longer
// receives.
func takesNoMore(err error) bool {
	return errors.Is(err, syscall.EPIPE) || isOp(err, "write") && errors.Is(err, syscall.ECONNRESET)
}

// resetWait bounds the wait for the opposite direction's result in
// hiddenReset.
const resetWait = time.Second

// hiddenReset reports whether the end of h is really a reset. The system
// reports a reset only once: if back got it, writing to h's source, reading
// there looks like end of file, and a truncated answer would look complete.
//
// splice(2) may swallow it: if some bytes were sent before the reset, it
// returns their number, and the next call returns EPIPE. The same happens with
// a peer that ended its direction, closed its socket and was sent more; but
// that one has sent a FIN.
func (j *joint) hiddenReset(h, back *half) bool {
	met := func() bool {
		return errors.Is(back.err, syscall.ECONNRESET) || errors.Is(back.err, syscall.EPIPE) && sentNoFIN(h.src, h.n)
	}
	select {
	case <-back.copied:
		return met()
	default:
	}
	if !isClosed(h.src) {
		return false
	}
	t := time.NewTimer(resetWait) // back may be about to report it
	defer t.Stop()
	select {
	case <-back.copied:
		return met()
	case <-t.C:
		return false
	}
}

// note keeps the first error. Where the kernel has ended a connection that takes
// no bytes, only one direction is told so, and the other of a broken pipe.
func (j *joint) note(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil || takesNoMore(j.err) && errors.Is(err, syscall.ETIMEDOUT) {
		j.err = err
	}
}

// sentWait bounds the wait for a client to receive what the backend sent
// before it broke off: a reset discards unsent data.
const sentWait = time.Second

// breakOff ends both directions at once because of err. Neither side must
// mistake that for an ordinary end. TLS clients get a reset too, since not all
// of them check for close_notify.
func (j *joint) breakOff(err error) {
	j.note(err)
	if errors.Is(err, netserver.ErrIdle) {
		j.release() // here it is an ordinary end: both sides were idle
		return
	}
	j.over.Store(true)
	reset(j.backend)
	awaitSent(j.client, sentWait)
	reset(j.client)
}

// release ends both directions and leaves c to the engine, which closes it so
// that written data still arrives.
func (j *joint) release() {
	j.over.Store(true)
	j.c.SetDeadline(longAgo)
	j.backend.Close()
}

var longAgo = time.Unix(1, 0)

// blameUp attributes an error of the direction to the backend.
func (j *joint) blameUp(err error) error {
	if isOp(err, "write") {
		return j.backendFailed("sending to it", err)
	}
	return err
}

// blameDown attributes an error of the direction to the client.
func (j *joint) blameDown(err error) error {
	if isOp(err, "read") {
		return j.backendFailed("reading from it", err)
	}
	return err
}

// backendFailed does not wrap err: the engine would mistake a wrapped reset
// for the client's.
func (j *joint) backendFailed(doing string, err error) error {
	return brokenOff(fmt.Sprintf("%s: %s: %v", j.ep.label, doing, reason(err)))
}

// isOp reports whether the socket operation that failed was op.
func isOp(err error, op string) bool {
	var oe *net.OpError
	return errors.As(err, &oe) && oe.Op == op
}

// reason returns the innermost part of a socket's error.
func reason(err error) error {
	var errno syscall.Errno
	var ne net.Error
	var oe *net.OpError
	switch {
	case errors.As(err, &errno):
		return errno
	case errors.As(err, &ne) && ne.Timeout():
		return errors.New("it took no bytes for too long")
	case errors.As(err, &oe):
		return oe.Err // of TLS
	}
	return err
}
