package deadline

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Values are the limits of a client; zero ones are none.
type Values struct {
	Idle         time.Duration // without a byte in either direction
	Write        time.Duration // of one write, while the client takes nothing
	Life         time.Duration // since it was accepted
	FirstRequest time.Duration // of the read that waits for its first byte
}

// Limits holds what ends a client's waiting: the deadlines its handler set, its
// idle limit, its write limit and its life. The nearest counts.
//
// Setting a deadline for every read and write would cost a timer each. Instead
// one that is armed already stays while it is early enough, and when it fires
// early the read asks Expired and goes on.
//
// The zero value has no limits. Methods may be called concurrently, but for
// Init.
type Limits struct {
	idle, write time.Duration
	end         time.Time // zero is never

	request time.Duration
	// first is until when the first request must begin, in Unix nanoseconds:
	// 0 once it has, toBegin until a read waits for it.
	first atomic.Int64

	last atomic.Int64 // when bytes passed last, Unix nanoseconds; kept only for idle

	drain atomic.Uint32 // whether a read is to end when the server drains
	off   bool          // nc's deadlines are somebody else's; with mu

	mu                  sync.Mutex
	userRead, userWrite time.Time
	armedRead, armedOut time.Time
}

// The states of Limits.drain.
const (
	drainUnasked = iota
	drainAsked
	drainDue  // the next read that would wait ends
	drainTold // one has
)

// AskDrain makes one read end with ErrDraining when the server drains.
func (l *Limits) AskDrain() { l.drain.CompareAndSwap(drainUnasked, drainAsked) }

// Drain ends the read of nc that waits, or the next one, if AskDrain was
// called.
func (l *Limits) Drain(nc net.Conn) {
	if l.drain.Load() != drainAsked {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.drain.CompareAndSwap(drainAsked, drainDue) && !l.off {
		nc.SetReadDeadline(past)
	}
}

// Drained notes that a read of nc has ended with ErrDraining; others wait
// again.
func (l *Limits) Drained(nc net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drain.Store(drainTold)
	l.armedRead = time.Time{}
	nc.SetReadDeadline(time.Time{})
}

var past = time.Unix(1, 0)

// Init sets the limits of a client that was accepted at begin.
func (l *Limits) Init(v *Values, begin time.Time) {
	l.idle, l.write, l.request = v.Idle, v.Write, v.FirstRequest
	if v.Life > 0 {
		l.end = begin.Add(v.Life)
	}
	if l.idle > 0 {
		l.last.Store(begin.UnixNano())
	}
}

const toBegin = -1

// Begin notes that the client may now send its first request. Its time begins
// when a read waits for that: until then it is the server that takes its time.
func (l *Limits) Begin() {
	if l.request > 0 {
		l.first.Store(toBegin)
	}
}

// firstEnd returns until when the first request must have begun; zero is
// never.
func (l *Limits) firstEnd() time.Time {
	if l.request > 0 {
		if t := l.first.Load(); t > 0 {
			return time.Unix(0, t)
		}
	}
	return time.Time{}
}

// Any reports whether reads have limits beside the handler's deadlines.
func (l *Limits) Any() bool {
	return l.idle > 0 || l.request > 0 || !l.end.IsZero() || l.drain.Load() != drainUnasked
}

// settled reports whether reads need nothing but the handler's own deadline: a
// drain that comes interrupts them by itself.
func (l *Limits) settled() bool {
	return l.drain.Load() <= drainAsked && l.idle == 0 && l.request == 0 && l.end.IsZero()
}

// Got notes that the client has sent something.
func (l *Limits) Got() {
	if l.request > 0 {
		l.first.Store(0)
	}
	l.Active()
}

// Active notes that bytes have passed.
func (l *Limits) Active() {
	if l.idle > 0 {
		l.last.Store(time.Now().UnixNano())
	}
}

// Expired returns the limit that has passed by now, if one has.
func (l *Limits) Expired() error {
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
	case l.drain.Load() == drainDue:
		return ErrDraining
	}
	return nil
}

// Early reports whether err, of a read, is a deadline of ours that came too
// early, because bytes have passed since it was set. That the kernel has given
// up a connection is no deadline: it tells so once.
func (l *Limits) Early(err error) bool {
	return l.Any() && IsTimeout(err) && l.Expired() == nil && !errors.Is(err, syscall.ETIMEDOUT)
}

// ExpiredWrite returns the limit other than the write limit that has passed.
func (l *Limits) ExpiredWrite() error {
	if l.UserWritePassed() {
		return os.ErrDeadlineExceeded
	}
	if !l.end.IsZero() && !time.Now().Before(l.end) {
		return ErrMaxLife
	}
	return nil
}

func (l *Limits) UserWritePassed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.userWrite.IsZero() && !time.Now().Before(l.userWrite)
}

