package admit

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// A shaker has unfinished handshakes in a Queue.
type shaker struct {
	*Queue
	source netip.Addr
	held   []*held // the oldest first, those that were ended among them
	cut    []*held // whose end is not noted yet
	n      int     // that are unfinished
	ended  int     // by the Queue
	why    error   // of the last one
}

type held struct {
	s    *shaker
	t    *Ticket
	over bool
}

func (h *held) Start()        {}
func (h *held) Cut(why error) { h.s.cut, h.s.why = append(h.s.cut, h), why }

func newShaker(cfg QueueConfig, source netip.Addr) *shaker {
	s := &shaker{Queue: NewQueue(cfg), source: source}
	s.clock = func() int64 { return 1 }
	return s
}

// begin adds a handshake that says nothing, and takes out what was ended for it.
func (s *shaker) begin(a netip.Addr) *held {
	h := &held{s: s}
	h.t = s.Add(a, h, 0)
	s.held = append(s.held, h)
	s.n++
	for _, old := range s.cut {
		s.end(old)
		s.ended++
	}
	s.cut = s.cut[:0]
	return h
}

func (s *shaker) end(h *held) {
	h.t.Done()
	h.over = true
	s.n--
}

// close ends the oldest.
func (s *shaker) close() {
	for s.held[0].over {
		s.held = s.held[1:]
	}
	s.end(s.held[0])
	s.held = s.held[1:]
}

// fill begins handshakes until each ends another, and returns how many there are.
func (s *shaker) fill(a netip.Addr) int {
	for range 100_000 {
		if before := s.ended; s.begin(a).t.Err() == nil && s.ended > before {
			return s.n
		}
	}
	return -1
}

func (s *shaker) endAll() {
	for s.n > 0 {
		s.close()
	}
}

// shared returns what is told of handshakes by source or network.
func shared(q *Queue) map[string]int {
	list := map[string]int{}
	for _, u := range Shared(NewLimiter(Limits{}), q, 10_000) {
		list[u.Prefix.String()] = u.Handshakes
	}
	return list
}

// reportShakes has each Queue tell the others, as their processes do twice a
// second.
func reportShakes(qs ...*shaker) {
	uses := make([][]SourceUse, len(qs))
	for i, q := range qs {
		uses[i] = Shared(NewLimiter(Limits{}), q.Queue, 10_000)
	}
	for i, q := range qs {
		o := Others{Processes: len(qs) - 1}
		for j := range qs {
			if j != i {
				o.Uses = append(o.Uses, uses[j]...)
			}
		}
		q.SetOthers(o)
	}
}

// Processes keep to a limit on handshakes together: each takes its part at once,
// the oldest of the source are ended for newcomers, and one process alone comes
// near the whole in a few reports.
func TestHandshakesOfOthers(t *testing.T) {
	v4, v6 := addr4(192, 0, 2, 1), netip.MustParseAddr("2001:db8::1")
	for _, tt := range []struct {
		cfg  QueueConfig
		a    netip.Addr
		want Reason
	}{
		{QueueConfig{MaxPerSource: 100}, v4, OverSourceHandshakes},
		{QueueConfig{MaxPerSource: 100}, v6, OverSourceHandshakes},
		{QueueConfig{MaxPerPrefix: 100}, v4, OverPrefixHandshakes},
		{QueueConfig{MaxPerPrefix: 100}, v6, OverPrefixHandshakes},
	} {
		name := fmt.Sprintf("%+v %v", tt.cfg, tt.a)
		qs := []*shaker{newShaker(tt.cfg, tt.a), newShaker(tt.cfg, tt.a), newShaker(tt.cfg, tt.a)}
		reportShakes(qs...)
		for range 5 {
			all := 0
			for _, q := range qs {
				all += q.fill(tt.a)
			}
			if all != 102 { // each part is rounded up
				t.Errorf("%s: %d in all", name, all)
			}
			reportShakes(qs...)
		}
		if why := qs[0].why; !errors.Is(why, ErrShed) || ShedFor(why) != tt.want {
			t.Errorf("%s: ended for %v", name, why)
		}
		source, network := qs[0].Look(tt.a)
		if tt.want == OverPrefixHandshakes {
			source = network
		}
		if source != (HandshakeLook{Own: 34, Others: 68, Room: 34}) {
			t.Errorf("%s: %+v", name, source)
		}
		// When the others have ended theirs, one comes near the limit.
		qs[1].endAll()
		qs[2].endAll()
		n := 0
		for range 12 {
			reportShakes(qs...)
			n = qs[0].fill(tt.a)
		}
		if n < 95 || n > 100 {
			t.Errorf("%s: %d in one of three", name, n)
		}
		qs[0].SetOthers(Others{})
		if n := qs[0].fill(tt.a); n != 100 {
			t.Errorf("%s: %d without others", name, n)
		}
		shared(qs[0].Queue)
		qs[0].SetOthers(Others{Processes: 2}) // which have heard of none of these
		shared(qs[0].Queue)
		if s, w := qs[0].Look(tt.a); s.Room > 34 || w.Room > 34 {
			t.Errorf("%s: %+v and %+v after one report", name, s, w)
		}
	}
}

