package ctl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"netserver/daemon/internal/wire"
	"netserver/internal/control"
	"netserver/internal/metric"
)

// A fakeTarget is a server whose processes give prepared answers.
type fakeTarget struct {
	answers map[int]wire.Answer
	errs    map[int]error
	ended   chan struct{}
}

func (f *fakeTarget) Members() (list []wire.Member) {
	for id := 1; id <= len(f.answers)+len(f.errs); id++ {
		list = append(list, wire.Member{ID: id, PID: 1000 + id, Ready: true})
	}
	return list
}

func (f *fakeTarget) Ask(_ context.Context, m wire.Member, _ wire.Ask) (wire.Answer, error) {
	return f.answers[m.ID], f.errs[m.ID]
}

func (f *fakeTarget) Metrics() *metric.Set       { return new(metric.Set) }
func (f *fakeTarget) Remember(wire.Ask)          {}
func (f *fakeTarget) Lifted(netip.Prefix) uint64 { return 0 }

func (f *fakeTarget) AskToLeave(bool)          {}
func (f *fakeTarget) MayLeave() (bool, string) { return false, "" }

func (f *fakeTarget) Overview() *control.Status { return &control.Status{} }
func (f *fakeTarget) Reload(context.Context, bool) (*control.Reload, error) {
	return nil, errors.ErrUnsupported
}
func (f *fakeTarget) End(bool)               {}
func (f *fakeTarget) Grace() time.Duration   { return time.Second }
func (f *fakeTarget) Ended() <-chan struct{} { return f.ended }

// Limits add up over processes; the value is the newest one's, and a process
// that does not answer is named.
func TestLimitsAddUp(t *testing.T) {
	number := func(n float64) *float64 { return &n }
	limit := func(value, use float64, refused uint64) []control.Limit {
		return []control.Limit{{Key: "max_connections", Value: number(value), Use: number(use), Refused: refused}}
	}
	s := New(slog.New(slog.DiscardHandler), &fakeTarget{
		answers: map[int]wire.Answer{
			1: {Limits: limit(10, 3, 1), Sources: []control.Source{{Network: "192.0.2.1", Clients: 2}, {Network: "192.0.2.2", Clients: 1}}},
			2: {Limits: limit(20, 5, 4), Sources: []control.Source{{Network: "192.0.2.2", Clients: 4}}},
		},
		errs: map[int]error{3: &wire.SilentError{Since: 2 * time.Second}, 4: wire.ErrGone},
	})
	l := s.Limits(t.Context(), 1)
	if len(l.Limits) != 1 || l.Processes != 2 {
		t.Fatalf("%+v", l)
	}
	m := l.Limits[0]
	if *m.Value != 20 || *m.Use != 8 || *m.Most != 5 || m.Refused != 5 {
		t.Errorf("value %v, use %v, most %v, refused %v", *m.Value, *m.Use, *m.Most, m.Refused)
	}
	if want := []control.Source{{Network: "192.0.2.2", Clients: 5}}; !reflect.DeepEqual(l.Sources, want) {
		t.Errorf("%+v", l.Sources)
	}
	if want := []control.Silent{{Worker: 3, PID: 1003, For: 2}}; !reflect.DeepEqual(l.Silent, want) {
		t.Errorf("%+v", l.Silent)
	}
}

// A network that several processes have boxed is listed once, with what is
// worst.
func TestPenaltiesAreOne(t *testing.T) {
	s := New(slog.New(slog.DiscardHandler), &fakeTarget{answers: map[int]wire.Answer{
		1: {Boxed: []control.Boxed{{Network: "192.0.2.1", Left: 10, Offences: 3, Processes: 1}}},
		2: {Boxed: []control.Boxed{{Network: "192.0.2.1", Left: 20, Offences: 1, Processes: 1}, {Network: "192.0.2.9", Left: 30, Offences: 1, Processes: 1}}, More: true},
	}})
	p := s.Penalties(t.Context())
	want := []control.Boxed{{Network: "192.0.2.9", Left: 30, Offences: 1, Processes: 1}, {Network: "192.0.2.1", Left: 20, Offences: 3, Processes: 2}}
	if !reflect.DeepEqual(p.Boxed, want) || !p.More {
		t.Errorf("%+v", p)
	}
}

// Where a worker cannot be asked, its place in the list of questions is free
// again.
func TestRoundsAreGivenBack(t *testing.T) {
	f := &fakeTarget{answers: map[int]wire.Answer{1: {}}}
	s := New(slog.New(slog.DiscardHandler), f)
	f.errs = map[int]error{2: fmt.Errorf("no")}
	for range 2 * roundsAtOnce {
		var silent []control.Silent
		s.all(t.Context(), wire.Ask{}, &silent)
		if _, err := s.round(t.Context(), wire.Member{ID: 2}, wire.Ask{}); err == nil || len(silent) != 1 {
			t.Fatal(err, silent)
		}
	}
}
