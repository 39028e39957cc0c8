package cluster_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"netserver/cluster"
	"netserver/cluster/storetest"
)

func quorum(n int) func(*cluster.Config) {
	return func(c *cluster.Config) { c.Quorum = n }
}

// finds has the node report twice a second that it has these targets, and finds
// some of them down, until the test ends or it finds something else.
func (n *testNode) finds(targets, down []uint64) {
	n.share(func(r *cluster.Report) {
		r.Targets = nil
		for _, id := range targets {
			r.Targets = append(r.Targets, cluster.Finding{ID: id, Down: slices.Contains(down, id)})
		}
	})
}

// outAt returns the targets that n was told to be down at others, and of how many.
func (n *testNode) outAt() (list []cluster.Opinion) {
	_, _, others := n.told()
	return others.Targets
}

func wantsOut(t *testing.T, limit time.Duration, n *testNode, what string, want ...cluster.Opinion) {
	t.Helper()
	waits(t, limit, what, func() bool { return slices.Equal(n.outAt(), want) })
}

// A node is told of a target that enough others find down, while they do.
func TestTargetsAreShared(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		all := []uint64{2, 4, 1<<64 - 2}
		var nodes []*testNode
		for _, name := range []string{"a", "b", "c", "d"} {
			n := newNode(t, m, name, quorum(2))
			defer n.stop()
			n.finds(all, nil)
			nodes = append(nodes, n)
		}
		a, b, c, d := nodes[0], nodes[1], nodes[2], nodes[3]
		d.finds([]uint64{2, 8}, []uint64{2, 8}) // another knows the first alone, and one more
		settle(3 * time.Second)
		for _, n := range nodes {
			wantsOut(t, 0, n, "one alone is not enough")
		}
		b.finds(all, []uint64{2, 1<<64 - 2})
		wantsOut(t, time.Second, a, "two find the first down", cluster.Opinion{ID: 2, Down: 2, Of: 3})
		wantsOut(t, time.Second, c, "two find the first down", cluster.Opinion{ID: 2, Down: 2, Of: 3})
		settle(10 * time.Second) // what is written again is what it was
		wantsOut(t, 0, b, "its own finding does not count with it")
		a.finds(all, []uint64{2}) // which is not heard
		wantsOut(t, time.Second, b, "two others find it down", cluster.Opinion{ID: 2, Down: 2, Of: 3})
		wantsOut(t, time.Second, c, "three do", cluster.Opinion{ID: 2, Down: 3, Of: 3})
		if got := c.Status().Targets; got != 1 {
			t.Errorf("%d targets in the status", got)
		}
		c.finds([]uint64{4}, nil)
		wantsOut(t, time.Second, c, "what it does not have it is not told of")
		c.finds(all, nil)
		wantsOut(t, time.Second, c, "and is told again when it has it", cluster.Opinion{ID: 2, Down: 3, Of: 3})
		d.finds(nil, nil)
		a.finds(all, nil)
		wantsOut(t, time.Second, c, "one alone is not enough any more")
		for _, n := range nodes {
			n.wantsLog("refused", 0)
		}
	})
}

// Whoever is not heard counts for nothing: killed, stopped, or cut off from the
// store, which the node itself may be.
func TestTargetsOfWhoIsSilent(t *testing.T) {
	for _, test := range []struct {
		name  string
		how   func(a, b *testNode, m *storetest.Memory)
		limit time.Duration
	}{
		{"it is killed", func(_, b *testNode, _ *storetest.Memory) { b.kill() }, 6 * time.Second},
		{"it is stopped", func(_, b *testNode, _ *storetest.Memory) { b.stop() }, time.Second},
		{"it is cut off", func(_, b *testNode, _ *storetest.Memory) { b.store.SetFaults(storetest.Faults{Down: true}) }, 6 * time.Second},
		{"the node is cut off", func(a, _ *testNode, _ *storetest.Memory) { a.store.SetFaults(storetest.Faults{Down: true}) }, 6 * time.Second},
		{"the store is lost", func(_, _ *testNode, m *storetest.Memory) { m.SetFaults(storetest.Faults{Down: true}) }, 6 * time.Second},
		{"the store is restored from a backup", func(_, b *testNode, m *storetest.Memory) {
			old := m.Backup()
			b.finds([]uint64{2}, nil)
			settle(time.Second)
			b.kill()
			m.Restore(old)
		}, 6 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *storetest.Memory) {
				a, b := newNode(t, m, "a", quorum(1)), newNode(t, m, "b", quorum(1))
				settle(2 * time.Second)
				a.finds([]uint64{2}, nil)
				b.finds([]uint64{2}, []uint64{2})
				wantsOut(t, time.Second, a, "b finds it down", cluster.Opinion{ID: 2, Down: 1, Of: 1})
				test.how(a, b, m)
				wantsOut(t, test.limit, a, "b counts no more")
				settle(10 * time.Second)
				wantsOut(t, 0, a, "nor later")
				m.SetFaults(storetest.Faults{})
				a.store.SetFaults(storetest.Faults{})
				b.store.SetFaults(storetest.Faults{})
				if b.cancel(); a.Status().Targets != 0 {
					t.Error("it is still in the status")
				}
				a.stop()
				<-b.done
			})
		})
	}
}

