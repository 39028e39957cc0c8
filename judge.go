package netserver

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"netserver/logs"
	"netserver/proto"
)

// judgeTime bounds one judgement of one client, which may ask a responder.
const judgeTime = 10 * time.Second

// judgesAtOnce bounds how many clients of a port are judged again at one time:
// one that waits for a responder must not keep the others, who may have been
// revoked, and one responder must not be asked more than it can answer.
const judgesAtOnce = 32

// clockLook is how often judgeLoop looks at the clock: timers do not notice one
// that is set, and dates of certificates go by it.
const clockLook = 30 * time.Second

// judge asks the Transport whether the client may come in, after its
// handshake, and when to ask again.
func (c *Conn) judge(ctx context.Context, j proto.Judge) error {
	return c.judgeConn(ctx, j, c.nc)
}

func (c *Conn) judgeConn(ctx context.Context, j proto.Judge, nc net.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, judgeTime)
	defer cancel()
	for {
		changed := j.Changed()
		until, reason, err := j.Judge(ctx, nc)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDenied, err)
		}
		c.verdict.Store(&verdict{nc: nc, until: until, reason: reason})
		c.l.sooner(until)
		select {
		case <-changed:
			// judgeAll may have passed a client without a verdict by, and
			// this one may be by the rules of before.
		default:
			return nil
		}
	}
}

// A verdict is why a client may be here, and until when that holds.
type verdict struct {
	nc     net.Conn // that was judged: by now the client may have ended TLS
	until  time.Time
	reason string
}

// A recheck says when the next verdict on a client of a port ends.
type recheck struct {
	at   atomic.Int64  // Unix nanoseconds; 0 is never
	wake chan struct{} // has something when at became earlier
}

// sooner makes the port's judge look at its clients at until, if it would
// look later.
func (l *listening) sooner(until time.Time) {
	if until.IsZero() {
		return
	}
	n := until.UnixNano()
	for {
		at := l.recheck.at.Load()
		if at != 0 && at <= n {
			return
		}
		if l.recheck.at.CompareAndSwap(at, n) {
			break
		}
	}
	select {
	case l.recheck.wake <- struct{}{}:
	default:
	}
}

// judgeLoop judges the open clients of a port again whenever their Transport
// tells that the rules have changed, and when a verdict ends: a client does
// not stay because it came in time.
func (r *run) judgeLoop(ctx context.Context, l *listening, j proto.Judge) {
	changed := j.Changed()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		at := l.recheck.at.Load()
		if at == 0 {
			timer.Stop()
		} else {
			timer.Reset(min(time.Until(time.Unix(0, at)), clockLook))
		}
		select {
		case <-ctx.Done():
			return
		case <-l.recheck.wake:
		case <-changed:
			changed = j.Changed()
			r.judgeAll(ctx, l, j, time.Time{})
		case <-timer.C:
			if now := time.Now(); now.UnixNano() >= at {
				l.recheck.at.Store(0)
				r.judgeAll(ctx, l, j, now)
			}
		}
	}
}

// judgeAll judges the clients of a port: all, or, if ended is not zero, those
// whose verdict has ended by then.
func (r *run) judgeAll(ctx context.Context, l *listening, j proto.Judge, ended time.Time) {
	var cut atomic.Int64
	var wg sync.WaitGroup
	places := make(chan struct{}, judgesAtOnce)
	for _, c := range r.clients.on(l) {
		v := c.verdict.Load()
		if v == nil {
			continue // still in its handshake, which is judged by itself
		}
		if !ended.IsZero() && (v.until.IsZero() || v.until.After(ended)) {
			l.sooner(v.until)
			continue
		}
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if err := c.judgeConn(ctx, j, v.nc); err != nil && ctx.Err() == nil {
				// Why it could come in does not hold any more.
				c.verdict.Store(&verdict{nc: v.nc, until: v.until, reason: "cut: " + err.Error()})
				c.cut(err)
				cut.Add(1)
			}
		})
	}
	wg.Wait()
	if cut := int(cut.Load()); cut > 0 {
		r.log.LogAttrs(ctx, logs.Notice, "the rules for client certificates have changed or a certificate has ended: clients cut",
			slog.String("port", l.spec.Short()), slog.Int("clients", cut))
	}
}
