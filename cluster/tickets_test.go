package cluster_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"netserver/cluster"
	"netserver/cluster/storetest"
)

// short is an epoch of the tests: each second of it costs work.
const short = 5 * time.Minute

func epochs(d time.Duration) func(*cluster.Config) {
	return func(c *cluster.Config) { c.Epoch, c.TicketLife = d, 2*d }
}

func clockOff(d time.Duration) func(*cluster.Config) {
	return func(c *cluster.Config) { c.Clock = func() time.Time { return time.Now().Add(d) } }
}

// allOpen checks that every node opens what any other seals.
func allOpen(t *testing.T, when string, nodes ...*testNode) {
	t.Helper()
	for _, a := range nodes {
		for _, b := range nodes {
			if !opens(a, b) {
				t.Errorf("%s: a ticket of one node is not opened by another:\n%s\n%s", when, a.logText(), b.logText())
			}
		}
	}
}

// Nodes whose clocks differ by minutes, more than what an exchange takes, always
// open each other's tickets, at every moment of several rotations.
func TestTicketsAtRotations(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b, c := newNode(t, m, "a", epochs(short)), newNode(t, m, "b", epochs(short), clockOff(2*time.Minute)), newNode(t, m, "c", epochs(short), clockOff(-2*time.Minute))
		settle(2 * time.Second)
		seen := map[string]bool{}
		for range 5 * 20 {
			allOpen(t, "at a rotation", a, b, c)
			x, _, _ := a.told()
			seen[string(x.Current)] = true
			if len(x.Past) > cluster.MaxTickets {
				t.Fatalf("%d secrets of the past", len(x.Past))
			}
			if t.Failed() {
				return
			}
			settle(short / 20)
		}
		if len(seen) < 5 || len(seen) > 7 {
			t.Errorf("%d secrets in five epochs", len(seen))
		}
		// What is over by more than a ticket's life is not known to anybody.
		first := a.all[0].Current
		for _, n := range []*testNode{a, b, c} {
			x, _, _ := n.told()
			if bytes.Equal(first, x.Current) || slices.ContainsFunc(x.Past, func(p []byte) bool { return bytes.Equal(p, first) }) {
				t.Error("the first secret still opens tickets after five epochs")
			}
			n.stop()
		}
	})
}

// The secret of the next epoch is in the store an epoch before it is used.
func TestNextSecretIsThereAhead(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a := newNode(t, m, "a", epochs(short))
		settle(2 * time.Second)
		now := uint64(time.Now().UnixMilli()) / uint64(short.Milliseconds())
		for _, epoch := range []uint64{now, now + 1} {
			key := fmt.Sprintf("tickets/%d.0", epoch)
			if !slices.ContainsFunc(m.Keys(), func(k string) bool { return strings.HasSuffix(k, key) }) {
				t.Errorf("no %s among %q", key, m.Keys())
			}
		}
		a.stop()
	})
}

// Nodes that make the first secret at the same moment agree on one.
func TestTicketsOfManyMakers(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		var nodes []*testNode
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			nodes = append(nodes, newNode(t, m, name))
		}
		settle(time.Second)
		first, _, _ := nodes[0].told()
		for _, n := range nodes {
			for _, x := range n.all {
				if !bytes.Equal(x.Current, first.Current) || first.Current == nil {
					t.Errorf("told %d times, of %d bytes", len(n.all), len(x.Current))
				}
			}
		}
		for _, n := range nodes {
			n.stop()
		}
	})
}

// A store restored from a backup gives nobody an old secret: neither those who
// knew better, nor a node that starts then, once it has heard of them.
func TestTicketsOfABackup(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b := newNode(t, m, "a", epochs(short)), newNode(t, m, "b", epochs(short))
		settle(2 * time.Second)
		old, backup := a.all[0].Current, m.Backup()
		a.Distrust() // of it; the backup does not know
		settle(2 * time.Second)
		knows := func(n *testNode) bool {
			x, _, _ := n.told()
			return bytes.Equal(x.Current, old) || slices.ContainsFunc(x.Past, func(p []byte) bool { return bytes.Equal(p, old) })
		}
		if knows(a) || knows(b) || !opens(a, b) || !opens(b, a) {
			t.Error("after a secret was given away")
		}
		m.Restore(backup)
		settle(5 * time.Second)
		c := newNode(t, m, "c", epochs(short))
		settle(5 * time.Second)
		if knows(a) || knows(b) || knows(c) {
			t.Errorf("the old secret is back: a %v, b %v, c %v", knows(a), knows(b), knows(c))
		}
		allOpen(t, "after the backup", a, b, c)
		settle(5 * short)
		allOpen(t, "epochs later", a, b, c)
		m.Restore(backup) // whose time is over
		settle(5 * time.Second)
		d := newNode(t, m, "d", epochs(short))
		settle(5 * time.Second)
		if knows(a) || knows(b) || knows(c) || knows(d) {
			t.Error("a secret whose time is over is back")
		}
		allOpen(t, "after the second backup", a, b, c, d)
		for _, n := range []*testNode{a, b, c, d} {
			n.stop()
		}
	})
}

