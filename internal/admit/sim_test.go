package admit

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// A sim drives a Queue in simulated time: handshakes that are CPU, a round
// trip, and CPU again, on a machine whose processors take runnable goroutines
// in turns.
type sim struct {
	t       testing.TB
	q       *Queue
	now     int64
	procs   int
	timeout time.Duration
	rng     *rand.Rand

	tickAt   int64 // 0: none
	tickFunc func()
	ready    []*task // runnable, in order
	waits    []*task // for the network
	parked   []*task
	open     int
	finished int
	took     map[netip.Addr]int64 // CPU by source
	delays   map[netip.Addr][]int64
	trace    []int64 // finishing times, to compare runs
}

type task struct {
	s        *sim
	t        *Ticket
	a        netip.Addr
	begin    int64
	segments []int64 // CPU; between them the network
	rtt      int64
	until    int64 // of the network
	begun    bool
	starts   int
	submits  int
	cut      error
	isDone   bool
	onDone   func()
}

const simStep = int64(20 * time.Microsecond)

func newSim(t testing.TB, procs int, cfg QueueConfig) *sim {
	cfg.Procs = procs
	s := &sim{t: t, procs: procs, now: 1, rng: rand.New(rand.NewPCG(1, 2)),
		took: map[netip.Addr]int64{}, delays: map[netip.Addr][]int64{}}
	s.q = NewQueue(cfg)
	s.q.clock = func() int64 { return s.now }
	s.q.after = func(d time.Duration, f func()) {
		if s.tickAt != 0 {
			t.Fatal("two ticks at once")
		}
		s.tickAt, s.tickFunc = s.now+int64(d), f
	}
	return s
}

// add begins a handshake.
func (s *sim) add(a netip.Addr, rtt time.Duration, segments ...time.Duration) *task {
	k := &task{s: s, a: a, begin: s.now, rtt: int64(rtt)}
	for _, d := range segments {
		k.segments = append(k.segments, int64(d))
	}
	s.open++
	k.t = s.q.Add(a, k, s.timeout)
	k.submits++
	k.t.Submit()
	return k
}

func (k *task) Start() {
	if k.starts++; k.starts > k.submits {
		k.s.t.Fatal("started more often than submitted")
	}
	k.s.ready = append(k.s.ready, k)
}

func (k *task) Cut(why error) { k.cut = why }

// step runs the machine for simStep.
func (s *sim) step() {
	s.now += simStep
	if s.tickAt != 0 && s.tickAt <= s.now {
		s.tickAt = 0
		s.tickFunc()
	}
	s.waits = slices.DeleteFunc(s.waits, func(k *task) bool {
		if k.until > s.now && k.cut == nil {
			return false
		}
		if k.t.woken() {
			s.parked = append(s.parked, k)
		} else {
			k.t.from = s.now
			s.ready = append(s.ready, k)
		}
		return true
	})
	s.parked = slices.DeleteFunc(s.parked, func(k *task) bool {
		select {
		case <-k.t.wake:
			k.t.from = s.now
			s.ready = append(s.ready, k)
			return true
		default:
			return false
		}
	})
	on := slices.Clone(s.ready[:min(s.procs, len(s.ready))])
	s.ready = slices.Delete(s.ready, 0, len(on))
	for _, k := range on {
		s.work(k)
	}
}

func (s *sim) work(k *task) {
	if !k.begun {
		k.begun = true
		k.t.Begin()
		s.delays[k.a] = append(s.delays[k.a], s.now-k.begin)
	}
	if k.t.Err() != nil || k.cut != nil {
		s.end(k)
		return
	}
	s.took[k.a] += simStep
	if k.segments[0] -= simStep; k.segments[0] > 0 {
		s.ready = append(s.ready, k)
		return
	}
	if k.segments = k.segments[1:]; len(k.segments) == 0 {
		s.end(k)
		return
	}
	k.t.Waiting()
	k.until = s.now + k.rtt
	s.waits = append(s.waits, k)
}

func (s *sim) end(k *task) {
	if k.isDone {
		s.t.Fatal("ended twice")
	}
	k.isDone = true
	k.t.Done()
	s.open--
	s.finished++
	s.trace = append(s.trace, s.now)
	if k.onDone != nil {
		k.onDone()
	}
}

// run lets simulated time pass.
func (s *sim) run(d time.Duration, each func()) {
	for end := s.now + int64(d); s.now < end; {
		if each != nil {
			each()
		}
		s.step()
	}
}

// drain runs until nothing is open.
func (s *sim) drain() {
	for end := s.now + int64(5*time.Minute); s.open > 0; s.step() {
		if s.now > end {
			s.t.Fatalf("%d handshakes never ended: %+v", s.open, s.q.Stats())
		}
	}
	st := s.q.Stats()
	if st.Unfinished != 0 || st.Waiting != 0 || st.Running != 0 {
		s.t.Fatalf("with nothing open: %+v", st)
	}
	s.q.mu.Lock()
	s.q.reap(s.now + int64(idleKept))
	s.q.mu.Unlock()
	if len(s.q.nodes) != 0 || s.q.leaves != 0 || s.q.root.kids != 0 || s.q.idles != 0 || len(s.q.root.turns.s) != 0 || len(s.q.root.greed.s) != 0 {
		s.t.Fatalf("sources left over: %d nodes, %d leaves, root %+v", len(s.q.nodes), s.q.leaves, s.q.root)
	}
}

// keep holds n handshakes of a under way until stopped.
func (s *sim) keep(a netip.Addr, n int, rtt time.Duration, segments ...time.Duration) (stop func()) {
	on := true
	var one func()
	one = func() {
		if on {
			s.add(a, rtt, segments...).onDone = one
		}
	}
	for range n {
		one()
	}
	return func() { on = false }
}

func percentile(d []int64, p float64) time.Duration {
	d = slices.Clone(d)
	slices.SortFunc(d, cmp.Compare[int64])
	return time.Duration(d[min(len(d)-1, int(p*float64(len(d))))])
}
