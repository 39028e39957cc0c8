package exec

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"netserver/internal/childproc/program"
	"netserver/proto"
)

// MaxSpare bounds Handler.Spare.
const MaxSpare = 1024

const (
	// maxStarting bounds the spare programs that were started and do not wait
	// for anything yet: interpreters that load their modules, say.
	maxStarting = 4
	// startingPoll is how often we look whether they wait, and maxStartTime
	// how long each counts at most.
	startingPoll = 2 * time.Millisecond
	maxStartTime = time.Second
	// quiet is how long no client must have come before spare programs are
	// started, unless half of them are gone: the clients of a burst go first.
	quiet = 20 * time.Millisecond
	// A spare program that ends by itself delays the next ones by pauseMin, and
	// by twice that each time again, up to pauseMax, until one has had a client
	// or lived for longLife.
	pauseMin = 100 * time.Millisecond
	pauseMax = 30 * time.Second
	longLife = 10 * time.Second
)

// A spare is a program that waits for a client.
type spare struct {
	p *program.Program
	pipes
	started time.Time
	file    fileID // of the program at that time
	gone    bool   // taken by a client, discarded, or ended; under pool.mu
}

// A pool keeps spare programs.
type pool struct {
	h    *Handler
	wake chan struct{} // tells run that one is missing
	ends sync.WaitGroup

	mu     sync.Mutex
	idle   []*spare // that wait, the oldest first
	asleep bool     // run waits for nothing but wake
	taken  time.Time
	closed bool

	failures int       // in a row
	pause    time.Time // until when none is started
	told     bool      // the log was told of a failure: once

	starting []*spare // of run alone
}

// checkSpare returns why there cannot be spare programs.
func (h *Handler) checkSpare() error {
	switch {
	case h.Spare > MaxSpare:
		return fmt.Errorf("%d spare programs are too many: at most %d", h.Spare, MaxSpare)
	case h.Spare > 0 && h.Substitute:
		return errors.New("spare programs have their arguments before their client is known: give either Spare or Substitute")
	case h.Spare > 0 && h.Terminal != nil:
		return errors.New("a spare program would wait at a terminal that nobody sits at, and could not tell when somebody does: give either Spare or Terminal")
	}
	return nil
}

// Run keeps spare programs, if Spare asks for some, until the server that has
// called it takes no more clients, or ctx ends. It returns when they have ended.
func (h *Handler) Run(ctx context.Context) {
	if h.Spare <= 0 || h.Check() != nil {
		return
	}
	p := &pool{h: h, wake: make(chan struct{}, 1)}
	if !h.pool.CompareAndSwap(nil, p) {
		return
	}
	p.run(ctx)
	h.pool.Store(nil)
}

func (p *pool) run(ctx context.Context) {
	defer p.close()
	draining := proto.Draining(ctx)
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-p.wake:
		case <-t.C:
		case <-draining:
			return
		case <-ctx.Done():
			return
		}
		if again := p.fill(); again > 0 {
			t.Reset(again)
		}
	}
}

// fill starts what is missing, as far as it is time for it, and returns when to
// call it again; 0 if when one is missing.
func (p *pool) fill() time.Duration {
	for {
		if wait, full := p.due(time.Now()); full || wait > 0 {
			return wait
		}
		if p.starting = p.stillStarting(time.Now()); len(p.starting) >= maxStarting {
			return startingPoll
		}
		p.start()
	}
}

// due returns how long to wait before the next start, or that none is missing.
func (p *pool) due(now time.Time) (wait time.Duration, full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	missing := p.h.Spare - len(p.idle)
	p.asleep = missing <= 0
	switch {
	case p.asleep:
		return 0, true
	case now.Before(p.pause):
		return p.pause.Sub(now), false
	case missing <= p.h.Spare/2 && now.Sub(p.taken) < quiet:
		return quiet - now.Sub(p.taken), false
	}
	return 0, false
}