// A store that has lost a write and was given another secret in its place: each
// node keeps what it knows, says so, and all move on to a third.
func TestTicketsOfTwoMinds(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		empty := m.Backup()
		a := newNode(t, m, "a")
		settle(2 * time.Second)
		a.store.SetFaults(storetest.Faults{Down: true})
		settle(time.Second)
		m.Restore(empty)
		b := newNode(t, m, "b")
		settle(3 * time.Second)
		if opens(a, b) {
			t.Error("they had one mind")
		}
		mine, _, _ := a.told()
		a.store.SetFaults(storetest.Faults{})
		settle(time.Minute)
		allOpen(t, "after a minute", a, b)
		if x, _, _ := a.told(); !slices.ContainsFunc(x.Past, func(p []byte) bool { return bytes.Equal(p, mine.Current) }) {
			t.Error("a has forgotten the secret of its own tickets")
		}
		a.wantsLog("a second secret for ticket epoch", 1)
		keys := len(m.Keys())
		settle(3 * time.Minute)
		if got := len(m.Keys()); got != keys {
			t.Errorf("%d keys have become %d: %v", keys, got, m.Keys())
		}
		a.stop()
		b.stop()
	})
}

// Without the store a node goes on with the next secret, then with its own, says
// so once, and comes back to the others' when it can.
func TestTicketsWithoutTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b := newNode(t, m, "a", epochs(short)), newNode(t, m, "b", epochs(short))
		settle(2 * time.Second)
		m.SetFaults(storetest.Faults{Down: true})
		start := time.Now()
		for time.Since(start) < short-5*time.Second {
			allOpen(t, "without the store", a, b)
			settle(short / 10)
		}
		settle(3 * short)
		a.wantsLog("are good here alone", 1)
		a.wantsLog("goes on with what it knows", 1)
		x, _, _ := a.told()
		other, _, _ := b.told()
		if opens(a, b) || x.Current == nil {
			t.Error("after three epochs alone each should have its own")
		}
		m.SetFaults(storetest.Faults{})
		settle(10 * time.Second)
		allOpen(t, "at the store's return", a, b)
		a.wantsLog("the store answers again", 1)
		if y, _, _ := a.told(); !bytes.Equal(y.Current, x.Current) && !slices.ContainsFunc(y.Past, func(p []byte) bool { return bytes.Equal(p, x.Current) }) {
			t.Error("a has forgotten the secret of its own tickets")
		}
		m.SetFaults(storetest.Faults{Delay: 100 * time.Millisecond}) // at each rotation both make a secret, and one gives its own up
		settle(4 * short)
		if slices.Contains(a.secrets(), string(x.Current)) || slices.Contains(b.secrets(), string(other.Current)) {
			t.Error("a secret still opens tickets when all of its tickets are over")
		}
		a.stop()
		b.stop()

		m.SetFaults(storetest.Faults{Hang: true})
		alone := newNode(t, m, "alone")
		settle(time.Minute)
		if x, _, _ := alone.told(); x.Current != nil {
			t.Error("a node that never saw the store gives out secrets")
		}
		if st := alone.Status(); st.Up || st.Synced || st.Errors[cluster.KindTimeout] == 0 {
			t.Errorf("%+v", st)
		}
		alone.stop()
	})
}

