package netserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	"netserver/internal/relay"
)

// live takes a client through its stages, from the given one to the last. It
// is the whole story of a client; what each stage does stands in the methods
// that enter names.
//
// A client whose Transport shakes hands comes here on a pooled goroutine and
// goes on, after the handshake, on one of its own. If it begins with a PROXY
// header it waits for that on a goroutine of its own too, before it gets the
// pooled one.
func (c *Conn) live(from Stage) {
	done := false
	defer func() {
		if !done { // the Handler called runtime.Goexit
			c.fail(c.stage.get(), errors.New("the handler ended its goroutine"))
			c.finish()
		}
	}()
	for stage := from; stage < StageClose; stage++ {
		if stage == StageAdmit && from < StageAdmit && c.l.header != nil && !c.l.plain && c.run.queue == nil {
			done = true
			c.from = StageAdmit
			c.run.pool.Run(c)
			return
		}
		if stage == StageAccess && from < StageAccess && !c.l.plain {
			done = true
			go c.live(StageAccess)
			return
		}
		c.stage.set(stage)
		if stage == StageHandshake && from == StageAccept && c.run.queue != nil && !c.l.plain {
			done = true
			c.from = stage
			return // arrive goes on
		}
		if err := c.enter(stage); err != nil {
			c.fail(stage, err)
			break
		}
	}
	c.finish()
	done = true
}

// resume goes on with a client that waited for a pooled goroutine.
func (c *Conn) resume() { c.live(c.from) }

// enter runs one stage. A panic in it becomes the client's error.
func (c *Conn) enter(stage Stage) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	switch stage {
	case StageAccept:
		return c.accepted()
	case StageHeader:
		return c.header()
	case StageAdmit:
		return c.admit()
	case StageHandshake:
		return c.handshake()
	case StageAccess:
		return c.allow()
	case StageHandler:
		return c.handle()
	default:
		return fmt.Errorf("no such stage: %v", stage)
	}
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
	if err := c.run.gate.Enter(c.ctx); err != nil {
		return c.orCause(err)
	}
	c.placed.Store(true)
	c.run.serving.Add(1)
	c.run.served.Add(1)
	if c.run.log.Enabled(c.ctx, slog.LevelInfo) {
		c.logConnect()
	}
	if err := c.run.srv.Handler.Serve(c.ctx, c); err != io.EOF {
		return err
	}
	return nil
}

// fail notes why the client ends.
func (c *Conn) fail(stage Stage, err error) {
	if cause := c.cause(); cause != nil && !errors.Is(err, cause) {
		err = cause // what it met was the consequence of being cut
	}
	c.err = &Error{Stage: stage, Port: c.l.spec, Peer: c.RemoteAddr(), Err: err}
}

// finish closes the client, frees its places and writes its record. Hooks that
// panic here must not keep a place taken.
func (c *Conn) finish() {
	c.hook(c.beforeClose)
	c.rates.Stop()
	c.close()
	if t := c.ticket.Load(); t != nil {
		t.Done()
	}
	if c.placed.Load() {
		c.run.gate.Leave()
		c.run.serving.Add(-1)
	}
	c.l.datagramDone()
	c.run.gate.Closed()
	if c.run.starved.Load() && c.run.starved.CompareAndSwap(true, false) {
		select {
		case c.run.freed <- struct{}{}:
		default:
		}
	}
	r := c.record()
	c.leave(r.Outcome)
	c.hook(func() { c.run.logRecord(c.ctx, r) })
	if f := c.run.srv.Hooks.Closed; f != nil {
		c.hook(func() { f(c, r) })
	}
	c.cancel(context.Canceled)
	c.run.clients.remove(c)
}

func (c *Conn) beforeClose() {
	h := &c.run.srv.Hooks
	switch {
	case c.stage.get() == StageHandler && c.placed.Load() && h.Handled != nil:
		h.Handled(c.ctx, c, c.handlerErr())
	case c.err != nil && errors.Is(c.err, ErrDenied) && h.Denied != nil:
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
