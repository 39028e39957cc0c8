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

// A lookout is the context of a client that is connected to a target. It ends,
// with errLeft, when the client leaves: who has left must not hold a place and two
// descriptors for as long as a target may take that says nothing. A client that
// has only ended its direction is still there, unless it waits for a target's
// greeting.
//
// Looking begins when somebody wants to know of the end; most clients have their
// target without any wait.
type lookout struct {
	context.Context // the client's
	c               *netserver.Conn
	fin             bool // its end is enough: without a target's greeting it can do nothing

	begun atomic.Pointer[looking] // nil until then
	mu    sync.Mutex
	over  bool
}

// A looking is a lookout that has begun.
type looking struct {
	context.Context
	gone  context.CancelCauseFunc
	timer *time.Timer
}

// watchClient returns the lookout for c, which has to be stopped.
func (b *Backend) watchClient(ctx context.Context, c *netserver.Conn) *lookout {
	return &lookout{Context: ctx, c: c, fin: b.MySQL || starttls.JoinOf(ctx) != nil}
}

// begin begins to look, unless that has been done.
func (w *lookout) begin() *looking {
	if l := w.begun.Load(); l != nil {
		return l
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := w.begun.Load(); l != nil {
		return l
	}
	l := new(looking)
	l.Context, l.gone = context.WithCancelCause(w.Context)
	if w.over {
		l.gone(nil)
	} else {
		l.timer = time.AfterFunc(watchEvery, w.look)
	}
	w.begun.Store(l)
	return l
}

// now returns what the context is at this moment.
func (w *lookout) now() context.Context {
	if l := w.begun.Load(); l != nil {
		return l
	}
	return w.Context
}

func (w *lookout) Done() <-chan struct{} { return w.begin().Done() }
func (w *lookout) Err() error            { return w.now().Err() }
func (w *lookout) Value(key any) any     { return w.now().Value(key) }

// stop ends the lookout and the context.
func (w *lookout) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	if l := w.begun.Load(); l != nil {
		l.gone(nil)
		if l.timer != nil {
			l.timer.Stop()
		}
	}
}

// look looks whether the client is still there.
func (w *lookout) look() {
	left := hasClosed(proto.Socket(w.c.NetConn()), w.fin)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch l := w.begun.Load(); {
	case w.over:
	case left:
		l.gone(errLeft)
	default:
		l.timer.Reset(watchEvery)
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
