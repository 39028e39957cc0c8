package supervisor

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"netserver/cluster"
	"netserver/daemon/internal/wire"
)

// goodNews has something of everything.
func goodNews() *cluster.News {
	network := netip.MustParsePrefix("192.0.2.0/24")
	return &cluster.News{
		Tickets: &cluster.Tickets{Epoch: 1, Current: bytes.Repeat([]byte{1}, 32), Past: [][]byte{bytes.Repeat([]byte{2}, 32)}},
		Bans:    &[]cluster.Ban{{Prefix: network, Left: time.Minute, Node: "b"}},
		Lifted:  []netip.Prefix{network},
		Others:  &cluster.Others{Processes: 2, Counts: cluster.Counts{{Prefix: network, Conns: 5}}, Targets: []cluster.Opinion{{ID: 2, Down: 2, Of: 3}}},
		Status:  &cluster.Status{Leave: &cluster.Leave{Ask: 1, Why: "node b drains"}, Name: "a", Up: true, Synced: true, Errors: map[string]uint64{cluster.KindTimeout: 1}, Nodes: []cluster.NodeStatus{{Name: "a"}, {Name: "b", Ports: []string{"x"}}}},
	}
}

// Secrets that all nodes have take the place of those before, not of this
// server's own; one that a worker may have given away is never used again.
func TestSharedEpochs(t *testing.T) {
	var e epochs
	now := time.Unix(1_700_000_000, 0)
	e.next(now)
	own := e.secrets().Current
	one, two, next := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{3}, 32)
	if !e.adopt(one, [][]byte{next}, now) || !e.shared() {
		t.Fatal("not taken")
	}
	opens := func(what string, want ...[]byte) {
		t.Helper()
		if s := e.secrets(); !slices.EqualFunc(append([][]byte{s.Current}, s.Past...), want, bytes.Equal) {
			t.Errorf("%s: %v", what, s)
		}
	}
	opens("the first", one, next, own)
	told := e.newest() // by a worker that ends later
	if !e.adopt(next, [][]byte{one, two}, now) {
		t.Fatal("not taken")
	}
	opens("the next", next, one, two, own)
	if !e.distrust(told, now) {
		t.Fatal("distrust of nothing")
	}
	opens("what that worker did not know", two)
	if e.adopt(next, [][]byte{one}, now) || e.adopt(one, nil, now) {
		t.Error("a secret that was given away is used again")
	}
	fresh := bytes.Repeat([]byte{4}, 32)
	if !e.adopt(fresh, [][]byte{next, one, two}, now) {
		t.Fatal("not taken")
	}
	opens("after it", fresh, two)
	for i := range 2 * maxEpochs {
		e.adopt(bytes.Repeat([]byte{byte(10 + i)}, 32), make([][]byte, 2*maxEpochs), now)
	}
	if len(e.list) > maxEpochs {
		t.Errorf("%d are kept", len(e.list))
	}
}

