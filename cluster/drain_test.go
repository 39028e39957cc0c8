package cluster_test

import (
	"strings"
	"testing"
	"time"

	"netserver/cluster"
	"netserver/cluster/storetest"
)

// serves has the node tell that it is ready at a port of its own address.
func (n *testNode) serves(ports ...string) {
	n.share(func(r *cluster.Report) { r.Ready, r.Ports = true, ports })
}

func (n *testNode) asks(id uint64) { n.share(func(r *cluster.Report) { r.Leave = id }) }

func (n *testNode) drains() { n.share(func(r *cluster.Report) { r.Ready, r.Draining = false, true }) }

// leave returns the answer to id; empty if there is none.
func (n *testNode) leave(id uint64) cluster.Leave {
	n.mu.Lock()
	defer n.mu.Unlock()
	if a := n.status.Leave; a != nil && a.Ask == id {
		return *a
	}
	return cluster.Leave{}
}

// wants checks the answer to id.
func (n *testNode) wants(id uint64, may bool, why string) {
	n.t.Helper()
	if a := n.leave(id); a.May != may || !strings.Contains(a.Why, why) || why == "" && a.Why != "" {
		n.t.Errorf("%+v, want %v, %q", a, may, why)
	}
}

// Of nodes that ask at the same moment one drains, while another serves its
// ports; the next when it has left, or was killed.
func TestOneDrainsAtATime(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		nodes := []*testNode{newNode(t, m, "a"), newNode(t, m, "b"), newNode(t, m, "c")}
		for i, n := range nodes {
			n.serves([]string{"10.0.0.1:443/ssl", "[::1]:443/ssl", "*:443/ssl"}[i])
		}
		settle(2 * time.Second)
		first, second := nodes[0], nodes[1]
		first.asks(1)
		second.asks(1)
		settle(3 * time.Second)
		if second.leave(1).May {
			first, second = second, first
		}
		first.wants(1, true, "")
		second.wants(1, false, "drains")
		first.drains()
		settle(time.Minute)
		second.wants(1, false, "node "+first.names()[0]+" drains")
		first.stop()
		settle(3 * time.Second)
		second.wants(1, true, "")
		second.drains()
		nodes[2].asks(1)
		settle(2 * time.Second)
		nodes[2].wants(1, false, "drains")
		second.kill()
		settle(20 * time.Second)
		nodes[2].wants(1, false, "no other node is there")
		again := newNode(t, m, "a")
		again.share(func(r *cluster.Report) { r.Ports = []string{"443/ssl"} })
		settle(3 * time.Second)
		nodes[2].wants(1, false, "node a is not ready")
		again.serves("80")
		settle(3 * time.Second)
		nodes[2].wants(1, false, "node a does not serve 443/ssl")
		again.serves("80", "443/ssl")
		settle(3 * time.Second)
		nodes[2].wants(1, true, "")
		nodes[2].asks(0) // it was not to be
		again.asks(7)
		settle(3 * time.Second)
		again.wants(7, false, "node c does not serve 80")
		again.serves("443/ssl")
		settle(3 * time.Second)
		again.wants(7, true, "")
		nodes[2].stop()
		again.stop()
		if keys := m.Keys(); strings.Contains(strings.Join(keys, " "), "leases/") {
			t.Errorf("the lease is still there: %v", keys)
		}
	})
}

// Without the store nobody drains who asks; who was allowed to goes on.
func TestDrainWithoutTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b := newNode(t, m, "a"), newNode(t, m, "b")
		a.serves("443")
		b.serves("443")
		settle(2 * time.Second)
		a.asks(1)
		settle(2 * time.Second)
		a.wants(1, true, "")
		m.SetFaults(storetest.Faults{Down: true})
		b.asks(1)
		settle(30 * time.Second)
		a.wants(1, true, "")
		b.wants(1, false, "the store does not answer")
		m.SetFaults(storetest.Faults{})
		a.drains()
		settle(10 * time.Second)
		b.wants(1, false, "node a drains")

		// An answer that is lost, and what is no lease of this cluster.
		a.stop()
		settle(2 * time.Second)
		b.wants(1, false, "no other node is there")
		c := newNode(t, m, "c")
		c.serves("443")
		m.Write("leases/drain", []byte("?"))
		settle(3 * time.Second)
		b.wants(1, false, "not one of this cluster")
		b.store.Delete(t.Context(), "leases/drain", 0)
		b.store.SetFaults(storetest.Faults{Lost: true})
		settle(3 * time.Second)
		b.store.SetFaults(storetest.Faults{})
		settle(5 * time.Second)
		b.wants(1, true, "")
		b.stop()
		c.stop()
	})
}

// A lease that nobody renews is nobody's, whatever the store does with it: it holds
// a rollout up for twenty seconds. One that is made up anew all the time does for
// as long as somebody does that.
func TestLeasesThatDoNotEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b := newNode(t, m, "a"), newNode(t, m, "b")
		a.serves("443")
		b.serves("443")
		settle(2 * time.Second)
		a.asks(1)
		settle(2 * time.Second)
		a.wants(1, true, "")
		lease, err := b.store.Get(t.Context(), "leases/drain")
		if err != nil {
			t.Fatal(err)
		}
		a.asks(0)
		settle(2 * time.Second)
		for i, data := range [][]byte{lease.Data, []byte("?"), make([]byte, cluster.MaxValue+1)} {
			m.Write("leases/drain", data) // which does not end
			id := uint64(i + 1)
			b.asks(id)
			settle(3 * time.Second)
			if i < 2 {
				b.wants(id, false, []string{"node a drains", "not one of this cluster"}[i])
			}
			settle(20 * time.Second)
			b.wants(id, true, "")
			b.asks(0)
			settle(2 * time.Second)
		}
		b.asks(9)
		for range 60 {
			m.Write("leases/drain", []byte("?"))
			settle(time.Second)
			b.wants(9, false, "not one of this cluster")
		}
		a.stop()
		b.stop()
	})
}

// Who was allowed to drain goes on when the other is no longer ready: it drains
// already, and keeps the lease. Both have said that the other is there.
func TestWhoDrainsGoesOn(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b := newNode(t, m, "a"), newNode(t, m, "b")
		a.serves("443/ssl")
		b.serves("443/ssl")
		settle(2 * time.Second)
		a.wantsLog("node b is here", 1)
		b.wantsLog("node a is here", 1)
		a.asks(1)
		settle(2 * time.Second)
		a.wants(1, true, "")
		b.share(func(r *cluster.Report) { r.Ready = false })
		settle(30 * time.Second)
		a.wants(1, true, "")
		b.asks(1)
		settle(2 * time.Second)
		b.wants(1, false, "node a ")
		if why := b.leave(1).Why; strings.Contains(why, "more") {
			t.Errorf("%q: there are no more", why)
		}
		a.stop()
		b.stop()
	})
}
