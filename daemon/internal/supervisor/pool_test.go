package supervisor

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"netserver/daemon/internal/wire"
)

// A fakePool is a supervisor with one PreFork generation whose workers are no
// processes: they become ready at once, and end when they are told to and have
// no client.
type fakePool struct {
	*supervisor
	g       *generation
	clients map[*child]int
	spawned int
}

func newFakePool(sc Scale) *fakePool {
	c := &Settings{Scale: sc}
	f := &fakePool{clients: make(map[*child]int), supervisor: &supervisor{
		o: new(Options), conf: c, log: slog.New(slog.DiscardHandler), calls: make(chan func()), quit: make(chan struct{}),
	}}
	f.g = &generation{
		id: 1, conf: c, plan: new(wire.Plan), scale: sc, workers: make(map[*child]struct{}),
		looked: time.Now(), client: time.Now(), ready: true,
	}
	f.gens = []*generation{f.g}
	f.supervisor.start = f.startFake
	f.manage(f.g)
	return f
}

func (f *fakePool) startFake(g *generation) error {
	f.spawned++
	w := &child{id: f.spawned, gen: g, began: time.Now(), outbox: make(chan wire.Message, outboxSize), ready: true}
	g.workers[w] = struct{}{}
	g.started = w.began
	return nil
}

// run does what the supervisor's loop does, for a time.
func (f *fakePool) run(d time.Duration) {
	end := time.After(d)
	for {
		f.obeyOrders()
		select {
		case call := <-f.calls:
			call()
		case <-end:
			f.obeyOrders()
			return
		}
	}
}

// obeyOrders ends the workers that were told to leave and have no client.
func (f *fakePool) obeyOrders() {
	for _, w := range f.g.sorted() {
		if w.leaving && f.clients[w] == 0 {
			f.reap(w, "")
		}
	}
}

// busy has n clients in handlers, each in a worker of its own.
func (f *fakePool) busy(n int) {
	for _, w := range f.g.sorted() {
		serving := 0
		if n > 0 && !w.leaving {
			n--
			serving = 1
		}
		st := wire.Status{Serving: serving, Clients: serving, Total: w.status.Total}
		if serving > w.status.Serving {
			st.Total++
		}
		f.clients[w] = serving
		f.hear(w, wire.Message{Op: wire.OpStatus, Status: &st})
	}
}

// load lets clients come one after the other, as fast as workers are there.
func (f *fakePool) load(n int) {
	for i := range n {
		f.busy(min(i+1, len(f.g.workers)))
		f.run(time.Millisecond)
	}
}

func (f *fakePool) size() int { return len(f.g.workers) }

func (f *fakePool) stop() {
	f.g.stopTimers()
	close(f.quit)
}

// The pool through a day: a rush, the end of the rush, and calm.
func TestPoolGrowsAndShrinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Scale{Min: 2, Max: 9, MinSpare: 1, MaxSpare: 4, Clients: 1, Requests: 1000, Dynamic: true, Surplus: 10 * time.Second, MinLife: 10 * time.Second, Grows: GrowsProcesses}
		f := newFakePool(c)
		defer f.stop()
		at := func(when string, want int) {
			t.Helper()
			if f.size() != want {
				t.Errorf("%s: %d processes, not %d", when, f.size(), want)
			}
		}
		at("at the start", 2)
		f.load(1)
		at("one of two is busy", 2)
		f.load(2)
		at("both are busy", 3)
		f.load(20)
		at("a rush", 9)
		f.busy(3) // 6 wait, 4 may
		f.run(9 * time.Second)
		at("less than min_child_ttl after the last start", 9)
		f.run(2 * time.Second)
		at("check_for_waiting and min_child_ttl have passed", 7)
		f.busy(0)
		f.run(8 * time.Second)
		at("less than check_for_waiting after the last that ended", 7)
		f.run(2 * time.Second)
		at("max_spare_servers wait", 4)
		f.run(8 * time.Second)
		at("calm for less than 30 s", 4)
		f.run(2 * time.Second)
		at("calm: min_servers, more than min_spare_servers", 2)
		f.run(time.Hour)
		at("calm for long", 2)
		if f.spawned != 9 {
			t.Errorf("%d were started in all", f.spawned)
		}
	})
}

// A client now and then keeps the spare ones.
func TestPoolIsNotCalmWithClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Scale{Min: 1, Max: 9, MinSpare: 1, MaxSpare: 4, Clients: 1, Requests: 1000, Dynamic: true, Surplus: 10 * time.Second, MinLife: 10 * time.Second, Grows: GrowsProcesses}
		f := newFakePool(c)
		defer f.stop()
		f.load(4)
		for range 20 {
			f.busy(0)
			f.run(20 * time.Second)
			f.busy(1)
			f.run(time.Second)
		}
		if f.size() != 4 {
			t.Errorf("%d processes", f.size())
		}
		f.busy(0)
		f.run(31 * time.Second)
		if f.size() != 1 {
			t.Errorf("calm: %d processes", f.size())
		}
	})
}

// check_for_waiting and min_child_ttl of 0 are no wait at all, as with the
// original, and not the default.
func TestPoolWithoutWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Scale{Min: 1, Max: 9, MaxSpare: 1, Clients: 1, Requests: 1000, Dynamic: true, Surplus: 1, MinLife: 1, Grows: GrowsProcesses} // as TestScaleOfZeros has it
		f := newFakePool(c)
		defer f.stop()
		f.load(3)
		if f.size() != 1 {
			t.Errorf("without spare ones: %d processes", f.size())
		}
		f.g.grow(3)
		f.manage(f.g)
		f.busy(4)
		f.busy(0)
		f.run(time.Second)
		if f.size() != 4 { // min_servers is 4 now
			t.Errorf("%d processes", f.size())
		}
		f.g.grow(-3)
		f.manage(f.g)
		f.run(time.Second)
		if f.size() != 1 {
			t.Errorf("%d processes a second after TTOU", f.size())
		}
	})
}

// After failures nothing is started later that nobody needs.
func TestFailuresStartNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePool(Scale{Min: 2, Max: 2, Clients: 1})
		defer f.stop()
		f.g.failures = 5
		f.manage(f.g)
		if f.g.restart != nil {
			t.Error("a start is planned")
		}
		if f.run(time.Hour); f.spawned != 2 {
			t.Errorf("%d workers were started, 2 are needed", f.spawned)
		}
	})
}

// A worker that was told to leave counts as full until it says that it knows:
// what it reported before may be out of date.
func TestLeavingCountsUntilItIsKnown(t *testing.T) {
	g := &generation{scale: Scale{Clients: 1, Dynamic: true}}
	for _, c := range []struct {
		w    *child
		last int
	}{
		{&child{leaving: true}, 1},
		{&child{leaving: true, status: wire.Status{Leaving: true}}, 0},
		{&child{leaving: true, status: wire.Status{Leaving: true, Serving: 1}}, 1},
		{&child{leaving: true, dismissed: true}, 0},
	} {
		g.workers = map[*child]struct{}{c.w: {}}
		if got := g.population().last; got != c.last {
			t.Errorf("%+v: %d, want %d", c.w.status, got, c.last)
		}
	}
	g.scale.Dynamic = false
	g.workers = map[*child]struct{}{{leaving: true}: {}}
	if got := g.population().last; got != 0 {
		t.Errorf("of workers that report nothing: %d", got)
	}
}
