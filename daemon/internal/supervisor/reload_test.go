package supervisor

import (
	"testing"

	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
)

// A generation all of whose workers have crashed is followed by another as one
// that has workers is.
func TestTakeOverFromCrashedWorkers(t *testing.T) {
	s := newWireState()
	old := s.gens[0]
	clear(old.workers)
	var err error
	if old.binary, err = childproc.Self(); err != nil {
		t.Fatal(err)
	}
	s.o.KeyKinds = func() map[string]KeyKind { return nil }
	g := &generation{id: 2, conf: s.conf, plan: old.plan, workers: make(map[*child]struct{}), ready: true}
	g.workers[&child{kind: "worker", id: 3, gen: g, ready: true, outbox: make(chan wire.Message, outboxSize)}] = struct{}{}
	g.scale = old.scale
	s.gens = append(s.gens, g)
	answer := make(chan reloaded, 1)
	s.reloads.now = append(s.reloads.now, answer)
	defer g.stopTimers()
	s.takeOver(g)
	if len(s.gens) != 1 || s.gens[0] != g || len(answer) != 1 {
		t.Errorf("%d generations, and %d answers", len(s.gens), len(answer))
	}
}
