package proxy

import (
	"context"
	"log/slog"
	"time"

	"netserver/logs"
)

// Passive health: what clients find out about targets.

const (
	// resetLimit is how many connections in a row a target may reset before its
	// first byte. A single one may be the fault of what its client sent.
	resetLimit = 3
	// A target that has failed is tried again after retryFirst, and then less
	// and less often.
	retryFirst = time.Second
	retryLast  = 30 * time.Second
)

// connectedTo notes that a client has been connected to ep.
func (b *Backend) connectedTo(ep *endpoint) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ep.health.failing && ep.health.resets < resetLimit {
		b.recovered(ep)
	}
}

// noteFailure notes that a client could not be connected to ep.
func (b *Backend) noteFailure(ctx context.Context, ep *endpoint, err error) {
	if ctx.Err() != nil {
		return // the client's or the server's end
	}
	ep.misses.Add(1)
	if isOurs(err) || b.lone.Load() == ep { // which is used whatever is known of it
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failing(ep, reasonOf(err))
}

// noteUnreachable notes that a datagram found nobody at ep. That is over after a
// while: whether somebody listens for datagrams cannot be found out by
// connecting.
func (b *Backend) noteUnreachable(ctx context.Context, ep *endpoint, err error) {
	b.mu.Lock()
	ep.health.datagrams = true
	b.mu.Unlock()
	b.noteFailure(ctx, ep, err)
}

// reasonOf is err without the target's name, if it is a failure of one.
func reasonOf(err error) string {
	if f, ok := err.(*failure); ok {
		return f.what()
	}
	return err.Error()
}

// done gives back a client's place at ep, whose connection ended with a reset by
// the target before its first byte, or otherwise.
func (b *Backend) done(ep *endpoint, firstByte, reset bool) {
	ep.active.Add(-1)
	if b.lone.Load() == ep {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	h := &ep.health
	switch {
	case firstByte:
		h.resets, h.failures, h.datagrams = 0, 0, false
		if h.failing {
			b.recovered(ep)
		}
	case reset:
		if h.resets++; h.resets >= resetLimit {
			b.failing(ep, "it resets connections before its first byte")
		}
	}
	b.serveQueue()
}

// failing marks ep as failing. It gets no more clients, but as a last resort,
// until a connection to it succeeds. Call it with b.mu held.
func (b *Backend) failing(ep *endpoint, why string) {
	h := &ep.health
	now := time.Now()
	h.lastTried = now
	h.failures++
	delay := retryLast
	if h.failures < 6 {
		delay = min(retryLast, retryFirst<<(h.failures-1))
	}
	if next := now.Add(jitter(delay)); b.Check.Kind == CheckOff || h.next.After(next) {
		h.next = next
	}
	b.signal()
	if h.failing {
		return
	}
	wasUp := ep.isUpHere()
	h.failing = true
	if wasUp {
		b.tellDown(ep, why, true)
		b.weigh()
	}
}

// recovered marks ep as no longer failing. Call it with b.mu held.
func (b *Backend) recovered(ep *endpoint) {
	h := &ep.health
	h.failing = false
	switch {
	case h.resets >= resetLimit:
		h.resets = resetLimit - 1 // only a first byte clears it of that
	case !h.datagrams:
		h.failures = 0
	}
	if ep.isUp() {
		b.tellUp(ep, true)
	}
	b.weigh()
}

// tellDown and tellUp note that ep takes no more clients, or takes them again,
// and log it with say.
func (b *Backend) tellDown(ep *endpoint, why string, say bool) {
	ep.since, ep.reason = time.Now(), why
	if say {
		b.log(slog.LevelWarn, "target is down", slog.String("target", ep.shortName()), slog.String("err", why))
	}
}

func (b *Backend) tellUp(ep *endpoint, say bool) {
	now := time.Now()
	down := now.Sub(ep.since)
	ep.since, ep.ready, ep.reason, ep.ahead = now, now, "", 0
	if say {
		b.log(logs.Notice, "target is up", slog.String("target", ep.shortName()), slog.Duration("after", down.Round(time.Millisecond)))
	}
	b.serveQueue()
}