// Each worker hears of the clients and handshakes of other nodes and of its
// siblings, never of its own; parts of a report are put together.
func TestWhatCountsBesideAWorker(t *testing.T) {
	s := newWireState()
	defer s.gens[0].stopTimers()
	source := netip.MustParsePrefix("192.0.2.1/32")
	share := func(w *child, parts ...wire.Shared) {
		for i := range parts {
			s.hearShared(w, &parts[i])
		}
	}
	count := func(n uint32) cluster.Counts { return cluster.Counts{{Prefix: source, Conns: n, Handshakes: 2 * n}} }
	ban := []cluster.Ban{{Prefix: source, Left: time.Minute}}
	share(s.w, wire.Shared{First: true, Counts: count(3)}, wire.Shared{Bans: ban, Last: true})
	share(s.other, wire.Shared{First: true, Last: true, Counts: count(4), Bans: []cluster.Ban{{Prefix: source, Left: time.Second}}})
	share(s.other, wire.Shared{First: true, Counts: count(100)}) // the rest is on its way
	if r := s.shares(); r.Processes != 2 || !slices.Equal(r.Counts, count(7)) || !slices.Equal(r.Bans, ban) {
		t.Errorf("%+v", r)
	}
	before := s.countsState()
	share(s.other, wire.Shared{First: true, Same: true, Last: true, Bans: ban})
	if r := s.shares(); !slices.Equal(r.Counts, count(7)) || !slices.Equal(r.Bans, ban) || s.countsState() != before {
		t.Errorf("the same counts: %+v", r)
	}
	share(s.other, wire.Shared{First: true, Last: true, Counts: count(4)})
	if s.countsState() == before {
		t.Error("other counts are not seen")
	}
	s.cluster.hear(s.w, wire.Message{Op: wire.OpNews, News: &cluster.News{Others: &cluster.Others{Processes: 5, Counts: count(10)}}})
	for _, w := range []struct {
		*child
		want uint32
	}{{s.w, 14}, {s.other, 13}} {
		var o *cluster.Others
		for len(w.outbox) > 0 {
			if m := <-w.outbox; m.Op == wire.OpNews {
				o = m.News.Others
			}
		}
		if o == nil || o.Processes != 6 || !slices.Equal(o.Counts, count(w.want)) {
			t.Errorf("worker %d hears %+v, want %d", w.id, o, w.want)
		}
	}
	// What a worker claims is bounded in a sum too, and handshakes alone count.
	network := netip.MustParsePrefix("192.0.2.0/24")
	for _, w := range []*child{s.w, s.other} {
		share(w, wire.Shared{First: true, Last: true, Counts: cluster.Counts{{Prefix: source, Conns: cluster.MaxCount, Handshakes: cluster.MaxCount}}})
	}
	if r := s.shares(); !slices.Equal(r.Counts, cluster.Counts{{Prefix: source, Conns: cluster.MaxCount, Handshakes: cluster.MaxCount}}) {
		t.Errorf("%+v", r)
	}
	share(s.other, wire.Shared{First: true, Last: true, Counts: cluster.Counts{{Prefix: network, Handshakes: 6}}})
	beside := s.beside(new(cluster.Others))
	if o := beside(s.w); !slices.Equal(o.Counts, cluster.Counts{{Prefix: network, Handshakes: 6}}) {
		t.Errorf("beside a worker: %+v", o)
	}
	if o := beside(s.other); len(o.Counts) != 1 || o.Counts[0].Prefix != source {
		t.Errorf("beside the other: %+v", o)
	}
	share(s.w, wire.Shared{First: true, Last: true, Counts: cluster.Counts{{Prefix: network, Conns: 3}}})
	beside = s.beside(new(cluster.Others))
	if o := beside(s.w); !slices.Equal(o.Counts, cluster.Counts{{Prefix: network, Handshakes: 6}}) {
		t.Errorf("beside a worker with connections: %+v", o)
	}
	if o := beside(s.other); !slices.Equal(o.Counts, cluster.Counts{{Prefix: network, Conns: 3}}) {
		t.Errorf("beside one with handshakes: %+v", o)
	}
}

// A server finds a target down if all its workers that take clients do; what
// others find is told to each of them, also to one that starts later, until the
// process that tells it has been gone for a while.
func TestTargetsOfWorkers(t *testing.T) {
	s := newWireState()
	defer s.gens[0].stopTimers()
	s.w.ready, s.other.ready = true, true
	share := func(w *child, list ...cluster.Finding) {
		s.hearShared(w, &wire.Shared{First: true})
		s.hearShared(w, &wire.Shared{Last: true, Targets: list})
	}
	share(s.w, cluster.Finding{ID: 4, Down: true}, cluster.Finding{ID: 2, Down: true})
	share(s.other, cluster.Finding{ID: 2}, cluster.Finding{ID: 6, Down: true})
	if r := s.shares(); !slices.Equal(r.Targets, cluster.Findings{{ID: 2}, {ID: 4, Down: true}, {ID: 6, Down: true}}) {
		t.Errorf("%+v", r.Targets)
	}
	s.other.leaving = true
	if r := s.shares(); !slices.Equal(r.Targets, cluster.Findings{{ID: 2, Down: true}, {ID: 4, Down: true}}) {
		t.Errorf("one leaves: %+v", r.Targets)
	}
	s.hearShared(s.w, &wire.Shared{First: true, Last: true})
	if r := s.shares(); r.Targets != nil {
		t.Errorf("no target is left: %+v", r.Targets)
	}
	heard := func(w *child) (list []cluster.Opinion) {
		for len(w.outbox) > 0 {
			if m := <-w.outbox; m.Op == wire.OpNews && m.News.Others != nil {
				list = m.News.Others.Targets
			}
		}
		return list
	}
	others := []cluster.Opinion{{ID: 2, Down: 2, Of: 3}}
	s.cluster.hear(nil, wire.Message{Op: wire.OpNews, News: &cluster.News{Others: &cluster.Others{Targets: others}}})
	if a, b := heard(s.w), heard(s.other); !slices.Equal(a, others) || !slices.Equal(b, others) {
		t.Errorf("they hear %v and %v", a, b)
	}
	if n := s.cluster.known(); !slices.Equal(n.Others.Targets, others) {
		t.Errorf("one that starts hears %v", n.Others)
	}
	s.cluster.forgetOthers()
	if n := s.cluster.known(); n.Others.Targets != nil || heard(s.w) != nil {
		t.Error("they are not forgotten")
	}
}

