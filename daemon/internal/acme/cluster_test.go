package acme

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netserver/cluster"
	"netserver/cluster/storetest"
	"netserver/daemon/internal/wire"
)

func clusterKeys(t testing.TB, secret string) *cluster.Keys {
	t.Helper()
	keys, err := cluster.ParseKeysFor(cluster.PurposeCertificates, fmt.Appendf(nil, "%x\n", sha256.Sum256([]byte(secret))))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// A node is a Manager with others at one store, whose orders a test decides.
type node struct {
	*rig
	name    string
	storage string
	client  *storetest.MemoryClient

	shownMu  sync.Mutex
	answered []string // names whose challenges it answers
	texts    []string // what it says by HTTP, and for which names and tokens
	deaf     bool     // its workers do not answer
}

// newNode makes a node that has not begun, with the certificate text, nil for
// none.
func newNode(t *testing.T, m *storetest.Memory, name, storage string, text []byte, names ...string) *node {
	t.Helper()
	n := &node{rig: newRig(t, storage, names...), name: name, storage: storage, client: m.Client()}
	if text != nil {
		n.puts(names[0], text)
	}
	was := n.rig.Manager
	keys := clusterKeys(t, "k")
	n.rig.Manager = New(was.c, was.log, n.deployed, &Cluster{
		Store: func() Store { return n.client }, Keys: func() *cluster.Keys { return keys }, Namespace: "x", Node: name,
	})
	n.obtain = was.obtain
	return n
}

func (n *node) puts(name string, text []byte) {
	n.t.Helper()
	if err := os.WriteFile(filepath.Join(n.storage, certificate(name)), text, 0o600); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) deployed(_ context.Context, all []wire.Challenge) error {
	n.shownMu.Lock()
	defer n.shownMu.Unlock()
	if n.deaf {
		return errors.New("deaf")
	}
	n.answered, n.texts = nil, nil
	for _, c := range all {
		n.answered = append(n.answered, c.Name)
		if c.Token != "" {
			n.texts = append(n.texts, c.Name+" "+c.Token+" "+c.Text)
		}
	}
	slices.Sort(n.answered)
	return nil
}

func (n *node) answers() []string {
	n.shownMu.Lock()
	defer n.shownMu.Unlock()
	return slices.Clone(n.answered)
}

// has returns what the node serves for a name.
func (n *node) has(name string) string {
	b, err := os.ReadFile(filepath.Join(n.storage, certificate(name)))
	if err != nil {
		n.t.Error(err)
	}
	return string(b)
}

// kill ends the node as if its machine was gone: nothing of it comes to the
// store any more.
func (n *node) kill() {
	n.client.SetFaults(storetest.Faults{Down: true})
	n.end()
}

func storages(t *testing.T, n int) (list []string) {
	for range n {
		list = append(list, storageIn(t))
	}
	return list
}

// after lets time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Of all nodes one makes an order for a name, at the start and at each renewal;
// all serve what it gets within seconds.
func TestNodesOrderOnce(t *testing.T) {
	dirs := storages(t, 4)
	synctest.Test(t, func(t *testing.T) {
		m, names := &storetest.Memory{}, []string{"a.example", "b.example", strings.Repeat("long.", 40) + "example"}
		var nodes []*node
		for i, dir := range dirs[:3] {
			n := newNode(t, m, fmt.Sprint("node", i), dir, nil, names...)
			n.answer = func(_, name string) ([]byte, error) {
				time.Sleep(7 * time.Second) // the authority is in no hurry
				return issue(t, name, time.Now(), 3*time.Hour), nil
			}
			nodes = append(nodes, n)
			n.start()
		}
		orders := func() (all []order) {
			for _, n := range nodes {
				all = append(all, n.made()...)
			}
			return all
		}
		same := func(what string, n int) {
			t.Helper()
			if all := orders(); len(all) != n {
				t.Errorf("%s: %d orders, not %d: %v", what, len(all), n, all)
			}
			for _, name := range names {
				for _, o := range nodes[1:] {
					if o.has(name) != nodes[0].has(name) {
						t.Errorf("%s: %s has another certificate for %s", what, o.name, name)
					}
				}
			}
		}
		after(time.Minute)
		same("at the start", 3)
		late := newNode(t, m, "late", dirs[3], nil, names...)
		nodes = append(nodes, late)
		late.start()
		after(5 * time.Second)
		same("a node that comes later", 3)
		if n := late.lines("taken from node"); n != 3 {
			t.Errorf("%d lines: %s", n, late.text())
		}
		after(100 * time.Minute)
		same("before two thirds of their life", 3)
		after(25 * time.Minute)
		same("after that", 6)
		for _, n := range nodes {
			n.end()
			if n.lines("level=ERROR")+n.lines("level=WARN") > 0 {
				t.Errorf("%s: %s", n.name, n.text())
			}
		}
	})
}

// A node that dies in the middle of an order is followed by another when its
// lease has ended, not before.
func TestOrdererIsKilled(t *testing.T) {
	dirs := storages(t, 2)
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		a, b := newNode(t, m, "a", dirs[0], nil, "a.example"), newNode(t, m, "b", dirs[1], nil, "a.example")
		a.obtain = func(ctx context.Context, _, name string) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }
		a.start()
		after(time.Second)
		b.start()
		after(2 * time.Minute) // it renews its lease
		if len(b.made()) != 0 {
			t.Fatal("two orders at once")
		}
		a.kill()
		after(leaseTTL / 2)
		if len(b.made()) != 0 {
			t.Fatal("an order before the lease has ended")
		}
		after(leaseTTL)
		if len(b.made()) != 1 || b.lines("obtained") != 1 {
			t.Errorf("%d orders: %s", len(b.made()), b.text())
		}
		b.end()
	})
}

