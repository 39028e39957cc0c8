package cluster_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"netserver/cluster"
	"netserver/cluster/storetest"
)

// ban adds to what the node reports of its penalty box.
func (n *testNode) ban(p string, left time.Duration, manual bool) {
	n.share(func(r *cluster.Report) {
		r.Bans = append(r.Bans, cluster.Ban{Prefix: netip.MustParsePrefix(p), Left: left, Manual: manual})
	})
}

func (n *testNode) wantsBan(when, p string, left time.Duration) {
	n.t.Helper()
	got, ok := n.banned(p)
	if ok != (left > 0) || (got-left).Abs() > 2*time.Second {
		n.t.Errorf("%s: %s is banned %v for %v, want %v:\n%s", when, p, ok, got, left, n.logText())
	}
}

// A ban is in force everywhere within a second, as long as it lasts, whatever
// the clocks say; and after the node that made it is gone.
func TestBansSpread(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a := newNode(t, m, "a", clockOff(5*time.Minute))
		b, c := newNode(t, m, "b"), newNode(t, m, "c", clockOff(-5*time.Minute))
		settle(2 * time.Second)
		a.ban("192.0.2.1/32", 2*time.Minute, false)
		settle(time.Second)
		for _, n := range []*testNode{a, b, c} {
			n.wantsBan("within a second", "192.0.2.1/32", 2*time.Minute-time.Second)
		}
		b.ban("10.0.0.0/8", 48*time.Hour, true) // bounded
		b.ban("2001:db8::/64", 3*time.Hour, false)
		b.ban("0.0.0.0/0", time.Hour, true)     // not taken
		b.ban("10.0.0.0/9", time.Hour, false)   // no penalty has that size
		b.ban("192.0.2.9/32", -time.Hour, true) // over
		settle(time.Second)
		for _, n := range []*testNode{a, c} {
			n.wantsBan("by hand", "10.0.0.0/8", 24*time.Hour-time.Second)
			n.wantsBan("a long penalty", "2001:db8::/64", time.Hour-time.Second)
			if _, bans, _ := n.told(); len(bans) != 3 {
				t.Errorf("%v", bans)
			}
		}
		a.kill()
		settle(30 * time.Second)
		d := newNode(t, m, "d")
		settle(time.Second)
		c.wantsBan("after its node was killed", "192.0.2.1/32", 87*time.Second)
		if _, ok := d.banned("192.0.2.1/32"); !ok {
			t.Error("a node that starts later does not know the ban of one that was killed")
		}
		settle(90 * time.Second)
		c.wantsBan("when it is over", "192.0.2.1/32", 0)
		for _, n := range []*testNode{b, c, d} {
			n.stop()
		}
	})
}

// A node that was started again, with an empty box, keeps what it had banned.
func TestBansOutliveTheirProcess(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b := newNode(t, m, "a"), newNode(t, m, "b")
		settle(2 * time.Second)
		a.ban("192.0.2.1/32", 10*time.Minute, true)
		a.ban("192.0.2.2/32", 10*time.Minute, true)
		settle(time.Second)
		a.share(func(r *cluster.Report) { r.Bans = nil }) // a worker has ended
		settle(time.Second)
		a.wantsBan("after a worker has ended", "192.0.2.1/32", 10*time.Minute-2*time.Second)
		a.kill()
		a = newNode(t, m, "a")
		settle(20 * time.Second)
		c := newNode(t, m, "c")
		settle(time.Second)
		for _, n := range []*testNode{a, b, c} {
			n.wantsBan("after a restart", "192.0.2.1/32", 10*time.Minute-23*time.Second)
		}
		// The new process lifts what the old one banned.
		a.Lift(netip.MustParsePrefix("192.0.2.1/32"))
		settle(time.Second)
		for _, n := range []*testNode{a, b, c} {
			n.wantsBan("lifted", "192.0.2.1/32", 0)
			n.wantsBan("beside it", "192.0.2.2/32", 10*time.Minute-24*time.Second)
			n.stop()
		}
	})
}