// Only what comes near its part is told of, and again only when it has changed
// by some: handshakes that come and go leave reports as they are.
func TestFewHandshakesAreToldOf(t *testing.T) {
	a := addr4(192, 0, 2, 1)
	q := newShaker(QueueConfig{MaxPerSource: 48, MaxPerPrefix: 96}, a)
	expect := func(what string, source, network int) {
		t.Helper()
		got := shared(q.Queue)
		if got["192.0.2.1/32"] != source || got["192.0.2.0/24"] != network || len(got) > 2 {
			t.Errorf("%s: %v, want %d and %d", what, got, source, network)
		}
	}
	more := func(n int) {
		for range n {
			q.begin(a)
		}
	}
	fewer := func(n int) {
		for range n {
			q.close()
		}
	}
	more(16)
	expect("without others", 0, 0)
	q.SetOthers(Others{Processes: 2})
	fewer(9)
	expect("7, less than half of a third", 0, 0)
	more(1)
	expect("8", 8, 0)
	more(3)
	expect("11, less than half of that more", 8, 0)
	fewer(6)
	expect("5", 8, 0)
	fewer(1)
	expect("4", 0, 0)
	more(11)
	expect("15", 15, 0)
	more(1)
	expect("16, and half of a third of the network's", 15, 16)
	fewer(5)
	expect("11", 11, 16)
	fewer(11)
	expect("none", 0, 0)
	if len(q.told) != 0 {
		t.Errorf("%d are kept", len(q.told))
	}
	more(2)
	expect("2", 0, 0)
	q.SetOthers(Others{Processes: 2, Uses: []SourceUse{{Prefix: netip.MustParsePrefix("192.0.2.1/32"), Handshakes: 7}}})
	expect("2, and others not near the limit", 0, 0)
	q.SetOthers(Others{Processes: 2, Uses: []SourceUse{{Prefix: netip.MustParsePrefix("192.0.2.1/32"), Handshakes: 8}}})
	expect("2, and others near it", 2, 0)
	fewer(1)
	expect("1", 2, 0)
	fewer(1)
	expect("none again", 0, 0)
	q.SetOthers(Others{})
	more(40)
	expect("without others again", 0, 0)
}

// What is told of handshakes stands beside the connections of the same source,
// and what there is no room for counts as not told.
func TestHandshakesBesideConnections(t *testing.T) {
	a, b := addr4(192, 0, 2, 1), addr4(198, 51, 100, 1)
	l, q := NewLimiter(Limits{}), newShaker(QueueConfig{MaxPerSource: 10}, a)
	q.SetOthers(Others{Processes: 1})
	for range 3 {
		l.Enter(a)
	}
	for range 3 {
		q.begin(a)
		q.begin(b)
	}
	q.begin(b)
	if list := Shared(l, nil, 10); len(list) != 2 {
		t.Errorf("without a queue: %v", list)
	}
	want := map[string]SourceUse{
		"192.0.2.1/32": {Conns: 3, Handshakes: 3}, "192.0.2.0/24": {Conns: 3}, "198.51.100.1/32": {Handshakes: 4},
	}
	for range reportsKept {
		list := Shared(l, q.Queue, 10)
		for _, u := range list {
			if w := want[u.Prefix.String()]; u.Conns != w.Conns || u.Handshakes != w.Handshakes {
				t.Errorf("%+v, want %+v", u, w)
			}
		}
		if len(list) != len(want) {
			t.Errorf("%v", list)
		}
	}
	before, _ := q.Look(b)
	if list := Shared(l, q.Queue, 2); len(list) != 2 {
		t.Errorf("%v", list)
	}
	if after, _ := q.Look(b); before.Room != 9 || after.Room != 5 { // of the 6 that are left, a quarter and a half; half of 10
		t.Errorf("left out, there is room for %d, before for %d", after.Room, before.Room)
	}
}