// An order whose node loses the store is completed if it is short, and shared
// later; it is given up before another can have the lease.
func TestStoreIsLostInAnOrder(t *testing.T) {
	dirs := storages(t, 4)
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		a, b := newNode(t, m, "a", dirs[0], nil, "a.example"), newNode(t, m, "b", dirs[1], nil, "a.example")
		a.answer = func(_, name string) ([]byte, error) {
			a.client.SetFaults(storetest.Faults{Down: true})
			time.Sleep(10 * time.Second)
			return issue(t, name, time.Now(), 90*day), nil
		}
		a.start()
		after(time.Second)
		b.start()
		after(15 * time.Second)
		if a.lines("obtained") != 1 || a.lines("is shared when the store of the cluster can be used") != 1 {
			t.Errorf("%s", a.text())
		}
		a.client.SetFaults(storetest.Faults{})
		after(20 * time.Second)
		if len(b.made()) != 0 || b.has("a.example") != a.has("a.example") {
			t.Errorf("b has made %d orders: %s", len(b.made()), b.text())
		}
		a.end()
		b.end()

		m = &storetest.Memory{}
		a, b = newNode(t, m, "a", dirs[2], nil, "a.example"), newNode(t, m, "b", dirs[3], nil, "a.example")
		var given time.Time
		a.obtain = func(ctx context.Context, _, name string) ([]byte, error) {
			a.client.SetFaults(storetest.Faults{Hang: true})
			<-ctx.Done()
			given = time.Now()
			return nil, ctx.Err()
		}
		a.start()
		after(time.Second)
		b.start()
		after(2 * time.Minute)
		if o := b.made(); len(o) != 1 || given.IsZero() || given.After(o[0].at) {
			t.Errorf("given up at %v, another order: %v", given, o)
		}
		if a.lines("is given up: another node may make one") != 1 || a.lines("level=ERROR") != 0 {
			t.Error(a.text())
		}
		a.obtain = b.obtain
		a.client.SetFaults(storetest.Faults{})
		after(10 * time.Second)
		if a.has("a.example") != b.has("a.example") || len(b.made()) != 1 {
			t.Error("a has not taken it")
		}
		a.end()
		b.end()
	})
}