// A store that was away brings what others find then.
func TestTargetsAfterTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b := newNode(t, m, "a", quorum(1)), newNode(t, m, "b", quorum(1))
		a.finds([]uint64{2, 4}, nil)
		b.finds([]uint64{2, 4}, []uint64{2})
		wantsOut(t, 3*time.Second, a, "b finds it down", cluster.Opinion{ID: 2, Down: 1, Of: 1})
		m.SetFaults(storetest.Faults{Down: true})
		settle(20 * time.Second)
		b.finds([]uint64{2, 4}, []uint64{4})
		m.SetFaults(storetest.Faults{})
		wantsOut(t, 10*time.Second, a, "b finds the other down", cluster.Opinion{ID: 4, Down: 1, Of: 1})
		a.stop()
		b.stop()
	})
}

// Without a quorum nothing of targets goes into the store, and nothing is heeded.
func TestTargetsWithoutQuorum(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		without, with := newNode(t, m, "without"), newNode(t, m, "with", quorum(1))
		without.finds([]uint64{2, 4}, []uint64{2})
		with.finds([]uint64{2, 4}, []uint64{4})
		settle(5 * time.Second)
		if got, got2 := without.outAt(), with.outAt(); got != nil || got2 != nil {
			t.Errorf("%v and %v are told", got, got2)
		}
		if keys := strings.Join(m.Keys(), " "); strings.Contains(keys, "targets/without") || !strings.Contains(keys, "targets/with") {
			t.Error(keys)
		}
		with.stop()
		if keys := strings.Join(m.Keys(), " "); strings.Contains(keys, "targets/") {
			t.Errorf("who has left has %s", keys)
		}
		without.stop()
	})
	for _, v := range []any{cluster.Report{}, cluster.Others{}, cluster.Status{}} { // as before there were targets
		if b, _ := json.Marshal(v); strings.Contains(string(b), "target") {
			t.Errorf("%s", b)
		}
	}
}

// A node whose target flaps writes and tells no more often than others may hear.
func TestTargetsThatFlap(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		var told atomic.Int64
		a := newNode(t, m, "a", quorum(1), func(c *cluster.Config) {
			tell := c.Tell
			c.Tell = func(n cluster.News) {
				if n.Others != nil {
					told.Add(1)
				}
				tell(n)
			}
		})
		b := newNode(t, m, "b", quorum(1))
		a.finds([]uint64{2}, nil)
		settle(3 * time.Second)
		writes, before := m.Writes(), told.Load()
		for i := range 2000 {
			b.finds([]uint64{2}, []uint64{2}[:i%2])
			time.Sleep(time.Millisecond)
		}
		if n, w := told.Load()-before, m.Writes()-writes; n > 15 || w > 40 {
			t.Errorf("in two seconds %d were told, %d written", n, w)
		}
		b.finds([]uint64{2}, []uint64{2})
		wantsOut(t, time.Second, a, "the last one counts", cluster.Opinion{ID: 2, Down: 1, Of: 1})
		a.stop()
		b.stop()
	})
}

func TestFindingsAsText(t *testing.T) {
	good := cluster.Findings{{4, true}, {2, false}, {1<<64 - 2, true}}
	text, err := json.Marshal(good)
	var back cluster.Findings
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	if want := (cluster.Findings{{2, false}, {4, true}, {1<<64 - 2, true}}); err != nil || !slices.Equal(back, want) {
		t.Errorf("%v, %v", back, err)
	}
	for _, bad := range []cluster.Findings{{{0, false}}, {{3, false}}, {{2, false}, {2, true}}, {{2, false}, {2, false}}, make(cluster.Findings, cluster.MaxTargets+1)} {
		if text, err := json.Marshal(bad); err == nil {
			t.Errorf("%v: %s", bad, text)
		}
	}
}

func FuzzFindings(f *testing.F) {
	for _, seed := range []string{"", "AQ==", "AQAAAAAAAAAC", "AQAAAAAAAAAB", "AQAAAAAAAAACAAAAAAAAAAM=", "AgAAAAAAAAAC"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var list cluster.Findings
		if list.UnmarshalText([]byte(text)) != nil {
			return
		}
		if again, err := list.MarshalText(); err != nil || string(again) != text {
			t.Errorf("%q, %v from %q", again, err, text)
		}
	})
}