// A process that is lied to by its cluster lets everybody have one handshake, and
// all others as many as before.
func TestHandshakesOfOthersBounds(t *testing.T) {
	a, neighbour, far := addr4(192, 0, 2, 1), addr4(192, 0, 2, 2), addr4(198, 51, 100, 1)
	source, _ := Tiers(a)
	q := newShaker(QueueConfig{MaxPerSource: 6, MaxPerPrefix: 50}, a)
	q.SetOthers(Others{Processes: 1, Uses: []SourceUse{
		{Prefix: source, Handshakes: 1<<24 - 1}, {Prefix: source, Handshakes: 1 << 62}, {Prefix: source, Handshakes: -5}, {Handshakes: 9},
		{Prefix: netip.MustParsePrefix("192.0.0.0/16"), Handshakes: 1 << 24}, {Prefix: netip.MustParsePrefix("0.0.0.0/0"), Handshakes: 1 << 24},
	}})
	for i := range 3 {
		h := q.begin(a)
		if h.t.Err() != nil || q.ended != i || q.n != 1 {
			t.Errorf("the %d. newcomer: %v, %d ended, %d open", i, h.t.Err(), q.ended, q.n)
		}
	}
	for range 3 {
		q.begin(neighbour)
		q.begin(far)
	}
	if q.ended != 2 || q.n != 7 {
		t.Errorf("others: %d ended, %d open", q.ended, q.n)
	}
	q.endAll()
	for range 60 { // who has no address is known to no other process
		q.begin(netip.Addr{})
	}
	if q.n != 6 { // by MaxPerSource
		t.Errorf("%d without an address", q.n)
	}
	if s, n := q.Look(netip.Addr{}); s != (HandshakeLook{}) || n != s {
		t.Errorf("%+v and %+v without an address", s, n)
	}
	for range reportsKept {
		if got := shared(q.Queue); len(got) != 0 {
			t.Errorf("%v is told", got)
		}
	}
	q.endAll()
	few := newShaker(QueueConfig{MaxPerSource: 1, MaxPerPrefix: 1}, a)
	few.SetOthers(Others{Processes: 1})
	for i := range maxTold {
		few.begin(addr4(10, i>>8, i&255, 1))
	}
	if got := shared(few.Queue); len(got) != maxTold || len(few.told) != maxTold {
		t.Errorf("of %d sources and their networks %d are told", maxTold, len(got))
	}
	free := newShaker(QueueConfig{Max: 5}, a)
	free.SetOthers(Others{Processes: 9})
	if free.others.Load() != nil || free.fill(a) != 5 {
		t.Error("without limits by source others count")
	}
}

// A handshake beside those of others allocates no more than its ticket.
func TestAllocsOfHandshakesBesideOthers(t *testing.T) {
	q := NewQueue(QueueConfig{MaxPerSource: 100, MaxPerPrefix: 100})
	source, network := Tiers(honest)
	q.SetOthers(Others{Processes: 2, Uses: []SourceUse{{Prefix: source, Handshakes: 9}, {Prefix: network, Handshakes: 9}}})
	k := &starter{}
	turn(q, k) // the source is known then
	if n := testing.AllocsPerRun(1000, func() { turn(q, k) }); n > 1 {
		t.Errorf("a turn: %v allocations, want 1: its ticket", n)
	}
}

// A shaker as a node of the simulation of docs/CLUSTER-MODEL.md.

func newShakesSim(seed uint64, n, limit, lat int) *clusterSim {
	return newSimOf(seed, n, lat, func(s *clusterSim) simNode {
		q := newShaker(QueueConfig{MaxPerSource: limit}, s.source)
		q.clock = func() int64 { return 1 + int64(s.now)*int64(10*time.Millisecond) }
		return q
	})
}

