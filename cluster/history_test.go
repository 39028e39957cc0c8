package cluster_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"netserver/cluster"
	"netserver/cluster/storetest"
)

// A history is a random run of some nodes on one store whose ways there are cut,
// slow, lying or lossy, whose processes are killed, and whose clocks differ by up
// to two minutes. What the nodes are told is judged after each second.
type history struct {
	t     *testing.T
	rng   *rand.Rand
	m     *storetest.Memory
	names []string
	off   []time.Duration // clocks
	nodes []*testNode
	since []time.Time // starts of the processes

	backups []storetest.Backup
	faulty  []bool
	bans    []*madeBan
	heard   map[*testNode]map[netip.Prefix]bool // bans that a process was told of
	secrets map[string]uint64                   // the epoch in which one sealed
	before  map[*testNode][]string              // what a process sealed with, in order
	at      map[*testNode]time.Time
	gone    map[*testNode]map[string]bool // what it had before it distrusted it
}

type madeBan struct {
	p       netip.Prefix
	end     time.Time
	by      int
	sure    bool // the store has acknowledged it
	lifted  bool
	waiting int          // seconds for which its node has reached the store since
	lift    cluster.Lift // by whom outlives the node that lifted it; none if that did not know it
	lifter  int
}

func (h *history) start(i int) {
	h.nodes[i] = newNode(h.t, h.m, h.names[i], epochs(time.Minute), func(c *cluster.Config) {
		c.TicketLife = 2 * time.Minute
		off := h.off[i]
		c.Clock = func() time.Time { return time.Now().Add(off) }
	})
	h.since[i], h.faulty[i] = time.Now(), false
}

// act does one random thing.
func (h *history) act() {
	i := h.rng.IntN(len(h.nodes))
	n := h.nodes[i]
	switch h.rng.IntN(14) {
	case 0, 1, 2:
		f := []storetest.Faults{
			{Down: true}, {Hang: true}, {Delay: 700 * time.Millisecond}, {Lost: true}, {ReadOnly: true}, {Full: true}, {Garbage: true}, {Old: true}, {Oversize: true},
		}[h.rng.IntN(9)]
		n.store.SetFaults(f)
		h.faulty[i] = true
	case 3, 4, 5:
		n.store.SetFaults(storetest.Faults{})
		h.faulty[i] = false
	case 6:
		n.kill()
		h.start(i)
		if h.rng.IntN(3) > 0 { // the process that shares, not the whole server
			h.nodes[i].bansOf(n)
			break
		}
		for _, b := range h.bans {
			if b.lifter == i { // perhaps nobody else knows
				b.lift = cluster.Lift{}
			}
		}
	case 7, 8, 9:
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, byte(2 + len(h.bans)>>8), byte(len(h.bans))}), 32)
		h.bans = append(h.bans, &madeBan{p: p, end: time.Now().Add(20 * time.Minute), by: i})
		id := cluster.NewBanID(time.Now().Add(h.off[i]))
		n.share(func(r *cluster.Report) {
			r.Bans = append(r.Bans, cluster.Ban{Prefix: p, Left: 20 * time.Minute, Manual: true, ID: id})
		})
	case 10:
		if len(h.bans) > 0 {
			b := h.bans[h.rng.IntN(len(h.bans))]
			h.lift(i, b)
		}
	case 11:
		h.gone[n], h.at[n] = map[string]bool{}, time.Now()
		for _, s := range n.secrets() {
			h.gone[n][s] = true
		}
		n.Distrust()
	case 12:
		h.backups = append(h.backups, h.m.Backup())
	case 13:
		if len(h.backups) > 0 && h.rng.IntN(4) == 0 {
			h.m.Restore(h.backups[h.rng.IntN(len(h.backups))])
			for _, b := range h.bans { // it has them no more, perhaps
				b.sure = false
				b.waiting = -1 << 20
			}
		}
	}
}

// lift lifts a ban at a node, as its server does: by what that was told of it.
func (h *history) lift(i int, b *madeBan) {
	n := h.nodes[i]
	b.lifted = true
	if _, bans, _ := n.told(); !slices.ContainsFunc(bans, func(one cluster.Ban) bool {
		if one.Prefix == b.p {
			b.lift, b.lifter = cluster.Lift{Node: one.Node, ID: one.ID, Left: one.Left}, i
		}
		return one.Prefix == b.p
	}) {
		b.lift = cluster.Lift{}
	}
	n.share(func(r *cluster.Report) {
		r.Bans = slices.DeleteFunc(r.Bans, func(one cluster.Ban) bool { return one.Prefix == b.p })
		if b.lift.Left > 0 {
			r.Lifted = append(slices.Clone(r.Lifted), b.lift)
		}
	})
	n.Lift(b.p)
}

func (n *testNode) secrets() (list []string) {
	t, _, _ := n.told()
	if t.Current != nil {
		list = append(list, string(t.Current))
	}
	for _, p := range t.Past {
		list = append(list, string(p))
	}
	return list
}

