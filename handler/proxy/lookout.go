package proxy

import (
	"context"
	"sync/atomic"
	"time"

	"netserver"
	"netserver/proto"
	"netserver/starttls"
)

// watchEvery is how often a client is looked at that waits for a target.
const watchEvery = time.Second

// A lookout looks, while a client waits for its target, whether it is still there:
// who has left must not hold a place and two descriptors for as long as a target
// may take that says nothing. Most clients have their target long before the
// first look.
type lookout struct {
	c       *netserver.Conn
	fin     bool // its end is enough: without a target's greeting it can do nothing
	gone    context.CancelCauseFunc
	timer   *time.Timer
	stopped atomic.Bool
}

// watchClient ends the returned context, with errLeft, when c leaves. A client
// that has only ended its direction is still there, unless it waits for a
// target's greeting. stop ends the watch and the context.
func (b *Backend) watchClient(ctx context.Context, c *netserver.Conn) (context.Context, *lookout) {
	w := &lookout{c: c, fin: b.MySQL || starttls.JoinOf(ctx) != nil}
	ctx, w.gone = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(time.Hour, w.look)
	w.timer.Reset(watchEvery) // when look can see the timer
	return ctx, w
}

func (w *lookout) stop() {
	w.stopped.Store(true)
	w.timer.Stop()
	w.gone(nil)
}

func (w *lookout) look() {
	if hasClosed(proto.Socket(w.c.NetConn()), w.fin) {
		w.gone(errLeft)
		return
	}
	w.timer.Reset(watchEvery)
	if w.stopped.Load() {
		w.timer.Stop()
	}
}
