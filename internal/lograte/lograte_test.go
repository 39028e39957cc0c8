package lograte

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A list is a Handler that keeps what is logged.
type list struct {
	mu    sync.Mutex
	lines []string
}

func (l *list) Enabled(context.Context, slog.Level) bool { return true }
func (l *list) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *list) WithGroup(string) slog.Handler            { return l }

func (l *list) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := fmt.Sprint(r.Level, " ", r.Message)
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	l.lines = append(l.lines, line)
	return nil
}

func (l *list) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

// In a second so many lines pass, and at its end the rest are told.
func TestAllow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l list
		s := New(slog.New(&l), slog.LevelWarn, nil)
		for i := range perSecond + 7 {
			if s.Allow() != (i < perSecond) {
				t.Fatalf("line %d", i)
			}
		}
		if got := l.take(); got != nil {
			t.Error("too early:", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		want := []string{"WARN further client failures not logged individually skipped=7"}
		if got := l.take(); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if !s.Allow() {
			t.Error("nothing passes in the next second")
		}
		s.Flush()
		if got := l.take(); got != nil {
			t.Error("nothing was kept back:", got)
		}
	})
}

// The same in a minute for each kind, and Flush tells what is not told yet.
func TestAllowKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l list
		s := New(slog.New(&l), slog.LevelInfo, []string{"probe", "reset", "late"})
		say := func(kind, n, pass int) {
			t.Helper()
			passed := 0
			for range n {
				if s.AllowKind(kind) {
					passed++
				}
			}
			if passed != pass {
				t.Errorf("of kind %d %d passed, want %d", kind, passed, pass)
			}
		}
		expect := func(want ...string) {
			t.Helper()
			synctest.Wait()
			if got := l.take(); !slices.Equal(got, want) {
				t.Errorf("after %v got %q, want %q", time.Now(), got, want)
			}
		}
		say(0, perKind+2, perKind)
		say(1, perKind, perKind)
		say(2, perKind+1, perKind)
		time.Sleep(kindSpan - time.Millisecond)
		expect()
		time.Sleep(time.Millisecond)
		const msg = "INFO further clients not logged individually, by outcome"
		expect(msg + " probe=2 late=1")
		say(0, perKind+1, perKind)
		s.Flush()
		expect(msg + " probe=1")
		time.Sleep(2 * kindSpan)
		expect()
		say(0, perKind, perKind)
	})
}