// A cluster process that says nothing has its numbers forgotten, and is then
// killed, once.
func TestSilentClusterProcess(t *testing.T) {
	s := newWireState()
	defer s.gens[0].stopTimers()
	c, began := s.cluster, time.Now()
	w := &child{began: began}
	c.status.Up = true
	c.others = &cluster.Others{Processes: 3}
	for _, step := range []struct {
		after time.Duration
		up    bool
		kill  bool
	}{{clusterSilent - 1, true, false}, {clusterSilent, false, false}, {clusterHangs - 1, false, false}, {clusterHangs, false, true}, {2 * clusterHangs, false, false}} {
		kill := c.silent(w, began.Add(step.after))
		if kill != step.kill || c.status.Up != step.up || (c.others.Processes > 0) != step.up {
			t.Errorf("after %v: kill %v, up %v, others %+v", step.after, kill, c.status.Up, c.others)
		}
	}
	c.hear(w, wire.Message{Op: wire.OpNews, News: goodNews()})
	if since := time.Since(c.heard); !c.status.Up || c.silent(w, c.heard) || since > time.Minute {
		t.Errorf("it was heard %v ago, up %v", since, c.status.Up)
	}
}

// The cluster process is told counts in full when they have changed, or it is
// another; and workers that did not listen are told later.
func TestSameCountsAreNotToldAgain(t *testing.T) {
	s := newWireState()
	defer s.gens[0].stopTimers()
	s.other.ready = true
	source := netip.MustParsePrefix("192.0.2.1/32")
	first, second := &child{ready: true, outbox: make(chan wire.Message, outboxSize)}, &child{ready: true, outbox: make(chan wire.Message, outboxSize)}
	told := func(w *child) *cluster.Report {
		s.cluster.proc = w
		s.cluster.report()
		return (<-w.outbox).Report
	}
	s.hearShared(s.w, &wire.Shared{First: true, Last: true, Counts: cluster.Counts{{Prefix: source, Conns: 3}}})
	for i, want := range []bool{false, true, true} {
		if r := told(first); r.CountsSame != want || len(r.Counts) == 1 == want {
			t.Errorf("report %d: %+v", i, r)
		}
	}
	if r := told(second); r.CountsSame || len(r.Counts) != 1 {
		t.Errorf("to another: %+v", r)
	}
	s.hearShared(s.w, &wire.Shared{First: true, Last: true, Counts: cluster.Counts{{Prefix: source, Conns: 4}}})
	if r := told(second); r.CountsSame || len(r.Counts) != 1 {
		t.Errorf("others: %+v", r)
	}
	for len(s.other.outbox) < newsRoom {
		s.other.tell(wire.Message{Op: wire.OpDistrust})
	}
	s.tellNews(&cluster.News{Bans: &[]cluster.Ban{}}, 0)
	s.tellMissed()
	if n := len(s.other.outbox); n != newsRoom {
		t.Errorf("%d messages for who does not listen", n)
	}
	<-s.other.outbox
	s.tellMissed()
	s.tellMissed()
	if n := len(s.other.outbox); n != newsRoom {
		t.Errorf("%d messages, want what was missed, once", n)
	}
}

// Workers keep what a cluster process that has ended had told of bans, whatever
// the next one tells before it knows better; an operator still lifts it.
func TestBansWhenTheClusterProcessHasEnded(t *testing.T) {
	s := newWireState()
	defer s.gens[0].stopTimers()
	one, two := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	tell := func(list ...netip.Prefix) {
		bans := []cluster.Ban{}
		for _, p := range list {
			bans = append(bans, cluster.Ban{Prefix: p, Left: time.Hour, Node: "b"})
		}
		s.cluster.hear(nil, wire.Message{Op: wire.OpNews, News: &cluster.News{Bans: &bans}})
	}
	hears := func(what string, want ...netip.Prefix) {
		t.Helper()
		var got []netip.Prefix
		for len(s.w.outbox) > 0 {
			if m := <-s.w.outbox; m.Op == wire.OpNews && m.News.Bans != nil {
				got = nil
				for _, b := range *m.News.Bans {
					got = append(got, b.Prefix)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: a worker hears %v, want %v", what, got, want)
		}
	}
	tell(one)
	hears("the first", one)
	s.cluster.ended(nil)
	if got := *s.cluster.known().Bans; len(got) != 1 || got[0].Prefix != one {
		t.Errorf("one that starts meanwhile hears %v", got)
	}
	tell(two)
	hears("the next", two, one)
	s.cluster.bans.Lift(one)
	tell(two)
	hears("lifted", two)
}
