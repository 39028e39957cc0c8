package relay

import (
	"net"
	"sync/atomic"
	"time"

	"netserver/internal/deadline"
)

// A lateWriter is a connection above another, such as a TLS one, whose Write
// cannot be called again once a deadline has passed in it. It asks f then, if
// that is not nil, whether to go on; took tells whether the connection below has
// taken bytes meanwhile.
type lateWriter interface {
	net.Conn
	OnLateWrite(f func(took bool) (goOn bool))
}

// lateWrites decide whether the writes of a lateWriter go on: while bytes pass
// in the other direction it is not idle, and while some are taken it is not
// stalled. A nil one does nothing.
type lateWrites struct {
	w      lateWriter
	limits *deadline.Limits
	stall  time.Duration
	since  atomic.Int64          // when w last took bytes, or was first asked to
	passed atomic.Pointer[error] // the limit for which a write did not go on
}

func (l *lateWrites) took(now time.Time) {
	if l != nil {
		l.since.Store(now.UnixNano())
	}
}

// goOn sets the next deadline if the one that has passed was too early.
func (l *lateWrites) goOn(took bool) bool {
	now := time.Now()
	if took {
		l.took(now)
		l.limits.Active()
	}
	since := time.Unix(0, l.since.Load())
	if why := l.limits.Passed(); why != nil {
		l.passed.Store(&why)
		return false
	}
	if l.stall > 0 && now.Sub(since) >= l.stall {
		return false
	}
	want := l.limits.Next(now)
	if l.stall > 0 {
		want = deadline.Nearest(want, since.Add(l.stall))
	}
	l.w.SetWriteDeadline(want)
	return true
}

// why returns the limit for which a write did not go on, if it was one.
func (l *lateWrites) why() error {
	if l != nil {
		if why := l.passed.Load(); why != nil {
			return *why
		}
	}
	return nil
}

func (l *lateWrites) end() {
	if l != nil {
		l.w.OnLateWrite(nil)
	}
}