// judge looks at what the nodes were told.
func (h *history) judge() {
	now := time.Now()
	for i, n := range h.nodes {
		tickets, bans, _ := n.told()
		if h.heard[n] == nil {
			h.heard[n] = map[netip.Prefix]bool{}
		}
		have := map[netip.Prefix]bool{}
		for _, b := range bans {
			have[b.Prefix] = true
			h.heard[n][b.Prefix] = true
		}
		for _, b := range h.bans {
			if h.heard[n][b.p] && !have[b.p] && !b.lifted && b.end.After(now.Add(3*time.Second)) {
				h.t.Errorf("node %s has forgotten the ban of %v:\n%s", n.names()[0], b.p, n.logText())
			}
			if b.by == i && have[b.p] && !h.faulty[i] && n.Status().Up {
				if b.waiting++; b.waiting >= 3 {
					b.sure = true
				}
			} else if b.by == i {
				b.waiting = min(b.waiting, 0)
			}
		}
		if tickets.Current == nil {
			continue
		}
		cur := string(tickets.Current)
		if past := h.before[n]; len(past) == 0 || past[len(past)-1] != cur {
			if slices.Contains(past, cur) {
				h.t.Errorf("a secret is used again after another")
			}
			h.before[n] = append(past, cur)
		}
		if _, ok := h.secrets[cur]; !ok {
			h.secrets[cur] = tickets.Epoch
		}
		for _, s := range n.secrets() {
			if h.gone[n][s] {
				h.t.Errorf("node %s opens tickets of a secret of epoch %d that was given away at %v: %+v", h.names[i], h.secrets[s], h.at[n], n.Status())
			}
			epoch, sealed := h.secrets[s]
			end := time.Unix(int64(epoch+1)*60, 0).Add(2 * time.Minute) // by the clock of a node
			if sealed && now.Add(h.off[i]).After(end.Add(2*time.Second)) {
				h.t.Errorf("a secret of epoch %d opens tickets %v after its window", epoch, now.Add(h.off[i]).Sub(end))
			}
		}
	}
}

// settle heals all and waits until nothing is to be exchanged any more.
func (h *history) settle() {
	for i, n := range h.nodes {
		n.store.SetFaults(storetest.Faults{})
		h.faulty[i] = false
	}
	for range 150 {
		h.tick()
	}
	for i, n := range h.nodes {
		for _, b := range h.bans {
			left, have := n.banned(b.p.String())
			if b.sure && !b.lifted && !have && b.end.After(time.Now().Add(3*time.Second)) {
				h.t.Errorf("node %s does not have the ban of %v, which the store had", h.names[i], b.p)
			}
			if have && b.lift.Left > 0 {
				h.t.Errorf("node %s has the ban of %v, which node %s has lifted", h.names[i], b.p, h.names[b.lifter])
			}
			if have && time.Now().Add(left).After(b.end.Add(10*time.Minute)) { // the clocks of nodes that are gone are not known
				h.t.Errorf("node %s has the ban of %v for %v too long", h.names[i], b.p, time.Now().Add(left).Sub(b.end))
			}
		}
		if len(n.names()) != len(h.nodes) {
			h.t.Errorf("node %s knows %v", h.names[i], n.names())
		}
		if got := n.other(source(1)).Conns; int(got) != 2*(len(h.nodes)-1) {
			h.t.Errorf("node %s counts %d elsewhere", h.names[i], got)
		}
	}
	allOpen(h.t, "at the end", h.nodes...)
	if keys := len(h.m.Keys()); keys > 4*len(h.nodes)+4*9 {
		h.t.Errorf("%d keys in the store: %v", keys, h.m.Keys())
	}
}

func (h *history) tick() {
	for range 2 {
		for _, n := range h.nodes {
			n.share(func(r *cluster.Report) { r.Counts = cluster.Counts{{Prefix: source(1), Conns: 2}} })
		}
		settle(500 * time.Millisecond)
	}
	h.judge()
}

// TestHistories: never a ban lost that the store had acknowledged, or that a node
// knew; never a lift lost of a server that lives; never a ticket secret that opens tickets after its window or after it was
// distrusted, or is used again; and at the end, all agree.
func TestHistories(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 15))
				h := &history{
					t: t, rng: rng, m: new(storetest.Memory), names: []string{"a", "b", "c", "d"}, nodes: make([]*testNode, 4), since: make([]time.Time, 4), faulty: make([]bool, 4),
					heard: map[*testNode]map[netip.Prefix]bool{}, secrets: map[string]uint64{}, before: map[*testNode][]string{}, gone: map[*testNode]map[string]bool{}, at: map[*testNode]time.Time{},
				}
				for i := range h.nodes {
					h.off = append(h.off, time.Duration(rng.IntN(50)-25)*time.Second)
					h.start(i)
				}
				for range 100 {
					h.act()
					h.tick()
					if t.Failed() {
						break
					}
				}
				if !t.Failed() {
					h.settle()
				}
				for _, n := range h.nodes {
					n.stop()
				}
			})
		})
	}
}
