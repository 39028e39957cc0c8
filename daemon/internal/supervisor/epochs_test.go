package supervisor

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"netserver/daemon/internal/wire"
)

func TestEpochs(t *testing.T) {
	var e epochs
	now := time.Unix(1_700_000_000, 0)
	e.next(now)
	first := e.secrets()
	if len(first.Current) != 32 || first.Past != nil {
		t.Fatal(first)
	}
	e.next(now)
	s := e.secrets()
	if slices.Equal(s.Current, first.Current) || len(s.Past) != 1 || !slices.Equal(s.Past[0], first.Current) {
		t.Error("the first is not the past of the second")
	}
	for range 100 {
		e.next(now)
	}
	if len(e.list) != maxEpochs {
		t.Errorf("%d are kept", len(e.list))
	}
	e.next(now.Add(epochLife))
	e.next(now.Add(epochLife + time.Hour))
	if len(e.list) != 3 {
		t.Errorf("%d are kept, of which two can have tickets", len(e.list))
	}
	if newest := e.newest(); e.distrust(newest-2, now) != true || len(e.list) != 2 || e.distrust(newest-2, now) || e.newest() != newest {
		t.Error("distrust of the past")
	}
	newest, s := e.newest(), e.secrets()
	if !e.distrust(newest, now) || len(e.list) != 1 || e.newest() == newest || slices.Equal(e.secrets().Current, s.Current) {
		t.Error("distrust of the newest")
	}
}

// told returns the secrets that a worker was sent last, or nil.
func toldSecrets(w *child) (last *wire.Secrets) {
	for len(w.outbox) > 0 {
		if c := <-w.outbox; c.Op == wire.OpTickets {
			last = c.Tickets
		}
	}
	return last
}

// TestSecretsOfEndedWorkers: what a worker knew is of no use after it.
func TestSecretsOfEndedWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &supervisor{calls: make(chan func(), 16), quit: make(chan struct{})}
		worker := func(g *generation) *child {
			w := &child{gen: g, outbox: make(chan wire.Message, outboxSize), epoch: s.epochs.newest()}
			g.workers[w] = struct{}{}
			return w
		}
		s.epochs.next(time.Now())
		old := &generation{workers: make(map[*child]struct{}), leaving: true}
		leaving := worker(old)
		s.epochs.next(time.Now())
		g := &generation{workers: make(map[*child]struct{})}
		s.gens = []*generation{old, g}
		stays, ends := worker(g), worker(g)
		first := s.epochs.newest()

		leaving.told = true
		s.outlive(leaving, "")
		if s.epochs.newest() != first || len(s.epochs.list) != 2 {
			t.Error("a restart that went well has consequences")
		}
		s.outlive(leaving, "signal: killed")
		if got := toldSecrets(stays); s.epochs.newest() != first || got == nil || got.Past != nil {
			t.Error("the secrets of one that was killed are not given up")
		}
		if toldSecrets(leaving) != nil {
			t.Error("one that leaves has newer secrets")
		}

		for name, bad := range map[string]func(){
			"killed":         func() { s.outlive(ends, "signal: killed") },
			"of itself":      func() { s.outlive(ends, "") },
			"it says why":    func() { ends.reason = []string{"x"}; s.outlive(ends, ""); ends.reason = nil },
			"told, killed":   func() { ends.told = true; s.outlive(ends, "exit status 1"); ends.told = false },
			"leaves, unmade": func() { ends.leaving = true; s.outlive(ends, ""); ends.leaving = false },
		} {
			ends.epoch = s.epochs.newest()
			before := s.epochs.secrets()
			bad()
			got := toldSecrets(stays)
			if got == nil || slices.Equal(got.Current, before.Current) || got.Past != nil || stays.epoch != s.epochs.newest() {
				t.Errorf("%s: %v", name, got)
			}
		}

		// In order: the next epoch begins an hour after the last.
		g.scale.Requests, ends.leaving, ends.epoch = 5, true, s.epochs.newest()
		toldSecrets(stays)
		time.Sleep(epochTurn / 2)
		s.outlive(ends, "")
		s.outlive(ends, "")
		time.Sleep(epochTurn/2 - time.Second)
		synctest.Wait()
		if len(s.calls) != 0 {
			t.Error("too early")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(s.calls) != 1 {
			t.Fatalf("%d calls", len(s.calls))
		}
		(<-s.calls)()
		if got := toldSecrets(stays); got == nil || len(got.Past) != 1 {
			t.Error("no new epoch")
		}
	})
}
