package lograte

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// perSecond is how many lines pass in a second; the rest are counted. What
// strangers send must not fill a disk.
const perSecond = 50

// Of each kind so many lines pass in a span; the rest are counted and reported
// at its end.
const (
	perKind  = 10
	kindSpan = time.Minute
)

// A Sampler bounds the log lines that strangers can cause, and logs how many
// it kept back. Its methods may be called concurrently.
type Sampler struct {
	log   *slog.Logger
	level slog.Level
	names []string // of the kinds

	mu      sync.Mutex
	since   time.Time
	logged  int
	skipped int
	timer   *time.Timer

	kinds  []kind      // in this minute
	minute *time.Timer // nil while nothing was skipped
	began  time.Time   // when the minute did
}

type kind struct{ logged, skipped int }

// New returns a Sampler that logs to log at level what it kept back. names are
// those of the kinds, by number.
func New(log *slog.Logger, level slog.Level, names []string) *Sampler {
	return &Sampler{log: log, level: level, names: names, kinds: make([]kind, len(names))}
}

// AllowKind reports whether one more line of a kind may be logged now: a few
// in a minute, and at its end how many more there were.
func (s *Sampler) AllowKind(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.minute == nil && now.Sub(s.began) >= kindSpan {
		s.began = now
		clear(s.kinds)
	}
	k := &s.kinds[n]
	if k.logged < perKind {
		k.logged++
		return true
	}
	k.skipped++
	if s.minute == nil {
		s.minute = time.AfterFunc(kindSpan-time.Since(s.began), s.flushKinds)
	}
	return false
}

// flushKinds logs how many lines of each kind were kept back.
func (s *Sampler) flushKinds() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.minute == nil {
		return
	}
	s.minute.Stop()
	s.minute = nil
	var counts []slog.Attr
	for i, k := range s.kinds {
		if k.skipped > 0 {
			counts = append(counts, slog.Int(s.names[i], k.skipped))
		}
	}
	s.log.LogAttrs(context.Background(), s.level, "further clients not logged individually, by outcome", counts...)
	s.began = time.Now()
	clear(s.kinds)
}

// Allow reports whether one more line may be logged now.
func (s *Sampler) Allow() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.since) >= time.Second {
		s.summary()
		s.since, s.logged = now, 0
	}
	if s.logged < perSecond {
		s.logged++
		return true
	}
	s.skipped++
	if s.timer == nil {
		s.timer = time.AfterFunc(time.Second, s.flushSecond)
	}
	return false
}

// Flush logs what was kept back and not reported yet.
func (s *Sampler) Flush() {
	s.flushKinds()
	s.flushSecond()
}

func (s *Sampler) flushSecond() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.summary()
}

func (s *Sampler) summary() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if s.skipped > 0 {
		s.log.Log(context.Background(), s.level, "further client failures not logged individually", "skipped", s.skipped)
		s.skipped = 0
	}
}
