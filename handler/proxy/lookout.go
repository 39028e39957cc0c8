package proxy

import (
	"context"
	"net"
	"sync"
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

// quietLook is how often joints are looked at: those in which nothing has come
// from one look to the next give their goroutines back.
const quietLook = 100 * time.Millisecond

// joints are those of a Backend that copy. One timer looks after them all, so that
// they cost nothing that passes, and those that end soon next to nothing.
type joints struct {
	mu    sync.Mutex
	all   []*joint
	timer *time.Timer
	armed bool
	seen  []*joint // for look
}

func (js *joints) add(j *joint) {
	js.mu.Lock()
	defer js.mu.Unlock()
	j.at = len(js.all)
	js.all = append(js.all, j)
	if js.armed {
		return
	}
	js.armed = true
	if js.timer == nil {
		js.timer = time.AfterFunc(quietLook, js.look)
		return
	}
	js.timer.Reset(quietLook)
}

// remove takes j out; the last takes its place.
func (js *joints) remove(j *joint) {
	js.mu.Lock()
	defer js.mu.Unlock()
	last := len(js.all) - 1
	js.all[j.at] = js.all[last]
	js.all[j.at].at = j.at
	js.all[last] = nil
	js.all = js.all[:last]
}

// look looks at all joints.
func (js *joints) look() {
	js.mu.Lock()
	js.seen = append(js.seen[:0], js.all...)
	seen := js.seen
	js.mu.Unlock()
	for i, j := range seen {
		j.look()
		seen[i] = nil
	}
	js.mu.Lock()
	defer js.mu.Unlock()
	if js.armed = len(js.all) > 0; js.armed {
		js.timer.Reset(quietLook)
	} else {
		js.all, js.seen = nil, nil // of the most that there ever were
	}
}

// look is called for each joint that copies, on one goroutine.
func (j *joint) look() {
	if j.looks < 2 {
		// Those that end soon are spared the system calls.
		if j.looks++; j.looks == 2 {
			keepAlive(j.backend)
		}
	}
	if j.parks {
		j.pause.Look()
	}
}

// keepAlive has the system find out when the other end of a TCP connection is
// gone.
func keepAlive(nc net.Conn) {
	if t, ok := nc.(*net.TCPConn); ok {
		t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true})
	}
}
