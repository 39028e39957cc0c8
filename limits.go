package netserver

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// limits holds what ends a client's waiting: the deadlines its Handler set, its
// idle limit, its write limit and its life. The nearest counts.
//
// Setting a deadline for every read and write would cost a timer each. Instead
// one that is armed already stays while it is early enough, and when it fires
// early the read asks expired and goes on.
type limits struct {
	idle, write time.Duration
	end         time.Time // zero is never

	request time.Duration
	// first is until when the first request must begin, in Unix nanoseconds:
	// 0 once it has, toBegin until a read waits for it.
	first atomic.Int64

	last atomic.Int64 // when bytes passed last, Unix nanoseconds; kept only for idle

	mu                  sync.Mutex
	userRead, userWrite time.Time
	armedRead, armedOut time.Time
}

func (l *limits) init(cfg *Config, begin time.Time, on *listening) {
	if on.datagram != nil {
		return // a datagram waits for nothing
	}
	l.idle = cfg.idleTimeout()
	if !on.stall {
		l.write = cfg.writeTimeout()
	}
	if life := cfg.maxLife(); life > 0 {
		l.end = begin.Add(life)
	}
	if l.idle > 0 {
		l.last.Store(begin.UnixNano())
	}
	l.request = cfg.firstRequestTimeout()
}

const toBegin = -1

// begin notes that the client may now send its first request. Its time begins
// when a read waits for that: until then it is the server that takes its time.
func (l *limits) begin() {
	if l.request > 0 {
		l.first.Store(toBegin)
	}
}

// firstEnd returns until when the first request must have begun; zero is
// never.
func (l *limits) firstEnd() time.Time {
	if l.request > 0 {
		if t := l.first.Load(); t > 0 {
			return time.Unix(0, t)
		}
	}
	return time.Time{}
}

// any reports whether reads have limits beside the Handler's deadlines.
func (l *limits) any() bool { return l.idle > 0 || l.request > 0 || !l.end.IsZero() }

// got notes that the client has sent something.
func (l *limits) got() {
	if l.request > 0 {
		l.first.Store(0)
	}
	l.active()
}

// active notes that bytes have passed.
func (l *limits) active() {
	if l.idle > 0 {
		l.last.Store(time.Now().UnixNano())
	}
}

// expired returns the limit that has passed by now, if one has.
func (l *limits) expired() error {
	now := time.Now()
	l.mu.Lock()
	user := l.userRead
	l.mu.Unlock()
	switch {
	case !user.IsZero() && !now.Before(user):
		return os.ErrDeadlineExceeded
	case !l.end.IsZero() && !now.Before(l.end):
		return ErrMaxLife
	case !l.firstEnd().IsZero() && !now.Before(l.firstEnd()):
		return ErrFirstRequestTimeout
	case l.idle > 0 && now.UnixNano()-l.last.Load() >= int64(l.idle):
		return ErrIdle
	}
	return nil
}

// expiredWrite returns the limit other than the write limit that has passed.
func (l *limits) expiredWrite() error {
	if l.userWritePassed() {
		return os.ErrDeadlineExceeded
	}
	if !l.end.IsZero() && !time.Now().Before(l.end) {
		return ErrMaxLife
	}
	return nil
}

func (l *limits) userWritePassed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.userWrite.IsZero() && !time.Now().Before(l.userWrite)
}

// armRead makes sure that a Read of nc will not wait past the nearest limit.
func (l *limits) armRead(nc net.Conn) {
	if !l.any() {
		return // the Handler's own deadline is set on nc already
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.request > 0 && l.first.Load() == toBegin {
		l.first.Store(now.Add(l.request).UnixNano())
	}
	soft := l.firstEnd()
	if l.idle > 0 {
		soft = nearest(soft, time.Unix(0, l.last.Load()).Add(l.idle))
	}
	// What has come while nobody read is there to be read.
	if min := now.Add(time.Millisecond); !soft.IsZero() && soft.Before(min) {
		soft = min
	}
	want := nearest(nearest(l.userRead, l.end), soft)
	if l.armedRead.After(now) && !l.armedRead.After(want) {
		return
	}
	l.armedRead = want
	nc.SetReadDeadline(want)
}

// armWrite makes sure that a Write to nc will not wait past the nearest limit:
// for the write limit, between once and one and a half times its length.
func (l *limits) armWrite(nc net.Conn) {
	if l.write == 0 && l.end.IsZero() {
		return
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	want := nearest(l.userWrite, l.end)
	if l.write > 0 {
		if l.armedOut.Sub(now) >= l.write && (want.IsZero() || !l.armedOut.After(want)) {
			return
		}
		want = nearest(want, now.Add(l.write+l.write/2))
	} else if l.armedOut.Equal(want) {
		return
	}
	l.armedOut = want
	nc.SetWriteDeadline(want)
}

func (l *limits) setRead(nc net.Conn, t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.userRead = t
	l.armedRead = nearest(t, l.end)
	if l.idle > 0 {
		l.armedRead = nearest(l.armedRead, time.Unix(0, l.last.Load()).Add(l.idle))
	}
	return nc.SetReadDeadline(l.armedRead)
}

func (l *limits) setWrite(nc net.Conn, t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.userWrite = t
	l.armedOut = nearest(t, l.end)
	if l.write > 0 {
		l.armedOut = nearest(l.armedOut, time.Now().Add(l.write+l.write/2))
	}
	return nc.SetWriteDeadline(l.armedOut)
}

// off takes all deadlines away.
func (l *limits) off(nc net.Conn) {
	nc.SetDeadline(time.Time{})
}

// again sets the Handler's deadlines on nc, which has taken the place of
// another connection; the server's own are set as they are needed.
func (l *limits) again(nc net.Conn) {
	l.mu.Lock()
	read, write := l.userRead, l.userWrite
	l.mu.Unlock()
	l.setRead(nc, read)
	l.setWrite(nc, write)
}

// nearest returns the earlier of two deadlines, of which zero is none.
func nearest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