// stillStarting returns those of the last programs that do not wait yet.
func (p *pool) stillStarting(now time.Time) []*spare {
	still := p.starting[:0]
	for _, s := range p.starting {
		if age := now.Sub(s.started); age < maxStartTime && s.p.Starting(age) {
			still = append(still, s)
		}
	}
	clear(p.starting[len(still):])
	return still
}

// start starts one program.
func (p *pool) start() {
	s := &spare{started: time.Now(), file: fileOf(p.h.resolved.Path)}
	var err error
	if s.p, s.pipes, err = p.h.startPipes(&p.h.resolved, p.h.resolved.env); err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.failed("a spare program cannot be started", slog.Any("err", err))
		return
	}
	p.starting = append(p.starting, s)
	p.mu.Lock()
	p.idle = append(p.idle, s)
	p.mu.Unlock()
	s.p.OnExit(func() { p.ended(s) })
}

// take returns a program that waits, for a client, or nil. A program whose file
// has been replaced or removed since its start is not used any more.
func (p *pool) take() *spare {
	if p == nil {
		return nil
	}
	file := fileOf(p.h.resolved.Path)
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		s := p.idle[0]
		p.idle[0] = nil
		p.idle = p.idle[1:]
		s.gone = true
		select {
		case <-s.p.Exited:
			p.lost(s)
			continue
		default:
		}
		if s.file != file {
			p.ends.Go(s.end(p.h))
			continue
		}
		p.failures, p.taken = 0, time.Now()
		p.wakeUp()
		return s
	}
	p.wakeUp()
	return nil
}

// wakeUp makes run look, unless it will anyway.
func (p *pool) wakeUp() {
	if !p.asleep {
		return
	}
	p.asleep = false
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// ended takes note of a program's end.
func (p *pool) ended(s *spare) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.gone {
		return
	}
	s.gone = true
	for i, other := range p.idle {
		if other == s {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			break
		}
	}
	p.lost(s)
}

// lost counts a program that has ended without a client.
func (p *pool) lost(s *spare) {
	lived := time.Since(s.started)
	if lived >= longLife {
		p.failures = 0
	}
	said := s.lastWords()
	s.pipes.close()
	p.failed("a spare program ended before it had a client; spare programs are for programs that wait for input",
		slog.Int("pid", s.p.Pid), s.p.Exit.Attr(), slog.Duration("after", lived.Round(time.Millisecond)), slog.String("stderr", said))
}

// failed delays the next start, and tells of the first failure.
func (p *pool) failed(what string, why ...slog.Attr) {
	p.pause = time.Now().Add(min(pauseMin<<min(p.failures, 20), pauseMax))
	p.failures++
	p.wakeUp()
	if p.told || p.h.Log == nil || p.closed {
		return
	}
	p.told = true
	why = append([]slog.Attr{slog.String("program", p.h.resolved.Path)}, why...)
	p.ends.Go(func() { // clients must not wait for the log
		p.h.Log.LogAttrs(context.Background(), slog.LevelWarn, what, why...)
	})
}

// lastWords returns the last line that an ended program has written to its
// standard error, if that goes to the log.
func (s *spare) lastWords() (line string) {
	if s.stderr == nil {
		return ""
	}
	all := program.Lines{Allow: func() bool { return true }, Emit: func(l string) { line = l }}
	s.stderr.StopWaiting(0)
	s.stderr.CopyTo(func(b []byte) error { _, err := all.Write(b); return err })
	all.Flush()
	return line
}

// end returns what ends a program that nobody needs any more.
func (s *spare) end(h *Handler) func() {
	return func() {
		s.pipes.close()
		s.p.End(h.killGrace(), nil)
	}
}

// close ends all programs that wait, and returns when they have ended.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	for _, s := range idle {
		s.gone = true
		p.ends.Go(s.end(p.h))
	}
	p.mu.Unlock()
	p.ends.Wait()
}
