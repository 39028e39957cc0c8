package acme

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"netserver/cluster"
	"netserver/cluster/storetest"
)

// A writer seals what a test wants as another node, or as somebody else.
type writer struct {
	*node
	m *storetest.Memory
}

func newWriter(t *testing.T, m *storetest.Memory, storage string) *writer {
	return &writer{newNode(t, m, "writer", storage, nil, "a.example"), m}
}

func (w *writer) key(kind, label string) string { return w.sharing.key(kind, label) }

func (w *writer) sealed(key string, v shared) []byte {
	w.t.Helper()
	b, err := w.sharing.seal(key, v)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *writer) writes(key string, v shared) { w.m.Write(key, w.sealed(key, v)) }

// Whatever the store has under a name, no certificate is served that is not from
// a node, of that name, good now and newer than what is served; nor is any
// ordered because of it.
func TestCertificatesOfTheStoreAreJudged(t *testing.T) {
	dirs := storages(t, 2)
	synctest.Test(t, func(t *testing.T) {
		m, now := &storetest.Memory{}, time.Now()
		w := newWriter(t, m, dirs[0])
		good := issue(t, "a.example", now.Add(-10*day), 90*day)
		n := newNode(t, m, "n", dirs[1], good, "a.example")
		n.start()
		after(10 * time.Second)
		key := w.key(kindCert, "a.example")
		cert := func(text []byte) []byte { return w.sealed(key, shared{Cert: string(text)}) }
		later := issue(t, "a.example", now.Add(-day), 90*day)
		other := issue(t, "b.example", now.Add(-day), 90*day)
		i, j := bytes.Index(later, []byte("-----BEGIN CERT")), bytes.Index(other, []byte("-----BEGIN CERT"))
		unsigned, err := Placeholder("a.example", now.Add(80*day))
		if err != nil {
			t.Fatal(err)
		}
		foreign := clusterKeys(t, "another cluster's")
		plain := fmt.Appendf(nil, `{"v":1,"node":"x","time":1,"cert":%q}`, later)
		shares, err := cluster.ParseKeys(fmt.Appendf(nil, "%x\n", sha256.Sum256([]byte("k"))))
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			name, why string // "" is that nothing is said
			value     []byte
		}{
			{"nothing", "not sealed", []byte{}},
			{"garbage", "not sealed", bytes.Repeat([]byte("garbage "), 100)},
			{"unsealed", "not sealed", plain},
			{"half written", "not sealed", cert(later)[:500]},
			{"damaged", "not sealed", append(cert(later)[:500], make([]byte, 300)...)},
			{"sealed by another cluster", "not sealed", foreign.Seal("x", key, plain)},
			{"sealed by the cluster process", "not sealed", shares.Seal("x", key, plain)},
			{"of another namespace", "not sealed", clusterKeys(t, "k").Seal("y", key, plain)},
			{"moved from another name", "not sealed", w.sealed(w.key(kindCert, "b.example"), shared{Cert: string(later)})},
			{"moved from another authority", "not sealed", clusterKeys(t, "k").Seal("x", prefixOf("staging")+"cert/a.example", plain)},
			{"too large", "", make([]byte, cluster.MaxValue+1)},
			{"no JSON", "not a value", clusterKeys(t, "k").Seal("x", key, []byte("{"))},
			{"no version", "not a value", clusterKeys(t, "k").Seal("x", key, plain[len(`{"v":1,`)-1:])},
			{"of nobody", "not a value", clusterKeys(t, "k").Seal("x", key, []byte(`{"v":1,"node":"../x","cert":""}`))},
			{"empty", "cannot be used", cert(nil)},
			{"nonsense", "cannot be used", cert([]byte("\x1b[2Jnonsense"))},
			{"of another name", "something else", cert(other)},
			{"with another key", "cannot be used", cert(append(bytes.Clone(other[:j]), later[i:]...))},
			{"not yet valid", "not valid yet", cert(issue(t, "a.example", now.Add(day), 90*day))},
			{"over", "is valid from", cert(issue(t, "a.example", now.Add(-91*day), 90*day))},
			{"signed by nobody", "", cert(unsigned)},
			{"that ends earlier", "", cert(issue(t, "a.example", now.Add(-5*day), 60*day))},
			{"of an old backup", "", cert(issue(t, "a.example", now.Add(-30*day), 90*day))},
			{"older, that ends later", "", cert(issue(t, "a.example", now.Add(-30*day), 365*day))},
			{"the same", "", cert(good)},
		} {
			was := n.lines("refused what the store of the cluster has under " + key)
			m.Write(key, tt.value)
			after(refusedEvery + time.Second)
			if n.has("a.example") != string(good) {
				t.Fatalf("a value %s is served", tt.name)
			}
			if said := n.lines("refused what the store of the cluster has under " + key); tt.why != "" && (said != was+1 || n.lines(tt.why) == 0) {
				t.Errorf("%s: it is not said that it is %q: %s", tt.name, tt.why, n.text())
			}
		}
		if len(n.made()) != 0 || n.lines("\x1b") != 0 {
			t.Errorf("%d orders", len(n.made()))
		}
		m.Write(key, cert(later))
		after(time.Second)
		if n.has("a.example") != string(later) || n.lines("taken from node writer") != 1 {
			t.Error("a good one is not served: ", n.text())
		}
		n.end()
	})
}

