package cluster_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"netserver/cluster"
	"netserver/cluster/storetest"
)

// A store that comes and goes all the time is said to do so now and then, and one
// that then stays away is said to within two minutes.
func TestUnsteadyStore(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a := newNode(t, m, "a")
		settle(2 * time.Second)
		for range 100 {
			m.SetFaults(storetest.Faults{Down: true})
			settle(2 * time.Second)
			m.SetFaults(storetest.Faults{})
			settle(4 * time.Second)
		}
		const lost, back = "the store does not answer", "the store answers again"
		if n := a.logged(lost); n < 5 || n > 16 || a.logged(back) != n {
			t.Errorf("%d times lost, %d times back in ten minutes:\n%s", n, a.logged(back), a.logText())
		}
		m.SetFaults(storetest.Faults{Down: true})
		settle(2 * time.Minute)
		said := a.logged(lost)
		if said != a.logged(back)+1 {
			t.Errorf("it stays away, which is not said:\n%s", a.logText())
		}
		settle(10 * time.Minute)
		a.wantsLog(lost, said)
		m.SetFaults(storetest.Faults{})
		settle(5 * time.Second)
		a.wantsLog(back, said)
		a.stop()
	})
}

// waits checks that ok is true at some moment within d of the bubble's time.
func waits(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !ok(); settle(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("not within %v: %s", d, what)
			return
		}
	}
}

func hasBan(n *testNode, p string) func() bool {
	return func() bool { _, ok := n.banned(p); return ok }
}

// A node that is started before its store serves as it would alone, says so once,
// and shares when the store is there: also what it banned before.
func TestStoreDownAtStart(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		b := newNode(t, m, "b")
		settle(2 * time.Second)
		m.SetFaults(storetest.Faults{Down: true})
		a := newNode(t, m, "a")
		a.ban("192.0.2.1/32", time.Hour, false)
		settle(time.Minute)
		if x, _, _ := a.told(); x.Current != nil || a.Status().Synced {
			t.Error("something is shared by a store that is down")
		}
		a.wantsLog("the store does not answer", 1)
		m.SetFaults(storetest.Faults{})
		waits(t, 8*time.Second, "the ban of before is told", hasBan(b, "192.0.2.1/32"))
		settle(2 * time.Second)
		allOpen(t, "when the store is there", a, b)
		a.wantsLog("the store answers again, after", 1)
		a.stop()
		b.stop()
	})
}

// A store that takes seconds keeps nobody waiting: what is shared comes later, or,
// beyond the time of a call, not; what is known stays.
func TestSlowStore(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b := newNode(t, m, "a"), newNode(t, m, "b")
		b.ban("192.0.2.1/32", time.Hour, true)
		settle(3 * time.Second)
		for _, slow := range []time.Duration{1500 * time.Millisecond, 10 * time.Second} {
			a.store.SetFaults(storetest.Faults{Delay: slow})
			for range 60 {
				began := time.Now()
				a.share(nil)
				a.Status()
				a.Lift(source(999))
				if d := time.Since(began); d > 0 {
					t.Fatalf("a call takes %v with a store that takes %v", d, slow)
				}
				settle(500 * time.Millisecond)
			}
			if !hasBan(a, "192.0.2.1/32")() {
				t.Errorf("a ban is forgotten with a store that takes %v", slow)
			}
			if slow < cluster.DefaultTimeout {
				b.ban("192.0.2.2/32", time.Hour, true)
				waits(t, 20*time.Second, "a ban gets by a slow store", hasBan(a, "192.0.2.2/32"))
			}
		}
		a.wantsLog("the store does not answer", 1)
		a.store.SetFaults(storetest.Faults{})
		settle(10 * time.Second)
		allOpen(t, "at the end", a, b)
		a.wantsLog("the store answers again, after", 1)
		a.stop()
		b.stop()
	})
}

// A store that is full or read-only takes nothing from a node, which still hears
// of the others, says so once, counts it by its kind, and is heard later.
func TestStoreTakesNothing(t *testing.T) {
	for kind, f := range map[string]storetest.Faults{cluster.KindFull: {Full: true}, cluster.KindReadOnly: {ReadOnly: true}} {
		inBubble(t, func(t *testing.T, m *storetest.Memory) {
			a, b := newNode(t, m, "a"), newNode(t, m, "b")
			settle(3 * time.Second)
			a.store.SetFaults(f)
			a.ban("192.0.2.1/32", time.Hour, true)
			b.ban("192.0.2.2/32", time.Hour, true)
			settle(20 * time.Second)
			if !hasBan(a, "192.0.2.2/32")() || hasBan(b, "192.0.2.1/32")() {
				t.Errorf("%s: the node that cannot write should hear, and not be heard", kind)
			}
			if st := a.Status(); st.Up || st.Errors[kind] == 0 {
				t.Errorf("%s: %+v", kind, st)
			}
			allOpen(t, kind, a, b)
			a.wantsLog("the store does not answer, this node goes on with what it knows", 1)
			a.store.SetFaults(storetest.Faults{})
			waits(t, 3*time.Second, "what was not written is", hasBan(b, "192.0.2.1/32"))
			a.stop()
			b.stop()
		})
	}
}