// What one node lifts is lifted on all, the one that banned it too; a later ban
// stays, whatever old values the store brings.
func TestLift(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b, c := newNode(t, m, "a"), newNode(t, m, "b"), newNode(t, m, "c")
		nodes := []*testNode{a, b, c}
		settle(2 * time.Second)
		p := "192.0.2.1/32"
		a.ban(p, time.Hour, true)
		settle(time.Second)
		banned := m.Backup()
		b.Lift(netip.MustParsePrefix("192.0.2.0/24"))
		settle(500 * time.Millisecond)
		for _, n := range nodes {
			n.wantsBan("lifted", p, 0)
		}
		if len(a.lifted) != 1 || a.lifted[0].String() != p {
			t.Errorf("a was told to lift %v", a.lifted)
		}
		a.share(nil) // under way when it was lifted
		settle(500 * time.Millisecond)
		a.share(func(r *cluster.Report) { r.Bans = nil })
		settle(10 * time.Second)
		lifted := m.Backup()
		m.Restore(banned)
		settle(10 * time.Second)
		for _, n := range nodes {
			n.wantsBan("after an old copy with the ban", p, 0)
		}
		c.ban(p, 30*time.Minute, false)
		settle(time.Second)
		m.Restore(lifted)
		settle(10 * time.Second)
		for _, n := range nodes {
			n.wantsBan("after an old copy with the lift", p, 30*time.Minute-11*time.Second)
		}
		m.SetFaults(storetest.Faults{Old: true})
		settle(10 * time.Second)
		m.SetFaults(storetest.Faults{})
		settle(10 * time.Second)
		d := newNode(t, m, "d")
		settle(10 * time.Second)
		for _, n := range append(nodes, d) {
			n.wantsBan("after a store that lied", p, 30*time.Minute-41*time.Second)
			n.stop()
		}
	})
}

// A process that is started again still has in its Reports what the one before
// has told: that is the same ban, and lifted with it.
func TestLiftOfABanOfBefore(t *testing.T) {
	const p = "192.0.2.1/32"
	for name, cut := range map[string]bool{"before it is back": false, "by a node that was cut off meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *storetest.Memory) {
				a, b, c := newNode(t, m, "a"), newNode(t, m, "b"), newNode(t, m, "c")
				settle(2 * time.Second)
				a.ban(p, time.Hour, true)
				settle(time.Second)
				a.kill()
				if cut {
					b.store.SetFaults(storetest.Faults{Down: true})
					settle(5 * time.Second)
				}
				b.Lift(netip.MustParsePrefix(p))
				settle(time.Second)
				a = newNode(t, m, "a")
				a.ban(p, time.Hour-6*time.Second, true)
				settle(5 * time.Second)
				if cut {
					b.store.SetFaults(storetest.Faults{})
					settle(10 * time.Second)
				}
				if len(a.lifted) != 1 || a.lifted[0].String() != p {
					t.Errorf("a was told to lift %v", a.lifted)
				}
				a.share(func(r *cluster.Report) { r.Bans = nil })
				settle(10 * time.Second)
				for _, n := range []*testNode{a, b, c} {
					n.wantsBan("lifted", p, 0)
					n.stop()
				}
			})
		})
	}
}

// bansOf has the node report the bans and lifts that another has reported until
// now, as that of the process which takes its place.
func (n *testNode) bansOf(before *testNode) {
	before.share(nil)
	_, told, _ := before.told()
	n.share(func(r *cluster.Report) {
		r.Bans, r.Lifted = slices.Clone(before.report.Bans), before.report.Lifted
		for _, b := range told { // also those that it had of one before
			if b.Node == n.Status().Name && !slices.ContainsFunc(r.Bans, func(have cluster.Ban) bool { return have.Prefix == b.Prefix }) {
				b.Node = ""
				r.Bans = append(r.Bans, b)
			}
		}
	})
}