// Without the store a node that has no certificate orders by itself after a
// minute, one whose certificate is good for long waits, and orders when a sixth
// of its life is left. When the store is back all have one certificate.
func TestWithoutTheStore(t *testing.T) {
	dirs := storages(t, 2)
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		m.SetFaults(storetest.Faults{Down: true})
		began := time.Now()
		a := newNode(t, m, "a", dirs[0], nil, "a.example")
		b := newNode(t, m, "b", dirs[1], issue(t, "a.example", began.Add(-62*time.Hour/6), 15*time.Hour), "a.example")
		a.start()
		b.start()
		after(55 * time.Second)
		if len(a.made()) != 0 {
			t.Error("it has not waited for the store")
		}
		after(20 * time.Second)
		if len(a.made()) != 1 || a.lines("orders a certificate for a.example by itself") != 1 {
			t.Errorf("%d orders: %s", len(a.made()), a.text())
		}
		after(2 * time.Hour)
		if len(b.made()) != 0 || b.lines("is due, and waits for the store of the cluster") > 1 {
			t.Errorf("%d orders: %s", len(b.made()), b.text())
		}
		after(20 * time.Minute)
		if len(b.made()) != 1 {
			t.Errorf("%d orders: %s", len(b.made()), b.text())
		}
		m.SetFaults(storetest.Faults{})
		after(time.Minute)
		if a.has("a.example") != b.has("a.example") || len(a.made())+len(b.made()) != 2 {
			t.Errorf("not one certificate: %s\n%s", a.text(), b.text())
		}
		a.end()
		b.end()
	})
}

// What has failed at one node is not ordered by the next one at once, and all
// nodes together keep to the pauses.
func TestFailuresAreShared(t *testing.T) {
	dirs := storages(t, 3)
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		var nodes []*node
		var mu sync.Mutex
		var at []time.Time
		for i, dir := range dirs {
			n := newNode(t, m, fmt.Sprint("node", i), dir, nil, "a.example")
			n.answer = func(string, string) ([]byte, error) {
				mu.Lock()
				defer mu.Unlock()
				at = append(at, time.Now())
				return nil, errors.New("it is\n\x1b[2J closed")
			}
			nodes = append(nodes, n)
			n.start()
		}
		after(10 * time.Hour)
		mu.Lock()
		defer mu.Unlock()
		if len(at) < 5 || len(at) > 8 {
			t.Errorf("%d orders in ten hours", len(at))
		}
		for i := range at[1:] {
			if pause := at[i+1].Sub(at[i]); pause < pauses[min(i, len(pauses)-1)] {
				t.Errorf("order %d follows after %v", i+1, pause)
			}
		}
		for _, n := range nodes {
			n.end()
			if p := n.past["a.example"]; p.Failures < 5 || p.Next.Before(time.Now()) {
				t.Errorf("%s knows of %d failures, next %v", n.name, p.Failures, p.Next)
			}
			if n.lines("\x1b") > 0 {
				t.Error("the log has what the authority said as it is")
			}
		}
	})
}