// A store whose second takes over without the last writes: nobody forgets what
// it had heard, and one that comes then hears of it too.
func TestFailover(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b := newNode(t, m, "a"), newNode(t, m, "b")
		settle(3 * time.Second)
		second := m.Backup()
		a.ban("192.0.2.1/32", time.Hour, true)
		b.Distrust()
		settle(2 * time.Second)
		m.SetFaults(storetest.Faults{Down: true})
		settle(5 * time.Second)
		m.Restore(second)
		m.SetFaults(storetest.Faults{})
		settle(10 * time.Second)
		if !hasBan(a, "192.0.2.1/32")() || !hasBan(b, "192.0.2.1/32")() {
			t.Error("a ban is lost")
		}
		c := newNode(t, m, "c")
		waits(t, 3*time.Second, "a new node hears of the ban", hasBan(c, "192.0.2.1/32"))
		settle(2 * time.Minute)
		allOpen(t, "after the failover", a, b, c)
		for _, n := range []*testNode{a, b, c} {
			n.stop()
		}
	})
}

// Two clusters in one namespace, with different keys: neither believes anything
// of the other, each says so, and bans and counts are shared within each.
func TestTwoClustersInOneNamespace(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		other := func(c *cluster.Config) { c.Keys = testKeys(t, "of another cluster") }
		a, b := newNode(t, m, "a"), newNode(t, m, "b")
		settle(3 * time.Second)
		x, y := newNode(t, m, "x", other), newNode(t, m, "y", other)
		settle(3 * time.Second)
		a.ban("192.0.2.1/32", time.Hour, true)
		x.ban("192.0.2.2/32", time.Hour, true)
		a.share(func(r *cluster.Report) { r.Counts = cluster.Counts{{Prefix: source(1), Conns: 9}} })
		settle(3 * time.Second)
		for _, n := range []struct {
			*testNode
			has, hasNot string
		}{{b, "192.0.2.1/32", "192.0.2.2/32"}, {y, "192.0.2.2/32", "192.0.2.1/32"}} {
			if !hasBan(n.testNode, n.has)() || hasBan(n.testNode, n.hasNot)() || len(n.names()) != 2 {
				t.Errorf("node %s: %v", n.names()[0], n.names())
			}
			if n.Status().Errors["refused"] == 0 || n.logged("not sealed by a key of this cluster") == 0 {
				t.Errorf("node %s does not say so:\n%s", n.names()[0], n.logText())
			}
		}
		if y.other(source(1)).Conns != 0 {
			t.Error("clients of another cluster are counted")
		}
		allOpen(t, "the first cluster", a, b)
		if opens(a, x) || opens(x, a) {
			t.Error("tickets of another cluster are opened")
		}
		for _, n := range []*testNode{a, b, x, y} {
			n.stop()
		}
	})
}

// A node that is killed is missed, and nothing else: its bans last, its clients
// count no more.
func TestNodeIsKilled(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b := newNode(t, m, "a"), newNode(t, m, "b")
		settle(2 * time.Second)
		a.ban("192.0.2.1/32", time.Hour, true)
		a.share(func(r *cluster.Report) { r.Counts = cluster.Counts{{Prefix: source(1), Conns: 9}} })
		waits(t, 2*time.Second, "b hears of both", func() bool { return hasBan(b, "192.0.2.1/32")() && b.other(source(1)).Conns == 9 })
		x, _, _ := a.told()
		a.kill()
		waits(t, 7*time.Second, "its clients count no more", func() bool { return b.other(source(1)).Conns == 0 })
		waits(t, 8*time.Second, "it is gone", func() bool { return len(b.names()) == 1 })
		b.wantsLog("node a is not heard of any more", 1)
		if y, _, _ := b.told(); !hasBan(b, "192.0.2.1/32")() || string(x.Current) != string(y.Current) {
			t.Error("what it shared is lost")
		}
		b.stop()
	})
}

// Keys are exchanged in three steps, node by node, without a ticket that is not
// opened: neither one of before, nor one of any moment in between.
func TestKeysAreExchanged(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		with := func(secrets ...string) func(*cluster.Config) {
			return func(c *cluster.Config) {
				text := ""
				for _, s := range secrets {
					text += fmt.Sprintf("%x\n", sha256.Sum256([]byte(s)))
				}
				keys, err := cluster.ParseKeys([]byte(text))
				if err != nil {
					t.Fatal(err)
				}
				c.Keys = keys
			}
		}
		nodes := []*testNode{newNode(t, m, "a"), newNode(t, m, "b")}
		settle(3 * time.Second)
		before, _, _ := nodes[0].told()
		for _, keys := range [][]string{{"k", "new"}, {"new", "k"}, {"new"}} {
			for i, name := range []string{"a", "b"} {
				nodes[i].stop()
				nodes[i] = newNode(t, m, name, with(keys...))
				settle(3 * time.Second)
				allOpen(t, name, nodes...)
				if got, _, _ := nodes[i].told(); !bytes.Equal(got.Current, before.Current) {
					t.Errorf("with %q node %s has other secrets:\n%s", keys, name, nodes[i].logText())
				}
			}
			writes := m.Writes()
			settle(2 * time.Minute)
			if n := m.Writes() - writes; n > 2*130 { // each tells of itself once a second
				t.Errorf("with %q there are %d writes in two minutes", keys, n)
			}
		}
		for _, n := range nodes {
			n.wantsLog("refused", 0)
			n.stop()
		}
	})
}