// After Distrust no node opens tickets of what was known before, wherever it is
// in an epoch; more than one a minute are not shared.
func TestDistrust(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b := newNode(t, m, "a", epochs(short)), newNode(t, m, "b", epochs(short))
		settle(3 * short)
		x, _, _ := a.told()
		known := append(x.Past, x.Current)
		check := func(n *testNode) {
			t.Helper()
			y, _, _ := n.told()
			for _, s := range append(y.Past, y.Current) {
				if slices.ContainsFunc(known, func(k []byte) bool { return bytes.Equal(k, s) }) {
					t.Error("a secret that was given away still opens tickets")
				}
			}
		}
		a.Distrust()
		settle(time.Millisecond)
		check(a)
		settle(time.Second)
		check(b)
		allOpen(t, "after it", a, b)
		keys := len(m.Keys())
		for range 50 {
			a.Distrust()
			settle(time.Second)
		}
		if got := len(m.Keys()); got > keys+2 {
			t.Errorf("%d more keys within a minute", got-keys)
		}
		settle(2 * time.Minute)
		allOpen(t, "after many", a, b)
		settle(short)
		check(b)
		a.stop()
		b.stop()
	})
}

// A node that could not read new secrets, since what it read was garbage, has them
// soon after it can, and with them what is not to be opened any more, also if the
// store has lost it all meanwhile and is an old copy.
func TestTicketsThatWereNotRead(t *testing.T) {
	for name, fault := range map[string]storetest.Faults{"garbage": {Garbage: true}, "oversize": {Oversize: true}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *storetest.Memory) {
				a, b := newNode(t, m, "a", epochs(short)), newNode(t, m, "b", epochs(short))
				settle(2 * time.Second)
				x, _, _ := a.told()
				backup := m.Backup()
				b.store.SetFaults(fault)
				a.Distrust()
				settle(30 * time.Second)
				m.Restore(backup)
				settle(30 * time.Second)
				b.store.SetFaults(storetest.Faults{})
				settle(10 * time.Second)
				allOpen(t, "after it", a, b)
				for _, n := range []*testNode{a, b} {
					if slices.Contains(n.secrets(), string(x.Current)) {
						t.Error("a secret that was given away still opens tickets")
					}
				}
				a.stop()
				b.stop()
			})
		})
	}
}

// A node that can read none of the secrets that the others make uses those that it
// has until their time is over, not longer, and then its own until it can read.
func TestTicketsOfGarbageEndInTime(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b := newNode(t, m, "a", epochs(short)), newNode(t, m, "b", epochs(short), clockOff(-time.Minute)) // so that a is first
		settle(2 * time.Second)
		b.store.SetFaults(storetest.Faults{Garbage: true})
		first := map[string]time.Time{} // when b was told of each
		for range 8 * 20 {
			settle(short / 20)
			for _, s := range b.secrets() {
				if first[s].IsZero() {
					first[s] = time.Now()
				} else if age := time.Since(first[s]); age > 5*short { // known for an epoch before it is used, and for two after it
					t.Errorf("a secret is used or opens tickets for %v", age)
				}
			}
			if t.Failed() {
				break
			}
		}
		if opens(a, b) || opens(b, a) || !b.Status().Up {
			t.Error("b can read something")
		}
		own, _, _ := b.told()
		b.store.SetFaults(storetest.Faults{})
		settle(10 * time.Second)
		allOpen(t, "after it", a, b)
		if !slices.Contains(b.secrets(), string(own.Current)) {
			t.Error("b has forgotten the secret of its own tickets")
		}
		a.stop()
		b.stop()
	})
}

// A wall clock that is set back gives no old epoch; one that jumps ahead for a
// moment costs this node's sharing at most.
func TestClockJumps(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		var off time.Duration
		a := newNode(t, m, "a", epochs(short), func(c *cluster.Config) { c.Clock = func() time.Time { return time.Now().Add(off) } })
		b := newNode(t, m, "b", epochs(short))
		settle(5 * short)
		before, _, _ := a.told()
		a.stop() // off is not for two goroutines
		off = -24 * time.Hour
		a = newNode(t, m, "a", epochs(short), func(c *cluster.Config) {
			began := time.Now()
			c.Clock = func() time.Time {
				if time.Since(began) > time.Minute {
					return time.Now().Add(off)
				}
				return time.Now()
			}
		})
		settle(2 * time.Minute)
		after, _, _ := a.told()
		if after.Epoch < before.Epoch {
			t.Errorf("epoch %d after %d", after.Epoch, before.Epoch)
		}
		a.wantsLog("was set back", 1)
		allOpen(t, "after a was set back", a, b)
		settle(3 * short)
		allOpen(t, "epochs later", a, b)
		a.stop()
		b.stop()
	})
}