// Answers to challenges, failures and what nodes say of themselves are bounded
// and judged too.
func TestOtherValuesOfTheStoreAreJudged(t *testing.T) {
	dirs := storages(t, 2)
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		w := newWriter(t, m, dirs[0])
		n := newNode(t, m, "n", dirs[1], issue(t, "a.example", time.Now(), 90*day), "a.example")
		n.start()
		after(10 * time.Second)
		digest := make([]byte, sha256.Size)
		key := w.key(kindChallenge, "a.example")
		for _, v := range []shared{
			{Name: "a.example", ID: "x", Digest: digest[1:]}, {Name: "a.example", ID: "x"}, {Name: "b.example", ID: "x", Digest: digest},
			{Name: "a.example", ID: "x", Digest: digest, Token: "t", Text: "t.x"}, {Name: "a.example", ID: "x", Text: "t.x"}, {Name: "a.example", ID: "x", Token: "t", Text: "t.x"},
			{Name: "a.example", Digest: digest}, {Name: "a.example", ID: strings.Repeat("x", 1000), Digest: digest}, {},
		} {
			w.writes(key, v)
		}
		w.writes(w.key(kindChallenge, "*.example"), shared{Name: "*.example", ID: "x", Digest: digest})
		w.now = func() time.Time { return time.Now().Add(-time.Hour) }
		w.writes(key, shared{Name: "a.example", ID: "old", Digest: digest})
		w.now = time.Now
		after(time.Second)
		if got := n.answers(); len(got) != 0 {
			t.Errorf("answers %q", got)
		}
		for i := range 2 * cluster.MaxNodes {
			name := fmt.Sprintf("z%d.example", i)
			w.writes(w.key(kindChallenge, name), shared{Name: name, ID: name, Digest: digest})
			w.writes(w.key(kindNode, fmt.Sprint("y", i)), shared{Shown: []string{"x"}}) // of another than its key says
		}
		after(time.Second)
		if got := len(n.answers()); got != cluster.MaxNodes {
			t.Errorf("answers %d", got)
		}
		if len(n.sharing.nodes) != 0 {
			t.Errorf("%d nodes", len(n.sharing.nodes))
		}
		state := w.key(kindState, "a.example")
		for _, p := range []past{
			{Failures: 3, Last: time.Now().Add(48 * time.Hour), Next: time.Now().Add(96 * time.Hour)},
			{Failures: -1, Last: time.Now().Add(time.Minute), Next: time.Now().Add(96 * time.Hour)},
			{Failures: 3, Last: time.Now().Add(-48 * time.Hour), Next: time.Now().Add(96 * time.Hour)},
		} {
			w.writes(state, shared{Past: &p})
			after(time.Second)
		}
		w.writes(state, shared{})
		after(time.Second)
		if p := n.past["a.example"]; p.Failures != 0 {
			t.Errorf("%+v", p)
		}
		w.writes(state, shared{Past: &past{Failures: 1e9, Last: time.Now().Add(time.Second), Next: time.Now().AddDate(9, 0, 0), Error: "\x1b[2J" + strings.Repeat("x", 9999)}})
		after(time.Second)
		if p := n.past["a.example"]; p.Failures > len(pauses) || p.Next.After(time.Now().Add(maxTold)) || len(p.Error) > maxReason || strings.Contains(p.Error, "\x1b") {
			t.Errorf("%+v", p)
		}
		n.end()
	})
}

// A store that is restored from an old backup replaces no certificate and has
// none ordered; who comes then serves the older one until the next.
func TestStoreIsRestored(t *testing.T) {
	dirs := storages(t, 2)
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		a, b := newNode(t, m, "a", dirs[0], nil, "a.example"), newNode(t, m, "b", dirs[1], nil, "a.example")
		for _, n := range []*node{a, b} {
			n.answer = func(_, name string) ([]byte, error) { return issue(t, name, time.Now(), 3*time.Hour), nil }
			n.start()
		}
		after(time.Minute)
		old, first := m.Backup(), a.has("a.example")
		after(130 * time.Minute)
		second := a.has("a.example")
		m.Restore(old)
		after(10 * time.Minute)
		if second == first || a.has("a.example") != second || b.has("a.example") != second {
			t.Error("the older one is served again")
		}
		if n := len(a.made()) + len(b.made()); n != 2 {
			t.Errorf("%d orders", n)
		}
		after(125 * time.Minute)
		if n := len(a.made()) + len(b.made()); n != 3 || a.has("a.example") != b.has("a.example") {
			t.Errorf("%d orders", n)
		}
		a.end()
		b.end()
	})
}