// A ban has its identity of who outlives the Node: a lift that reaches its node
// when another process shares there, and the store knows of neither, is not lost.
func TestLiftIsNotLostWithTheProcess(t *testing.T) {
	const p, q = "192.0.2.1/32", "192.0.2.2/32"
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b, c := newNode(t, m, "a"), newNode(t, m, "b"), newNode(t, m, "c")
		settle(2 * time.Second)
		older := m.Backup()
		for _, s := range []string{p, q} {
			a.share(func(r *cluster.Report) {
				r.Bans = append(r.Bans, cluster.Ban{Prefix: netip.MustParsePrefix(s), Left: time.Hour, Manual: true, ID: cluster.NewBanID(time.Now())})
			})
		}
		settle(time.Second)
		c.wantsBan("before", p, time.Hour-time.Second)
		a.kill()
		b.Lift(netip.MustParsePrefix(p))
		settle(500 * time.Millisecond)
		m.Restore(older)
		before := a
		a = newNode(t, m, "a")
		a.bansOf(before)
		settle(10 * time.Second)
		if len(a.lifted) != 1 || a.lifted[0].String() != p {
			t.Errorf("a was told to lift %v", a.lifted)
		}
		for _, n := range []*testNode{a, b, c} {
			n.wantsBan("lifted", p, 0)
			n.wantsBan("beside it", q, time.Hour-11*time.Second-500*time.Millisecond)
		}
		// Under way, or of a process that has not heard yet: the same ban still.
		a.share(nil)
		settle(10 * time.Second)
		for _, n := range []*testNode{a, b, c} {
			n.wantsBan("reported once more", p, 0)
		}
		a.share(func(r *cluster.Report) { r.Bans[0].ID, r.Bans[0].Left = cluster.NewBanID(time.Now()), time.Minute })
		settle(time.Second)
		for _, n := range []*testNode{a, b, c} {
			n.wantsBan("banned again, for less", p, time.Minute-time.Second)
			n.stop()
		}
	})
}

// What was lifted at a node is lifted by the next process that shares there, if
// the one that was to tell of it is killed first.
func TestLiftsAreHandedOn(t *testing.T) {
	const p, q = "192.0.2.1/32", "192.0.2.2/32"
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b, c := newNode(t, m, "a"), newNode(t, m, "b"), newNode(t, m, "c")
		settle(2 * time.Second)
		a.ban(p, time.Hour, true)
		a.ban(q, time.Hour, true)
		settle(time.Second)
		var lifts []cluster.Lift
		for _, one := range b.bans {
			if one.Prefix.String() == p {
				lifts = []cluster.Lift{{Node: one.Node, ID: one.ID, Left: one.Left}}
			}
		}
		b.kill()
		b = newNode(t, m, "b")
		b.share(func(r *cluster.Report) {
			r.Lifted = append(lifts, cluster.Lift{Node: "no name", Left: time.Hour}, cluster.Lift{Node: "a", Left: -time.Hour})
			for len(r.Lifted) < 2*cluster.MaxLifted {
				r.Lifted = append(r.Lifted, cluster.Lift{Node: "z", ID: cluster.BanID{Process: uint64(len(r.Lifted))}, Left: time.Hour})
			}
		})
		settle(time.Second)
		for _, n := range []*testNode{a, b, c} {
			n.wantsBan("lifted", p, 0)
			n.wantsBan("beside it", q, time.Hour-2*time.Second)
		}
		if d := b.Status().Dropped; d != cluster.MaxLifted-2 {
			t.Errorf("%d were left out", d)
		}
		writes := m.Writes()
		for range 10 {
			b.share(nil)
			settle(500 * time.Millisecond)
		}
		if n := m.Writes() - writes; n > 3*5+2*10+2 {
			t.Errorf("%d writes in five seconds in which the same was reported", n)
		}
		for _, n := range []*testNode{a, b, c} {
			n.stop()
		}
	})
}

// A store that comes back with what a process before has told is read before it
// is written to.
func TestBansOfBeforeInALaterCopy(t *testing.T) {
	const p, q = "192.0.2.1/32", "192.0.2.2/32"
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b := newNode(t, m, "a"), newNode(t, m, "b")
		settle(2 * time.Second)
		older := m.Backup()
		a.ban(p, time.Hour, true)
		settle(time.Second)
		later := m.Backup()
		a.kill()
		m.Restore(older)
		a = newNode(t, m, "a") // whose workers have ended too
		settle(2 * time.Second)
		a.ban(q, time.Hour, true)
		settle(2 * time.Second)
		m.SetFaults(storetest.Faults{Down: true})
		settle(5 * time.Second)
		m.Restore(later)
		m.SetFaults(storetest.Faults{})
		settle(15 * time.Second)
		for _, n := range []*testNode{a, b} {
			n.wantsBan("of before", p, time.Hour-25*time.Second)
			n.wantsBan("of now", q, time.Hour-22*time.Second)
			n.stop()
		}
	})
}

