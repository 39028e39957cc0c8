package cluster_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netserver/cluster"
	"netserver/cluster/storetest"
)

// testKeys returns the keys that clusters of the tests share.
func testKeys(t testing.TB, secret string) *cluster.Keys {
	t.Helper()
	keys, err := cluster.ParseKeys(fmt.Appendf(nil, "%x\n", sha256.Sum256([]byte(secret))))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// A testNode is a Node that runs, and what it was told.
type testNode struct {
	*cluster.Node
	t      testing.TB
	store  *storetest.MemoryClient
	cancel context.CancelFunc
	done   chan struct{}
	err    error

	logMu sync.Mutex // apart from mu: a Node logs while it is asked
	log   bytes.Buffer

	mu      sync.Mutex
	tickets *cluster.Tickets
	all     []*cluster.Tickets // that were told, in order
	bans    []cluster.Ban
	at      time.Time // when bans came
	lifted  []netip.Prefix
	others  cluster.Others
	status  cluster.Status
	report  cluster.Report
	shared  time.Time // when it was given
}

func (n *testNode) Write(b []byte) (int, error) {
	n.logMu.Lock()
	defer n.logMu.Unlock()
	return n.log.Write(b)
}

func (n *testNode) tell(news cluster.News) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if news.Tickets != nil {
		n.tickets, n.all = news.Tickets, append(n.all, news.Tickets)
	}
	if news.Bans != nil {
		n.bans, n.at = *news.Bans, time.Now()
	}
	n.lifted = append(n.lifted, news.Lifted...)
	if news.Others != nil {
		n.others = *news.Others
	}
	if news.Status != nil {
		n.status = *news.Status
	}
}

// newNode starts a node on m. Settings of it are changed by change.
func newNode(t testing.TB, m *storetest.Memory, name string, change ...func(*cluster.Config)) *testNode {
	t.Helper()
	n := &testNode{t: t, store: m.Client(), done: make(chan struct{})}
	cfg := cluster.Config{Store: n.store, Keys: testKeys(t, "k"), Name: name, Tell: n.tell, Log: slog.New(slog.NewTextHandler(n, nil))}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if n.Node, err = cluster.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	go func() {
		defer close(n.done)
		n.err = n.Run(ctx)
	}()
	return n
}

// stop ends the node as its process would, kill as if the process was killed.
func (n *testNode) stop() {
	n.cancel()
	<-n.done
	n.store.Close()
}

func (n *testNode) kill() {
	n.store.SetFaults(storetest.Faults{Down: true})
	n.stop()
}

// report gives the Report again, as a server does.
func (n *testNode) share(change func(r *cluster.Report)) {
	n.mu.Lock()
	for i := range n.report.Bans {
		n.report.Bans[i].Left -= time.Since(n.shared)
	}
	n.shared = time.Now()
	if change != nil {
		change(&n.report)
	}
	r := n.report
	r.Bans = slices.Clone(r.Bans)
	n.mu.Unlock()
	n.Report(r)
}

func (n *testNode) told() (t cluster.Tickets, bans []cluster.Ban, others cluster.Others) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.tickets != nil {
		t = *n.tickets
	}
	for _, b := range n.bans {
		if b.Left -= time.Since(n.at); b.Left > 0 {
			bans = append(bans, b)
		}
	}
	return t, bans, n.others
}

func (n *testNode) logged(text string) int {
	n.logMu.Lock()
	defer n.logMu.Unlock()
	return strings.Count(n.log.String(), text)
}

// wants waits d and checks that text was logged so many times in all.
func (n *testNode) wantsLog(text string, times int) {
	n.t.Helper()
	if got := n.logged(text); got != times {
		n.t.Errorf("%q was logged %d times, want %d:\n%s", text, got, times, n.logText())
	}
}

func (n *testNode) logText() string {
	n.logMu.Lock()
	defer n.logMu.Unlock()
	return n.log.String()
}

func (n *testNode) names() (list []string) {
	for _, s := range n.Status().Nodes {
		list = append(list, s.Name)
	}
	return list
}