// ArmRead makes sure that a Read of nc will not wait past the nearest limit.
func (l *Limits) ArmRead(nc net.Conn) {
	if l.settled() {
		return // the handler's own deadline is set on nc already
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.drain.Load() == drainDue {
		nc.SetReadDeadline(now.Add(time.Millisecond)) // what has come is read first
		return
	}
	if l.request > 0 && l.first.Load() == toBegin {
		l.first.Store(now.Add(l.request).UnixNano())
	}
	soft := l.firstEnd()
	if l.idle > 0 {
		soft = Nearest(soft, time.Unix(0, l.last.Load()).Add(l.idle))
	}
	// What has come while nobody read is there to be read.
	if min := now.Add(time.Millisecond); !soft.IsZero() && soft.Before(min) {
		soft = min
	}
	want := Nearest(Nearest(l.userRead, l.end), soft)
	if l.armedRead.After(now) && !l.armedRead.After(want) || want.IsZero() && l.armedRead.IsZero() {
		return
	}
	l.armedRead = want
	nc.SetReadDeadline(want)
}

// ArmWrite makes sure that a Write to nc will not wait past the nearest limit:
// for the write limit, between once and one and a half times its length.
func (l *Limits) ArmWrite(nc net.Conn) {
	if l.write == 0 && l.end.IsZero() {
		return
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	want := Nearest(l.userWrite, l.end)
	if l.write > 0 {
		if l.armedOut.Sub(now) >= l.write && (want.IsZero() || !l.armedOut.After(want)) {
			return
		}
		want = Nearest(want, now.Add(l.write).Add(l.write/2))
	} else if l.armedOut.Equal(want) {
		return
	}
	l.armedOut = want
	nc.SetWriteDeadline(want)
}

func (l *Limits) SetRead(nc net.Conn, t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.userRead = t
	l.armedRead = Nearest(t, l.end)
	if l.idle > 0 {
		l.armedRead = Nearest(l.armedRead, time.Unix(0, l.last.Load()).Add(l.idle))
	}
	if l.drain.Load() == drainDue {
		return nc.SetReadDeadline(past) // whoever reads now is told first
	}
	return nc.SetReadDeadline(l.armedRead)
}

func (l *Limits) SetWrite(nc net.Conn, t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.userWrite = t
	l.armedOut = Nearest(t, l.end)
	if l.write > 0 {
		l.armedOut = Nearest(l.armedOut, time.Now().Add(l.write).Add(l.write/2))
	}
	return nc.SetWriteDeadline(l.armedOut)
}

// Off takes all deadlines away and leaves nc's to the caller, until Renew.
func (l *Limits) Off(nc net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.off = true
	nc.SetDeadline(time.Time{})
}

// Renew sets the handler's deadlines on nc, which has taken the place of
// another connection; the server's own are set as they are needed.
func (l *Limits) Renew(nc net.Conn) {
	l.mu.Lock()
	l.off = false
	read, write := l.userRead, l.userWrite
	l.mu.Unlock()
	l.SetRead(nc, read)
	l.SetWrite(nc, write)
}

// RenewRead sets the handler's read deadline on nc again, and any other.
func (l *Limits) RenewRead(nc net.Conn) {
	l.mu.Lock()
	read := l.userRead
	l.mu.Unlock()
	l.SetRead(nc, read)
}

// Parked returns when a client that waits with no read has to be looked at;
// zero if never. A first request that has not begun has its time from now on.
func (l *Limits) Parked(now time.Time) time.Time {
	l.mu.Lock()
	end := Nearest(l.userRead, l.end)
	l.mu.Unlock()
	if l.request > 0 {
		l.first.CompareAndSwap(toBegin, now.Add(l.request).UnixNano())
		end = Nearest(end, l.firstEnd())
	}
	if l.idle > 0 {
		end = Nearest(end, time.Unix(0, l.last.Load()).Add(l.idle))
	}
	return end
}

// Due reports whether a read that waits has to end since the server drains.
func (l *Limits) Due() bool { return l.drain.Load() == drainDue }

// WriteLimit returns how long a client may take no bytes; 0 is for ever, or as
// long as the kernel says.
func (l *Limits) WriteLimit() time.Duration { return l.write }

// Next returns when the idle limit or the life ends, if nothing passes; zero
// if never. It is a moment after now at least, so that waiting for it waits.
func (l *Limits) Next(now time.Time) time.Time {
	t := l.end
	if l.idle > 0 {
		t = Nearest(t, time.Unix(0, l.last.Load()).Add(l.idle))
	}
	if soon := now.Add(time.Millisecond); !t.IsZero() && t.Before(soon) {
		t = soon
	}
	return t
}

// Passed returns the idle limit or the end of life, if that is over.
func (l *Limits) Passed() error {
	now := time.Now()
	switch {
	case !l.end.IsZero() && !now.Before(l.end):
		return ErrMaxLife
	case l.idle > 0 && now.UnixNano()-l.last.Load() >= int64(l.idle):
		return ErrIdle
	}
	return nil
}

// IdleLimit returns the idle limit, 0 for none, and when bytes passed last,
// which is kept only for that.
func (l *Limits) IdleLimit() (limit time.Duration, last time.Time) {
	if l.idle > 0 {
		last = time.Unix(0, l.last.Load())
	}
	return l.idle, last
}

// Nearest returns the earlier of two deadlines, of which zero is none.
func Nearest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