func (s *shaker) report() (n int) {
	for _, u := range s.Queue.report() {
		if u.Prefix.Bits() == source4 {
			n = u.Handshakes
		}
	}
	return n
}

func (s *shaker) hear(o Others) { s.SetOthers(o) }

func (s *shaker) open() bool {
	was := s.n
	s.begin(s.source)
	return s.n > was
}

// shakesSizes are nodes and limits of the page's table of handshakes.
var shakesSizes = []clusterSize{{2, 100}, {3, 100}, {3, 1000}, {10, 100}, {100, 100}}

// Handshakes of a source stay within the limit as connections do, wherever the
// reports are, and one node comes near it.
func TestSharedHandshakesHold(t *testing.T) { sharedLimitHolds(t, newShakesSim, shakesSizes) }

func TestSharedHandshakesConverge(t *testing.T) { sharedLimitConverges(t, newShakesSim, shakesSizes) }

// A source that always has a few short handshakes is never told of, and one that
// is near its limit seldom otherwise than before.
func TestShortHandshakesAreQuiet(t *testing.T) {
	for _, tt := range []struct{ begin, lasts, limit, atMost int }{
		{2, 5, 100, 0},  // 200 a second and node, each of 50 ms: ten at once
		{3, 8, 100, 60}, // 300 of 80 ms: 24 of 34
	} {
		s := newShakesSim(1, 3, tt.limit, simPeriod/2)
		changes, last := 0, make([]int, 3)
		for s.now < 100*simPeriod {
			s.step()
			for i, n := range s.nodes {
				q := n.(*shaker)
				for range s.rng.IntN(2*tt.begin + 1) {
					q.begin(s.source)
				}
				for q.n > 0 && s.rng.IntN(tt.lasts*tt.begin) < q.n {
					q.close()
				}
				if s.now%simPeriod == s.phase[i] {
					if source := q.nodes[mask4(0xc0000201, 32)]; source != nil && int(source.said[0]) != last[i] {
						last[i] = int(source.said[0])
						changes++
					}
				}
			}
		}
		t.Logf("%+v: %d of 300 reports differ from the one before", tt, changes)
		if changes > tt.atMost {
			t.Errorf("%+v: %d changes", tt, changes)
		}
	}
}

// A turn costs with limits and others what it does without.
func BenchmarkTurnShared(b *testing.B) {
	for name, n := range map[string]int{"unlimited": -1, "alone": 0, "others=10000": 10_000} {
		b.Run(name, func(b *testing.B) {
			cfg := QueueConfig{MaxPerSource: 1000, MaxPerPrefix: 1000}
			if n < 0 {
				cfg = QueueConfig{}
			}
			q := NewQueue(cfg)
			o := Others{}
			for i := range n {
				o.Processes = 2
				o.Uses = append(o.Uses, SourceUse{Prefix: netip.PrefixFrom(addr4(10, i>>16, i>>8&255, i&255), 32), Handshakes: 3})
			}
			q.SetOthers(o)
			b.ReportAllocs()
			for b.Loop() {
				turn(q, &starter{})
			}
		})
	}
}

// What a report costs in the middle of an attack by as many sources as there can
// be, all of which are told of, and without one. The Queue is locked meanwhile.
func BenchmarkReportHandshakes(b *testing.B) {
	for name, tt := range map[string]struct{ limit, others, open int }{
		"quiet": {100, 0, 2}, "stalled": {100, 10_000, 16384}, "small limit": {5, 10_000, 16384},
	} {
		b.Run(name, func(b *testing.B) {
			q := newShaker(QueueConfig{MaxPerSource: tt.limit, MaxPerPrefix: 2 * tt.limit}, netip.Addr{})
			o := Others{Processes: 2}
			for i := range tt.others {
				o.Uses = append(o.Uses, SourceUse{Prefix: netip.PrefixFrom(addr4(10, i>>16, i>>8&255, i&255), 32), Handshakes: 50})
			}
			q.SetOthers(o)
			for i := range tt.open {
				q.begin(addr4(11, i>>8&255, i&255, 1))
			}
			for b.Loop() {
				q.Queue.report()
			}
		})
	}
}