// banned reports whether the node was told of a ban of p, and what is left.
func (n *testNode) banned(p string) (time.Duration, bool) {
	_, bans, _ := n.told()
	for _, b := range bans {
		if b.Prefix == netip.MustParsePrefix(p) {
			return b.Left, true
		}
	}
	return 0, false
}

// opens reports whether tickets that a seals are opened by b.
func opens(a, b *testNode) bool {
	x, _, _ := a.told()
	y, _, _ := b.told()
	return x.Current != nil && (bytes.Equal(x.Current, y.Current) || slices.ContainsFunc(y.Past, func(p []byte) bool { return bytes.Equal(p, x.Current) }))
}

func inBubble(t *testing.T, f func(t *testing.T, m *storetest.Memory)) {
	synctest.Test(t, func(t *testing.T) { f(t, new(storetest.Memory)) })
}

func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestMembers(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b := newNode(t, m, "a"), newNode(t, m, "b")
		c := newNode(t, m, "c", func(cfg *cluster.Config) { cfg.Clock = func() time.Time { return time.Now().Add(-3 * time.Minute) } })
		b.share(func(r *cluster.Report) {
			*r = cluster.Report{Version: "1.2", Ports: []string{"443/ssl"}, Clients: 7, Ready: true}
		})
		settle(2 * time.Second)
		if got := a.names(); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("a knows %v", got)
		}
		st := a.Status()
		if s := st.Nodes[1]; s.Version != "1.2" || s.Clients != 7 || !s.Ready || !slices.Equal(s.Ports, []string{"443/ssl"}) || s.Clock != 0 {
			t.Errorf("%+v", s)
		}
		settle(10 * time.Second)
		if off := a.Status().Nodes[2].Clock; off != -3*time.Minute {
			t.Errorf("c's clock is %v ahead", off)
		}
		a.wantsLog("the clock of node c is 3m0s behind this node's", 1)
		a.wantsLog("the clock of node b", 0)
		c.wantsLog("the clock of node a is 3m0s ahead of this node's", 1)

		b.stop() // leaves
		settle(100 * time.Millisecond)
		if got := a.names(); !slices.Equal(got, []string{"a", "c"}) {
			t.Errorf("after b has left: %v", got)
		}
		c.kill()
		settle(12 * time.Second)
		if got := a.names(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("after c was killed: %v", got)
		}
		b = newNode(t, m, "b")
		settle(2 * time.Second)
		if got := a.names(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("after b's return: %v", got)
		}
		a.stop()
		b.stop()
		for _, n := range []*testNode{a, b, c} {
			if n.err != nil {
				t.Error(n.err)
			}
		}
	})
}

// Of two processes with one name that begin in the same moment one is refused.
// They write in the same moments too, in any order.
func TestNameTakenAtOnce(t *testing.T) {
	for range 30 {
		inBubble(t, func(t *testing.T, m *storetest.Memory) {
			nodes := []*testNode{newNode(t, m, "a"), newNode(t, m, "a")}
			settle(10 * time.Second)
			taken := 0
			for _, n := range nodes {
				select {
				case <-n.done:
					if errors.Is(n.err, cluster.ErrNameTaken) {
						taken++
					}
				default:
				}
			}
			if taken != 1 {
				t.Errorf("%d are refused:\n%s\n%s", taken, nodes[0].logText(), nodes[1].logText())
			}
			for _, n := range nodes {
				n.stop()
			}
		})
	}
}

// Of two processes with one name the second is refused, and says whose it is. One
// that was killed is followed within seconds.
func TestNameTaken(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a := newNode(t, m, "a")
		settle(time.Second)
		second := newNode(t, m, "a")
		settle(10 * time.Second)
		<-second.done
		if !errors.Is(second.err, cluster.ErrNameTaken) || !strings.Contains(second.err.Error(), fmt.Sprintf("process %d on host", a.Status().Nodes[0].PID)) {
			t.Errorf("the second: %v", second.err)
		}
		second.stop()
		a.kill()
		third := newNode(t, m, "a")
		settle(5 * time.Second)
		if !third.Status().Up || third.err != nil {
			t.Errorf("%+v", third.Status())
		}
		third.stop()
		if third.err != nil {
			t.Error(third.err)
		}
	})
}
