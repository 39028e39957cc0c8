package clustering

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"netserver/cluster"
	"netserver/cluster/storetest"
	"netserver/internal/admit"
	"netserver/internal/bridge"
)

// A sharer is a server with unfinished handshakes, as a node of a cluster sees it.
type sharer struct {
	bridge.Engine // nothing of it but what is below is used
	limiter       *admit.Limiter
	queue         *admit.Queue
	held          map[netip.Addr][]*unfinished // the oldest first
	told, same    atomic.Int64                 // reports, and those of counts that were the same
}

func (s *sharer) SharedCounts(most int) []admit.SourceUse {
	return admit.Shared(s.limiter, s.queue, most)
}
func (s *sharer) SetOtherCounts(o admit.Others)   { s.limiter.SetOthers(o); s.queue.SetOthers(o) }
func (s *sharer) OwnBans(int) []admit.Boxed       { return nil }
func (s *sharer) SetOtherBans(list []admit.Boxed) {}

type unfinished struct {
	t   *admit.Ticket
	cut bool
}

func (u *unfinished) Start()    {}
func (u *unfinished) Cut(error) { u.cut = true }

// begin adds an unfinished handshake, and reports whether an older one was ended
// for it.
func (s *sharer) begin(a netip.Addr) (ended bool) {
	u := new(unfinished)
	u.t = s.queue.Add(a, u, 0)
	var rest []*unfinished
	for _, old := range s.held[a] {
		if old.cut {
			old.t.Done()
			ended = true
			continue
		}
		rest = append(rest, old)
	}
	s.held[a] = append(rest, u)
	return ended
}

// fill begins handshakes until each ends another, and returns how many there are.
func (s *sharer) fill(a netip.Addr) int {
	for !s.begin(a) {
	}
	return len(s.held[a])
}

func (s *sharer) end(a netip.Addr) {
	for _, u := range s.held[a] {
		u.t.Done()
	}
	s.held[a] = nil
}

// startNode starts a node that ends with the test.
func startNode(t *testing.T, store cluster.Store, name string, tell func(cluster.News)) *cluster.Node {
	t.Helper()
	keys, err := cluster.ParseKeys(fmt.Appendf(nil, "%x\n", sha256.Sum256([]byte("k"))))
	if err != nil {
		t.Fatal(err)
	}
	n, err := cluster.New(cluster.Config{Store: store, Keys: keys, Name: name, Tell: tell, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return n
}

func startSharer(t *testing.T, m *storetest.Memory, name string, limit int) *sharer {
	t.Helper()
	s := &sharer{limiter: admit.NewLimiter(admit.Limits{}), queue: admit.NewQueue(admit.QueueConfig{MaxPerSource: limit}), held: map[netip.Addr][]*unfinished{}}
	c := &Clients{engine: s, seed: maphash.MakeSeed(), wake: make(chan struct{}, 1)}
	n := startNode(t, m.Client(), name, func(news cluster.News) { c.Take(&news, 0) })
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	go c.Tell(func(what Share) {
		s.told.Add(1)
		if what.Same {
			s.same.Add(1)
		}
		n.Report(cluster.Report{Processes: 1, Counts: what.Counts, CountsSame: what.Same, Bans: what.Bans})
	}, ended)
	return s
}

// Three nodes keep to a limit on a source's handshakes together, one alone comes
// near it, and what others lie about is one source's limit alone.
func TestHandshakesAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 30
		m := new(storetest.Memory)
		a, quiet, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("198.51.100.1")
		var nodes []*sharer
		for _, name := range []string{"a", "b", "c"} {
			nodes = append(nodes, startSharer(t, m, name, limit))
		}
		time.Sleep(5 * time.Second)
		for range 10 {
			all := 0
			for _, n := range nodes {
				all += n.fill(a)
				n.begin(quiet)
			}
			if all < limit || all > limit+len(nodes)-1 {
				t.Errorf("%d in all", all)
			}
			time.Sleep(time.Second)
			for _, n := range nodes {
				n.end(quiet)
			}
		}
		if k, _ := nodes[0].queue.Look(a); k.Own+k.Others < limit {
			t.Errorf("%+v", k)
		}
		if k, _ := nodes[0].queue.Look(quiet); k.Others != 0 {
			t.Errorf("of a few short ones is told: %+v", k)
		}
		for _, n := range nodes {
			if told, same := n.told.Load(), n.same.Load(); same < told*2/3 {
				t.Errorf("%d of %d reports are as the one before", same, told)
			}
		}
		nodes[1].end(a)
		nodes[2].end(a)
		n := 0
		for range 10 {
			time.Sleep(time.Second)
			n = nodes[0].fill(a)
		}
		if n < limit*9/10 || n > limit {
			t.Errorf("%d at one node", n)
		}
		nodes[0].end(a)

		// Another node claims as many as can be, and one that is older tells of
		// connections only.
		source, network := admit.Tiers(a)
		far, _ := admit.Tiers(other)
		lies := m.Client()
		liar, older := startNode(t, lies, "d", func(cluster.News) {}), startNode(t, m.Client(), "e", func(cluster.News) {})
		time.Sleep(5 * time.Second)
		liar.Report(cluster.Report{Processes: 1, Counts: cluster.Counts{{Prefix: source, Handshakes: cluster.MaxCount}, {Prefix: network, Handshakes: cluster.MaxCount}}})
		older.Report(cluster.Report{Processes: 1, Counts: cluster.Counts{{Prefix: far, Conns: cluster.MaxCount}}})
		time.Sleep(2 * time.Second)
		if n := nodes[0].fill(a); n != 1 {
			t.Errorf("%d of a source that another node lies about", n)
		}
		for _, b := range []netip.Addr{quiet, other} {
			if n := nodes[0].fill(b); n != limit/5 {
				t.Errorf("%d of %v", n, b)
			}
		}
		lies.SetFaults(storetest.Faults{Down: true}) // as if it was killed
		time.Sleep(7 * time.Second)
		if n := nodes[0].fill(a); n < limit/5 {
			t.Errorf("%d when the other node is gone", n)
		}
	})
}
