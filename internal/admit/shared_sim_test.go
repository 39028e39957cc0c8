package admit

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// A cluster is Limiters, or Queues, that tell each other what they have, in steps
// of ten milliseconds: docs/CLUSTER-MODEL.md is about this simulation.
type clusterSim struct {
	rng    *rand.Rand
	nodes  []simNode
	conns  []int      // of the source, by node
	phase  []int      // when in a period a node reports
	told   [][]int    // what a node knows of another
	onWay  []delivery // reports under way
	lat    int        // the longest way, in steps
	source netip.Addr
	now    int
	most   int // connections at once, in all
}

type delivery struct{ at, from, to, n int }

// A simNode is what a node has of the source.
type simNode interface {
	report() int // what it tells the others
	hear(Others) // what they have told
	open() bool  // reports whether there is one more now
	close()
}

const simPeriod = 50 // steps between two reports of a node: half a second

type limiterNode struct {
	*Limiter
	source netip.Addr
}

func (l limiterNode) report() (n int) {
	for _, u := range l.Shared(10) {
		if u.Prefix.Bits() == 32 {
			n = u.Conns
		}
	}
	return n
}

func (l limiterNode) hear(o Others) { l.SetOthers(o) }
func (l limiterNode) open() bool    { return l.Enter(l.source) == OK }
func (l limiterNode) close()        { l.Leave(l.source) }

func newClusterSim(seed uint64, n, limit, lat int) *clusterSim {
	source := netip.MustParseAddr("192.0.2.1")
	return newSimOf(seed, n, lat, func(*clusterSim) simNode { return limiterNode{NewLimiter(Limits{MaxPerSource: limit}), source} })
}

func newSimOf(seed uint64, n, lat int, node func(*clusterSim) simNode) *clusterSim {
	s := &clusterSim{rng: rand.New(rand.NewPCG(seed, 9)), conns: make([]int, n), lat: lat, source: netip.MustParseAddr("192.0.2.1")}
	for range n {
		s.nodes = append(s.nodes, node(s))
		s.phase = append(s.phase, s.rng.IntN(simPeriod))
		s.told = append(s.told, make([]int, n))
	}
	for i := range s.nodes {
		s.tell(i)
	}
	return s
}

func (s *clusterSim) tell(i int) {
	prefix, _ := Tiers(s.source)
	sum := 0
	for _, n := range s.told[i] {
		sum += n
	}
	s.nodes[i].hear(Others{Processes: len(s.nodes) - 1, Uses: []SourceUse{{Prefix: prefix, Conns: sum, Handshakes: sum}}})
}

// step carries out what happens in ten milliseconds, beside what clients do.
func (s *clusterSim) step() {
	s.now++
	for i, l := range s.nodes {
		if s.now%simPeriod != s.phase[i] {
			continue
		}
		n := l.report()
		for j := range s.nodes {
			if j != i {
				s.onWay = append(s.onWay, delivery{s.now + s.rng.IntN(s.lat+1), i, j, n})
			}
		}
	}
	changed, rest := map[int]bool{}, s.onWay[:0]
	for _, d := range s.onWay {
		if d.at > s.now {
			rest = append(rest, d)
			continue
		}
		changed[d.to] = changed[d.to] || s.told[d.to][d.from] != d.n
		s.told[d.to][d.from] = d.n
	}
	s.onWay = rest
	for i := range s.nodes {
		if changed[i] {
			s.tell(i)
		}
	}
}

func (s *clusterSim) open(i int) bool {
	if !s.nodes[i].open() {
		return false
	}
	s.conns[i]++
	s.most = max(s.most, s.all())
	return true
}

func (s *clusterSim) close(i int) {
	if s.conns[i] > 0 {
		s.conns[i]--
		s.nodes[i].close()
	}
}

func (s *clusterSim) all() (n int) {
	for _, c := range s.conns {
		n += c
	}
	return n
}

type clusterSize struct{ nodes, limit int }

// clusterSizes are nodes and limits of the tables in docs/CLUSTER-MODEL.md.
var clusterSizes = []clusterSize{{2, 100}, {3, 100}, {3, 1000}, {10, 100}, {10, 1000}, {30, 1000}, {100, 100}, {100, 1000}}

// A source that opens as many as it can on all nodes at once, and one that closes
// and opens others all the time, stays within the limit and one for each node but
// one, wherever the reports are.
func TestSharedLimitHolds(t *testing.T) { sharedLimitHolds(t, newClusterSim, clusterSizes) }

func sharedLimitHolds(t *testing.T, newSim func(seed uint64, nodes, limit, lat int) *clusterSim, sizes []clusterSize) {
	for _, size := range sizes {
		for _, churn := range []bool{false, true} {
			worst := 0
			seeds := uint64(3)
			if size.nodes > 10 { // the table of the page is of three
				seeds = 1
			}
			for seed := range seeds {
				s := newSim(seed, size.nodes, size.limit, simPeriod/2)
				for range 8 * simPeriod {
					s.step()
					if churn && s.rng.IntN(20) == 0 { // all of some nodes
						for i := range s.nodes {
							for s.rng.IntN(2) == 0 && s.conns[i] > 0 {
								for range s.conns[i] {
									s.close(i)
								}
							}
						}
					}
					for _, i := range s.rng.Perm(size.nodes) {
						for s.open(i) {
						}
					}
				}
				worst = max(worst, s.most)
			}
			if worst < size.limit*9/10 {
				t.Errorf("%+v, churn %v: at most %d", size, churn, worst)
			}
			over := worst - size.limit
			t.Logf("%d nodes, limit %d, churn %v: at most %d, %+.1f %%", size.nodes, size.limit, churn, worst, 100*float64(over)/float64(size.limit))
			if bound := size.nodes - 1; over > bound {
				t.Errorf("%+v, churn %v: %d over the limit", size, churn, over)
			}
		}
	}
}

// A source whose clients all come to one node gets there near the limit in a few
// seconds; one whose clients are spread has all of them at once.
func TestSharedLimitConverges(t *testing.T) { sharedLimitConverges(t, newClusterSim, clusterSizes) }

func sharedLimitConverges(t *testing.T, newSim func(seed uint64, nodes, limit, lat int) *clusterSim, sizes []clusterSize) {
	for _, size := range sizes {
		s := newSim(1, size.nodes, size.limit, simPeriod/2)
		at := map[int]string{50: "", 90: "", 99: ""}
		first := 0
		for s.now < 40*simPeriod {
			s.step()
			for s.open(0) {
			}
			if s.now == 1 {
				first = s.all()
			}
			for percent, when := range at {
				if when == "" && s.all()*100 >= size.limit*percent {
					at[percent] = fmt.Sprintf("%.1f s", float64(s.now)/100)
				}
			}
		}
		t.Logf("%d nodes, limit %d: %d at once, half after %s, 90 %% after %s, 99 %% after %s", size.nodes, size.limit, first, at[50], at[90], at[99])
		if at[90] == "" || s.all() > size.limit {
			t.Errorf("%+v: %d on one node", size, s.all())
		}
		spread := newSim(1, size.nodes, size.limit, simPeriod/2)
		for i := range size.limit {
			if !spread.open(i % size.nodes) {
				t.Errorf("%+v: refused the %d. of the limit, all at once over all nodes", size, i+1)
				break
			}
		}
	}
}
