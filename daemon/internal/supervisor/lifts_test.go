package supervisor

import (
	"net/netip"
	"testing"
	"time"

	"netserver/cluster"
	"netserver/daemon/internal/wire"
)

// A worker that was stopped while a ban was lifted tells of it, when it goes on,
// as of one that is still in force: that counts for nothing until it has confirmed
// the lift. A cluster process that is started meanwhile is told of ban and lift by
// the identity that they have had.
func TestLiftsOutliveTheirProcess(t *testing.T) {
	s := newWireState()
	defer s.gens[0].stopTimers()
	c := s.cluster
	c.made.Node = "a"
	own, other := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	sharer := func() *child {
		w := &child{gen: s.gens[0], outbox: make(chan wire.Message, 100), ready: true, began: time.Now()}
		c.proc = w
		return w
	}
	reported := func(w *child) (r cluster.Report) {
		t.Helper()
		c.report()
		for len(w.outbox) > 0 {
			if m := <-w.outbox; m.Op == wire.OpReport {
				r = *m.Report
			}
		}
		return r
	}
	tell := func(lifted ...uint64) {
		s.hearShared(s.w, &wire.Shared{First: true, Last: true, Bans: []cluster.Ban{{Prefix: own, Left: time.Hour}}, Lifted: lifted})
	}
	first := sharer()
	tell()
	r := reported(first)
	if len(r.Bans) != 1 || r.Bans[0].ID == (cluster.BanID{}) || len(r.Lifted) != 0 {
		t.Fatalf("%+v", r)
	}
	id, theirs := r.Bans[0].ID, cluster.BanID{Process: 3, Number: 4}
	c.hear(first, wire.Message{Op: wire.OpNews, News: &cluster.News{Bans: &[]cluster.Ban{{Prefix: own, Left: time.Hour, Node: "a", ID: id}, {Prefix: other, Left: time.Hour, Node: "b", ID: theirs}}}})
	for len(s.w.outbox) > 0 {
		if m := <-s.w.outbox; m.Op == wire.OpNews {
			for _, b := range *m.News.Bans {
				if b.ID != (cluster.BanID{}) {
					t.Errorf("a worker is told of the identity of %v", b)
				}
			}
		}
	}
	number := c.lift(netip.MustParsePrefix("192.0.2.0/24"))
	second := sharer() // the first was killed in that moment
	r = reported(second)
	lifted := map[cluster.BanID]string{}
	for _, l := range r.Lifted {
		lifted[l.ID] = l.Node
	}
	if number == 0 || len(r.Bans) != 0 || len(lifted) != 2 || lifted[id] != "a" || lifted[theirs] != "b" {
		t.Errorf("lift %d: %+v", number, r)
	}
	tell() // of before
	if r = reported(second); len(r.Bans) != 0 {
		t.Errorf("a ban of before the lift: %v", r.Bans)
	}
	tell(number)
	if r = reported(second); len(r.Bans) != 1 || r.Bans[0].ID == id {
		t.Errorf("a ban of after it: %v", r.Bans)
	}

	// Another node lifts it. The worker hears of that, and the other one again
	// if it has not confirmed it.
	id = r.Bans[0].ID
	c.hear(second, wire.Message{Op: wire.OpNews, News: &cluster.News{Lifted: []netip.Prefix{own}}})
	lift := func(w *child) (number uint64) {
		for len(w.outbox) > 0 {
			if m := <-w.outbox; m.Op == wire.OpNews && len(m.News.Lifted) > 0 {
				number = m.ID
			}
		}
		return number
	}
	if r = reported(second); len(r.Bans) != 0 {
		t.Errorf("lifted by another: %v", r.Bans)
	}
	number = lift(s.w)
	tell(number)
	if r = reported(second); number == 0 || len(r.Bans) != 1 || r.Bans[0].ID == id {
		t.Errorf("lift %d, then banned: %v", number, r.Bans)
	}
	lift(s.other)
	s.other.tellLifts(time.Now().Add(time.Hour))
	if got := lift(s.other); got != number {
		t.Errorf("told again of lift %d, want %d", got, number)
	}

	// What a worker has told that is stopped since grows old.
	s.w.sharedAt = s.w.sharedAt.Add(-30 * time.Minute)
	if r := s.shares(); len(r.Bans) != 1 || r.Bans[0].Left > 31*time.Minute {
		t.Errorf("of a worker that is stopped: %v", r.Bans)
	}
}