// A ban of now lasts as long as it should when the store still has one of before
// that ends earlier; one that ends later prolongs it.
func TestBanOfNowAndOneOfBefore(t *testing.T) {
	const p = "192.0.2.1/32"
	for before, want := range map[time.Duration]time.Duration{10 * time.Minute: time.Hour - 16*time.Second, 2 * time.Hour: 2*time.Hour - 17*time.Second} {
		inBubble(t, func(t *testing.T, m *storetest.Memory) {
			a, b := newNode(t, m, "a"), newNode(t, m, "b")
			settle(2 * time.Second)
			a.ban(p, before, true)
			settle(time.Second)
			a.kill()
			m.SetFaults(storetest.Faults{Down: true})
			a = newNode(t, m, "a")
			a.share(func(r *cluster.Report) {
				r.Bans = []cluster.Ban{{Prefix: netip.MustParsePrefix(p), Left: time.Hour, Manual: true, ID: cluster.NewBanID(time.Now())}}
			})
			settle(time.Second)
			m.SetFaults(storetest.Faults{})
			settle(15 * time.Second)
			for _, n := range []*testNode{a, b} {
				n.wantsBan(fmt.Sprintf("with one of %v of before", before), p, want)
				n.stop()
			}
		})
	}
}

// Bans made on both sides of a partition are all in force when it is over, each
// once, and nothing is sent when nothing happens.
func TestBansAndPartitions(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b := newNode(t, m, "a"), newNode(t, m, "b")
		settle(2 * time.Second)
		for _, f := range []storetest.Faults{{Down: true}, {Hang: true}, {ReadOnly: true}, {Full: true}, {Garbage: true}, {Oversize: true}} {
			a.store.SetFaults(f)
			settle(5 * time.Second)
			a.share(func(r *cluster.Report) { r.Bans = nil })
			b.share(func(r *cluster.Report) { r.Bans = nil })
			a.ban("192.0.2.1/32", time.Minute, true)
			b.ban("192.0.2.2/32", time.Minute, true)
			settle(5 * time.Second)
			a.wantsBan(fmt.Sprintf("alone, %+v", f), "192.0.2.1/32", 55*time.Second)
			a.store.SetFaults(storetest.Faults{})
			settle(10 * time.Second)
			for _, n := range []*testNode{a, b} {
				n.wantsBan(fmt.Sprintf("after %+v", f), "192.0.2.1/32", 45*time.Second)
				n.wantsBan(fmt.Sprintf("after %+v", f), "192.0.2.2/32", 45*time.Second)
			}
			settle(time.Minute)
			if _, bans, _ := a.told(); len(bans) != 0 {
				t.Errorf("after %+v: %v", f, bans)
			}
		}
		writes := m.Writes()
		settle(10 * time.Second)
		if n := m.Writes() - writes; n > 2*10+2 {
			t.Errorf("%d writes in ten quiet seconds of two nodes", n)
		}
		a.stop()
		b.stop()
	})
}

func TestBansOfOneNodeAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b := newNode(t, m, "a"), newNode(t, m, "b")
		settle(time.Second)
		a.share(func(r *cluster.Report) {
			for i := range cluster.MaxBans + 5 {
				p := netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(i >> 8), byte(i), 7, 7}), 64)
				r.Bans = append(r.Bans, cluster.Ban{Prefix: p, Left: time.Hour, Manual: true})
			}
		})
		settle(time.Second)
		if _, bans, _ := b.told(); len(bans) != cluster.MaxBans || a.Status().Dropped != 5 {
			t.Errorf("%d bans, %d dropped:\n%s", len(bans), a.Status().Dropped, a.logText())
		}
		b.Lift(netip.MustParsePrefix("2001:db8::/32"))
		settle(time.Second)
		if _, bans, _ := b.told(); len(bans) != cluster.MaxBans-256 {
			t.Errorf("%d bans after a lift of all, of which 256 are shared", len(bans))
		}
		a.stop()
		b.stop()
	})
}