// A challenge is answered by all nodes before the authority is told, and by none
// after the order; a node that does not answer is waited for, but not for long.
func TestChallengesAreShared(t *testing.T) {
	dirs := storages(t, 3)
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		nodes := make(map[string]*node)
		for i, name := range []string{"a", "b", "c"} {
			nodes[name] = newNode(t, m, name, dirs[i], issue(t, "a.example", time.Now(), 90*day), "a.example")
			nodes[name].start()
		}
		after(time.Second)
		a, b, c := nodes["a"], nodes["b"], nodes["c"]
		digest := sha256.Sum256([]byte("x"))
		show := func() (hide func(), took time.Duration) {
			began := time.Now()
			hide, err := a.show(t.Context(), "z.example", proof{digest: digest[:]})
			if err != nil {
				t.Fatal(err)
			}
			return hide, time.Since(began)
		}
		hide, took := show()
		for _, n := range nodes {
			if !slices.Equal(n.answers(), []string{"z.example"}) {
				t.Errorf("%s answers %q", n.name, n.answers())
			}
		}
		if took > time.Second {
			t.Errorf("after %v", took)
		}
		hide()
		after(time.Second)
		for _, n := range nodes {
			if len(n.answers()) != 0 {
				t.Errorf("%s answers %q after the order", n.name, n.answers())
			}
		}
		b.shownMu.Lock()
		b.deaf = true
		b.shownMu.Unlock()
		hide, took = show()
		if took < ackTime || took > ackTime+time.Second || a.lines("goes on without b") != 1 {
			t.Errorf("after %v: %s", took, a.text())
		}
		hide()
		c.kill()
		after(nodeTTL + tickEvery)
		b.shownMu.Lock()
		b.deaf = false
		b.shownMu.Unlock()
		if _, took = show(); took > time.Second {
			t.Errorf("a node that is no more is waited for: %v", took)
		}
		a.kill() // in the middle of an order: nobody takes it back
		after(challengeTTL + 2*tickEvery)
		if len(b.answers()) != 0 {
			t.Errorf("b answers for ever: %q", b.answers())
		}
		b.end()
	})
}

// All nodes order at one account; a key of before is kept aside.
func TestAccountIsShared(t *testing.T) {
	dirs := storages(t, 3)
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		keys := make(map[string]bool)
		for i, dir := range dirs {
			n := newNode(t, m, fmt.Sprint("node", i), dir, nil, "a.example")
			var err error
			if n.store, err = OpenStorage(dir); err != nil {
				t.Fatal(err)
			}
			if i == 2 {
				if _, err := n.store.accountKey("production"); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := n.sharing.accountKey(t.Context(), n.store, "production"); err != nil {
				t.Fatal(err)
			}
			text, err := n.store.read(account("production"))
			if err != nil {
				t.Fatal(err)
			}
			keys[string(text)] = true
			if i == 2 {
				if _, err := n.store.read(filepath.Join(dirRetired, account("production"))); err != nil {
					t.Error(err)
				}
			}
			n.store.Close()
		}
		if len(keys) != 1 {
			t.Errorf("%d accounts", len(keys))
		}
		for key := range maps.Keys(keys) {
			for _, k := range m.Keys() {
				if v, err := m.Client().Get(t.Context(), k); err != nil || bytes.Contains(v.Data, []byte(strings.Split(key, "\n")[1])) {
					t.Errorf("%s can be read in the store, or not at all: %v", k, err)
				}
			}
		}
	})
}

// A challenge of HTTP-01 is answered by all nodes that order so, and by none that
// does not, as it may have no port for that.
func TestHTTPChallengesAreShared(t *testing.T) {
	dirs := storages(t, 3)
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		var nodes []*node
		for i, kind := range []string{HTTP01, HTTP01, TLSALPN01} {
			n := newNode(t, m, string(rune('a'+i)), dirs[i], issue(t, "a.example", time.Now(), 90*day), "a.example")
			n.c.Challenge = kind
			nodes = append(nodes, n)
			n.start()
		}
		after(time.Second)
		a, b, c := nodes[0], nodes[1], nodes[2]
		p, err := newProof(HTTP01, "a.example", "token", "token.digest")
		if err != nil {
			t.Fatal(err)
		}
		hide, err := a.show(t.Context(), "a.example", p)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes[:2] {
			n.shownMu.Lock()
			if len(n.texts) != 1 || n.texts[0] != "a.example token token.digest" {
				t.Errorf("%s answers %q", n.name, n.texts)
			}
			n.shownMu.Unlock()
		}
		if len(c.answers()) != 0 || a.lines("goes on without c") != 1 || c.lines("acme_challenge says otherwise") != 1 {
			t.Errorf("c answers %q\n%s\n%s", c.answers(), a.text(), c.text())
		}
		hide()
		after(time.Second)
		if len(a.answers())+len(b.answers()) != 0 {
			t.Errorf("after the order: %q %q", a.answers(), b.answers())
		}
	})
}
