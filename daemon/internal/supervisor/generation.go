package supervisor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/internal/proc"
	"netserver/port"
)

// A generation is the workers of one configuration and one program file.
type generation struct {
	id       int
	plan     *wire.Plan
	conf     *Settings
	keys     []string // of its sockets
	binary   *childproc.Binary
	allowed  *allowed  // files that workers may have read
	keyAgent *keyAgent // of the private keys; nil if the workers read them themselves
	scale    Scale
	workers  map[*child]struct{}

	sandbox string // what restricts the workers, in their own words

	ready    bool // all first workers serve
	leaving  bool
	ended    bool // by makeRoom
	cut      bool // the same, at once
	failed   bool
	failures int // workers that ended badly one after the other
	early    int // workers that a signal ended before they could take it
	started  time.Time
	looked   time.Time // for surplus
	deadline *time.Timer
	restart  *time.Timer
	look     *time.Timer
	client   time.Time          // when the last one reached a handler
	unfollow context.CancelFunc // ends following the files
}

const (
	// startTime bounds the start of a generation.
	startTime = 30 * time.Second
	// steady is how long a worker has to serve for its end not to count as
	// one of a row.
	steady = 10 * time.Second

	firstDelay = 100 * time.Millisecond
	maxDelay   = 30 * time.Second

	// maxGenerations may be alive at once; before a further one is started
	// the clients of the oldest get the grace time.
	maxGenerations = 8
	// maxDraining is how many there may be with those that have that time.
	maxDraining = 16
)

// begin opens a plan's ports and starts its workers.
func (s *supervisor) begin(ctx context.Context, c *Settings, pl *wire.Plan, contents map[string][]byte) error {
	for _, n := range pl.Notes {
		logging.Notice(s.log, n)
	}
	binary, err := childproc.Self()
	if err != nil {
		return err
	}
	return s.beginWith(ctx, c, pl, binary, contents)
}

// beginWith is begin with a program file, which it closes if it fails.
func (s *supervisor) beginWith(ctx context.Context, c *Settings, pl *wire.Plan, binary *childproc.Binary, contents map[string][]byte) error {
	keys := keysOf(pl.Ports)
	may, err := newAllowed(c, pl, contents)
	if err != nil {
		binary.Close()
		return err
	}
	agent, err := s.newKeyAgent(c, pl, may)
	if err != nil {
		binary.Close()
		return err
	}
	opened, err := s.open(ctx, pl)
	if err != nil {
		binary.Close()
		return err
	}
	for _, so := range opened {
		if old := s.socks[so.key]; old != nil {
			old.close() // its file is gone; workers that have it keep it
		}
		s.socks[so.key] = so
	}
	if h := s.o.Bound; h != nil {
		specs := make([]port.Spec, len(pl.Ports))
		for i, r := range pl.Ports {
			specs[i] = r.Spec
		}
		h(specs)
	}
	s.nextGen++
	g := &generation{
		id: s.nextGen, plan: pl, conf: c, keys: keys, binary: binary, allowed: may, keyAgent: agent, scale: c.Scale,
		workers: make(map[*child]struct{}), looked: time.Now(), client: time.Now(),
	}
	g.grow(s.more)
	if !s.epochs.shared() {
		s.epochs.next(time.Now())
	}
	s.gens = append(s.gens, g)
	g.deadline = s.after(startTime, func() { s.startFailed(g, fmt.Errorf("not ready after %v", startTime)) })
	for range g.scale.Min {
		if err := s.spawn(g); err != nil {
			s.startFailed(g, err)
			break
		}
	}
	return nil
}

// isReady is called when a worker of g has become ready.
func (s *supervisor) isReady(g *generation) {
	if g.ready || g.failed || s.ending {
		return
	}
	for w := range g.workers {
		if !w.ready {
			return
		}
	}
	g.ready = true
	g.deadline.Stop()
	s.takeOver(g)
}

// drop forgets a generation without workers.
func (s *supervisor) drop(g *generation) {
	if len(g.workers) > 0 || !g.leaving && !g.failed {
		return
	}
	g.close()
	s.gens = slices.DeleteFunc(s.gens, func(o *generation) bool { return o == g })
}

func (g *generation) stopTimers() {
	for _, t := range []*time.Timer{g.deadline, g.restart, g.look} {
		if t != nil {
			t.Stop()
		}
	}
}

func (g *generation) close() {
	g.stopTimers()
	if g.unfollow != nil {
		g.unfollow()
	}
	g.binary.Close()
}

// identity says in one line what the workers keep and drop.
func (g *generation) identity() string {
	text := g.conf.Identity.String()
	if len(g.sandbox) > 0 {
		text += "; " + g.sandbox[:min(len(g.sandbox), 200)]
	}
	return text
}

// grow adds n to the number of processes, or of clients where there is one
// process.
func (g *generation) grow(n int) {
	sc := &g.scale
	switch sc.Grows {
	case GrowsProcesses:
		sc.Min, sc.Max = max(1, sc.Min+n), max(1, sc.Max+n)
	case GrowsClients:
		if sc.Clients > 0 {
			sc.Clients = max(1, sc.Clients+n)
		}
	}
}

