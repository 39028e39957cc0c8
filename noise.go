package netserver

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// noisePerSecond is how many failed clients are logged one by one in a second;
// the rest are counted. What strangers send must not fill a disk.
const noisePerSecond = 50

// Of each kind of noise so many are logged in a span; the rest are counted and
// told at its end.
const (
	noisePerKind = 10
	noiseSpan    = time.Minute
)

// noise bounds the log lines that strangers can cause.
type noise struct {
	log *slog.Logger

	mu      sync.Mutex
	since   time.Time
	logged  int
	skipped int
	timer   *time.Timer

	kinds  [Outcomes]struct{ logged, skipped int } // in this minute
	minute *time.Timer                             // nil while nothing was skipped
	began  time.Time                               // when the minute did
}

// allowOutcome reports whether one more client that ended so may be logged
// now. Of what every port sees all day a few are logged in a minute, and at
// its end how many there were.
func (n *noise) allowOutcome(o Outcome) bool {
	if !o.noise() {
		return n.allow()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := time.Now(); n.minute == nil && now.Sub(n.began) >= noiseSpan {
		n.began = now
		clear(n.kinds[:])
	}
	k := &n.kinds[o]
	if k.logged < noisePerKind {
		k.logged++
		return true
	}
	k.skipped++
	if n.minute == nil {
		n.minute = time.AfterFunc(noiseSpan-time.Since(n.began), n.flushKinds)
	}
	return false
}

// flushKinds logs how many of each kind were not logged one by one.
func (n *noise) flushKinds() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.minute == nil {
		return
	}
	n.minute.Stop()
	n.minute = nil
	var counts []slog.Attr
	for o, k := range n.kinds {
		if k.skipped > 0 {
			counts = append(counts, slog.Int(Outcome(o).String(), k.skipped))
		}
	}
	n.log.LogAttrs(context.Background(), LevelNotice, "more clients ended so than are logged one by one", counts...)
	n.began = time.Now()
	clear(n.kinds[:])
}

// allow reports whether one more failure may be logged now.
func (n *noise) allow() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := time.Now(); now.Sub(n.since) >= time.Second {
		n.summary()
		n.since, n.logged = now, 0
	}
	if n.logged < noisePerSecond {
		n.logged++
		return true
	}
	n.skipped++
	if n.timer == nil {
		n.timer = time.AfterFunc(time.Second, n.flushSecond)
	}
	return false
}

// flush logs how many were skipped.
func (n *noise) flush() {
	n.flushKinds()
	n.flushSecond()
}

// flushSecond does so for those that are logged by the second.
func (n *noise) flushSecond() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.summary()
}

func (n *noise) summary() {
	if n.timer != nil {
		n.timer.Stop()
		n.timer = nil
	}
	if n.skipped > 0 {
		n.log.Log(context.Background(), LevelNotice, "more clients failed than are logged one by one", "skipped", n.skipped)
		n.skipped = 0
	}
}
