package proxy

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// The time within which checks that are due go together: with a thousand targets
// there is always one that is due, and waking up for each costs as much as the
// check.
const (
	checkStep    = 20 * time.Millisecond
	checkLongest = 250 * time.Millisecond
)

// step returns that time, which no interval is shifted by noticeably.
func (b *Backend) step() time.Duration {
	if b.Check.Kind == CheckOff {
		return checkStep // clients wait for targets that may be back
	}
	return min(max(b.Check.interval()/20, checkStep), checkLongest)
}

// Run looks up names again, follows TargetsFile and checks targets until ctx
// ends. It may run several times at once: one of them does the work, and
// another takes over when that ends. It returns when all that it started has
// ended.
func (b *Backend) Run(ctx context.Context) {
	if b.init() != nil {
		return // Check and Serve report it
	}
	select {
	case b.running <- struct{}{}:
		defer func() { <-b.running }()
	case <-ctx.Done():
		return
	}
	var jobs sync.WaitGroup
	defer jobs.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if b.TargetsFile != "" {
		jobs.Go(func() { b.follow(ctx) })
	}
	b.startChecks(time.Now())
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
		case <-timer.C:
		}
		now := time.Now()
		for _, s := range b.dueNames(now) {
			jobs.Go(func() { b.resolve(ctx, s); b.signal() })
		}
		due, next := b.dueChecks(now)
		for _, ep := range due {
			jobs.Go(func() { b.check(ctx, ep) })
		}
		timer.Reset(max(time.Until(next), b.step()))
	}
}

// startChecks has all targets checked soon, but not all at once.
func (b *Backend) startChecks(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ep := range b.order {
		if h := &ep.health; b.Check.Kind != CheckOff && !h.checking {
			h.next = now.Add(rand.N(min(b.Check.interval(), time.Second)))
		}
	}
}

// dueChecks returns the targets that are to be checked now, and when there will
// be something to do next.
func (b *Backend) dueChecks(now time.Time) (due []*endpoint, next time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	next = now.Add(time.Minute)
	soonest := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	for _, ep := range b.order {
		h := &ep.health
		if h.checking {
			continue // its end wakes Run if need be
		}
		if b.Check.Kind == CheckOff {
			if !h.failing {
				continue
			}
		} else if h.next.IsZero() {
			h.next = now // a new one
		}
		if now.Before(h.next) {
			soonest(h.next)
			continue
		}
		h.checking = true
		h.next = now.Add(jitter(b.Check.interval()))
		soonest(h.next)
		due = append(due, ep)
	}
	for _, s := range b.sources {
		if s.named && !s.names.busy {
			soonest(s.names.next)
		}
	}
	b.looks = next
	return due, next
}

// check checks ep and uses the result.
func (b *Backend) check(ctx context.Context, ep *endpoint) {
	b.mu.Lock()
	h := &ep.health
	skip := b.Check.Kind == CheckOff && h.datagrams // the next datagram will tell
	b.mu.Unlock()
	var err error
	if !skip {
		err = b.probe(ctx, ep)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	h.checking = false
	if ctx.Err() == nil && !isOurs(err) {
		if !skip {
			ep.checks.Add(1)
		}
		b.checked(ep, err)
	}
	if h.next.Before(b.looks) { // sooner than Run knew while it was checked
		b.signal()
	}
}

// checked uses the result of a check. Call it with b.mu held.
func (b *Backend) checked(ep *endpoint, err error) {
	h := &ep.health
	h.err = ""
	if err != nil {
		ep.faults.Add(1)
		h.err = reasonOf(err)
	}
	wasDown := h.down
	b.judge(ep, err == nil)
	switch {
	case err == nil && h.failing:
		b.recovered(ep)
	case err == nil && wasDown && ep.isUp():
		b.tellUp(ep, true)
	case err != nil && h.failing:
		b.failing(ep, h.err) // it is tried less often
	case err != nil && !wasDown && h.down && !ep.drain:
		b.tellDown(ep, b.Check.describe(h.err), true)
	}
	if h.down != wasDown {
		b.weigh()
	}
	if h.streak > 0 { // it may be about to change
		h.next = time.Now().Add(jitter(b.Check.interval() / 4))
	}
}

// judge counts one check of ep.
func (b *Backend) judge(ep *endpoint, good bool) {
	h := &ep.health
	if b.Check.Kind == CheckOff {
		return
	}
	need := cmp.Or(b.Check.Fall, defaultFall)
	if h.down {
		need = cmp.Or(b.Check.Rise, defaultRise)
	}
	switch {
	case good != h.down:
		h.streak = 0 // as it was known
	case !h.checked:
		h.streak, h.down = 0, !h.down
	default:
		if h.streak++; h.streak >= need {
			h.streak, h.down = 0, !h.down
		}
	}
	h.checked = true
}

// jitter returns d, a tenth less or more, so that what is done often is not done
// by all at the same time.
func jitter(d time.Duration) time.Duration {
	if d < 10 {
		return d
	}
	return d - d/10 + rand.N(d/5)
}
