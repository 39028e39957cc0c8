package proto

import (
	"context"
	"slices"
	"testing"

	"netserver/tlsparams"
)

// A bare is a Transport with nothing beside its Network and Ready.
type bare struct{ Transport }

// A worker is a Runner without files to follow.
type worker struct {
	Transport
	n int
}

func (*worker) Run(context.Context) {}

// A listed is a Runner that cannot be compared.
type listed struct {
	Transport
	_ []int
}

func (listed) Run(context.Context) {}

// A follower is a Runner that follows files.
type follower struct {
	worker
	s *tlsparams.Source
}

func (f *follower) Source() *tlsparams.Source { return f.s }

// What ports share is there once, and what stands after it is not lost.
func TestSourcesAndRunners(t *testing.T) {
	a, b := new(tlsparams.Source), new(tlsparams.Source)
	first, same, other := &follower{s: a}, &follower{s: a}, &follower{s: b}
	w := new(worker)
	starts := Startable{bare{}, &TLSTransport{src: b}}
	last := &worker{n: 1}
	ts := []Transport{bare{}, first, first, same, w, w, other, starts, listed{}, listed{}, last}
	if got := Sources(ts); !slices.Equal(got, []*tlsparams.Source{a, b}) {
		t.Errorf("Sources: %d of them, want 2", len(got))
	}
	got := Runners(ts)
	// What cannot be compared is taken for another one.
	if len(got) != 6 || got[0] != Runner(first) || got[1] != Runner(w) || got[2] != Runner(other) || got[5] != Runner(last) {
		t.Errorf("Runners: %T", got)
	}
	if got := Sources([]Transport{bare{}, w}); len(got) != 0 {
		t.Errorf("Sources of transports without any: %v", got)
	}
}