// sorted returns the workers, oldest first.
func (g *generation) sorted() []*child {
	return slices.SortedFunc(maps.Keys(g.workers), func(a, b *child) int { return cmp.Compare(a.id, b.id) })
}

// manage starts and ends workers of a serving generation.
func (s *supervisor) manage(g *generation) {
	if !g.ready || g.leaving || g.failed || s.ending {
		return
	}
	c := g.population()
	start, end := g.scale.want(c)
	if start > 0 && g.restart == nil {
		s.startMore(g, start)
	}
	if end > 0 {
		s.endIdle(g, end)
	}
	s.boundLeaving(g)
	s.scheduleLook(g)
}

// population counts the workers.
func (g *generation) population() population {
	c := population{sinceStart: time.Since(g.started), sinceLook: time.Since(g.looked), sinceClient: time.Since(g.client)}
	for w := range g.workers {
		full := g.scale.Clients > 0 && w.status.Serving >= g.scale.Clients
		// What it said before it knew that it leaves may be out of date: a
		// client may have come to it meanwhile.
		unsure := g.scale.Dynamic && w.leaving && !w.status.Leaving
		switch {
		case w.leaving && (full || unsure) && !w.dismissed:
			c.last++
		case w.leaving:
		case !w.ready:
			c.starting++
		case full:
			c.busy++
		default:
			c.waiting++
		}
	}
	return c
}

// startMore starts n workers, at once or after a while if they keep failing.
func (s *supervisor) startMore(g *generation, n int) {
	if g.failures > 1 {
		d := min(firstDelay<<min(g.failures-2, 16), maxDelay)
		g.restart = s.after(d, func() {
			g.restart = nil
			// One try; more follow if it serves.
			s.tryStart(g, 1)
			s.manage(g)
		})
		return
	}
	s.tryStart(g, n)
}

func (s *supervisor) tryStart(g *generation, n int) {
	if g.leaving || g.failed || s.ending {
		return
	}
	for range n {
		if err := s.start(g); err != nil {
			s.log.Error("cannot start a worker", "generation", g.id, "err", err)
			g.failures = max(2, g.failures+1)
			return
		}
	}
}

// endIdle lets n workers end, those without clients first.
func (s *supervisor) endIdle(g *generation, n int) {
	list := slices.DeleteFunc(g.sorted(), func(w *child) bool { return w.leaving || !w.ready })
	slices.SortStableFunc(list, func(a, b *child) int { return cmp.Compare(a.status.Serving, b.status.Serving) })
	for _, w := range list[:min(n, len(list))] {
		w.leaving = true
		w.tell(wire.Message{Op: wire.OpLeave, Leave: &wire.Leave{}})
	}
	g.looked = time.Now()
}

// scheduleLook has the surplus looked at again when there could be any.
func (s *supervisor) scheduleLook(g *generation) {
	if g.look != nil {
		g.look.Stop()
		g.look = nil
	}
	d, ok := g.scale.next(g.population())
	if !ok {
		return
	}
	g.look = s.after(d, func() { s.manage(g) })
}

// resize carries out TTIN and TTOU.
func (s *supervisor) resize(sig os.Signal) {
	if s.ending {
		return
	}
	g := s.newest()
	n, word := 1, "Increasing"
	if sig == proc.LessSignal {
		n, word = -1, "Decreasing"
	}
	before := g.scale
	g.grow(n)
	if g.scale == before {
		logging.Notice(s.log, "max_servers is unlimited or already at its minimum; unchanged")
		return
	}
	s.more += n
	if g.scale.Grows == GrowsClients {
		logging.Notice(s.log, fmt.Sprintf("%s max server count (%d)", word, g.scale.Clients))
		g.scale = before
		s.reload() // a new worker with that many places
		return
	}
	logging.Notice(s.log, fmt.Sprintf("%s max server count (%d)", word, g.scale.Max))
	s.manage(g)
}

// newest returns the generation that serves.
func (s *supervisor) newest() *generation {
	for _, g := range slices.Backward(s.gens) {
		if g.ready && !g.leaving {
			return g
		}
	}
	return s.gens[len(s.gens)-1]
}

// makeRoom keeps the number of generations bounded: the clients of the oldest
// have the grace time, and are cut if restarts come faster than it passes.
func (s *supervisor) makeRoom() {
	alive := 0
	for _, g := range slices.Backward(s.gens) {
		if alive++; alive < maxGenerations || !g.leaving {
			continue
		}
		cut, what := alive >= maxDraining, "have the grace time"
		if cut {
			what = "are cut"
		}
		if g.ended && (!cut || g.cut) {
			continue // they were told
		}
		g.ended, g.cut = true, cut
		for w := range g.workers {
			s.log.Warn("too many generations: clients of the oldest "+what, "generation", g.id, "clients", w.status.Clients)
			s.finish(w, cut)
		}
	}
}