// A lease that the store keeps for ever, or that nobody can read, holds up
// nobody for ever; one that is taken away ends the order.
func TestLeasesOfALyingStore(t *testing.T) {
	dirs := storages(t, 3)
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		lease := newWriter(t, m, dirs[0]).key(kindLease, "a.example")
		m.Write(lease, []byte("for ever"))
		a := newNode(t, m, "a", dirs[1], nil, "a.example")
		a.obtain = func(ctx context.Context, _, name string) ([]byte, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		a.start()
		after(leaseTTL)
		if v, err := m.Client().Get(t.Context(), lease); err != nil || string(v.Data) != "for ever" {
			t.Fatalf("taken at once: %v", err)
		}
		after(3 * leaseTTL)
		if v, err := m.Client().Get(t.Context(), lease); err != nil || string(v.Data) == "for ever" {
			t.Fatalf("nobody orders: %v", err)
		}
		m.Client().Delete(t.Context(), lease, 0)
		b := newNode(t, m, "b", dirs[2], nil, "a.example")
		b.answer = func(_, name string) ([]byte, error) {
			time.Sleep(time.Minute)
			return issue(t, name, time.Now(), 90*day), nil
		}
		b.start()
		after(leaseEvery + time.Second)
		if a.lines("is given up: another node may make one") != 1 {
			t.Error("a goes on: ", a.text())
		}
		after(2 * time.Minute)
		if a.has("a.example") != b.has("a.example") || len(b.made()) != 1 {
			t.Error(a.text(), b.text())
		}
		a.end()
		b.end()
	})
}

// What is in the store is sealed again when another key has become the first, so
// that a node that has only that can come later.
func TestKeysAreExchanged(t *testing.T) {
	dirs := storages(t, 3)
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		file := func(secrets ...string) *cluster.Keys {
			var b []byte
			for _, s := range secrets {
				b = fmt.Appendf(b, "%x\n", sha256.Sum256([]byte(s)))
			}
			keys, err := cluster.ParseKeysFor(cluster.PurposeCertificates, b)
			if err != nil {
				t.Fatal(err)
			}
			return keys
		}
		var reloaded atomic.Bool
		next := file("l", "k")
		step := func(name, dir string, keys *cluster.Keys) *node {
			n := newNode(t, m, name, dir, nil, "a.example")
			n.sharing.c.Keys = func() *cluster.Keys {
				if reloaded.Load() && name == "a" {
					return next
				}
				return keys
			}
			obtain := n.obtain
			n.obtain = func(ctx context.Context, directory, name string) ([]byte, error) {
				if _, err := n.sharing.accountKey(ctx, n.store, directory); err != nil {
					t.Error(err)
				}
				return obtain(ctx, directory, name)
			}
			n.start()
			after(time.Minute)
			return n
		}
		step("b", dirs[1], file("k")).end()
		a := step("a", dirs[0], file("k", "l"))
		reloaded.Store(true)
		after(2 * tickEvery)
		a.end()
		file0 := account("production")
		first, err := os.ReadFile(filepath.Join(dirs[1], file0))
		if err != nil {
			t.Fatal(err)
		}
		n := step("later", dirs[2], file("l"))
		if len(n.made()) != 0 || n.lines("taken from node") != 1 || n.lines("refused") != 0 {
			t.Errorf("%d orders: %s", len(n.made()), n.text())
		}
		if _, err := n.sharing.accountKey(t.Context(), n.store, "production"); err != nil {
			t.Error(err)
		}
		n.end()
		if have, err := os.ReadFile(filepath.Join(dirs[2], file0)); err != nil || string(have) != string(first) {
			t.Errorf("another account: %v", err)
		}
	})
}

// A certificate that was removed by hand, to have another, does not come back
// from the store; all nodes get the new one.
func TestRemovedByHand(t *testing.T) {
	dirs := storages(t, 2)
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		a, b := newNode(t, m, "a", dirs[0], nil, "a.example"), newNode(t, m, "b", dirs[1], nil, "a.example")
		a.start()
		b.start()
		after(2 * time.Hour)
		first := a.has("a.example")
		b.end() // a reload
		unsigned, err := Placeholder("a.example", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		b = newNode(t, m, "b", dirs[1], unsigned, "a.example")
		b.start()
		after(time.Minute)
		if len(b.made()) != 1 || b.has("a.example") == first || a.has("a.example") != b.has("a.example") {
			t.Errorf("%d orders: %s", len(b.made()), b.text())
		}
		a.end()
		b.end()
	})
}
