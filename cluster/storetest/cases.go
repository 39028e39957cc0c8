package storetest

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver/cluster"
)

var cases = []struct {
	name string
	run  func(*testing.T, *harness)
}{
	{"values", values},
	{"revisions", revisions},
	{"sizes", sizes},
	{"refused arguments", refusedArguments},
	{"keys that look alike", similarKeys},
	{"namespaces", namespaces},
	{"a value ends", valueEnds},
	{"a lease", lease},
	{"one of many wins", oneWins},
	{"no increment is lost", increments},
	{"watch", watch},
	{"watch a prefix", watchPrefix},
	{"watch sees the last of many", watchLast},
	{"watch sees a value end", watchEnd},
	{"contexts", contexts},
	{"close", closing},
}

func values(t *testing.T, h *harness) {
	a, b := h.client(t), h.client(t)
	a.missing("x")
	first := a.put("x", "one", 0, 0)
	if v := b.get("x"); string(v.Data) != "one" || v.Rev != first {
		t.Errorf("another client reads %q in revision %d, want one in %d", v.Data, v.Rev, first)
	}
	second := b.set("x", "two", 0)
	if v := a.get("x"); string(v.Data) != "two" || v.Rev != second || second == first {
		t.Errorf("read %q in revision %d, want two in %d, and the first was %d", v.Data, v.Rev, second, first)
	}
	b.set("deep/er/key", "", 0)
	if v := a.get("deep/er/key"); len(v.Data) != 0 {
		t.Errorf("an empty value is %q", v.Data)
	}
	b.wants("Delete", b.Delete(context.Background(), "x", 0), nil)
	a.missing("x")
	b.wants("Delete of what is not there", b.Delete(context.Background(), "x", 0), nil)
}

func revisions(t *testing.T, h *harness) {
	ctx, c := context.Background(), h.client(t)
	_, err := c.Put(ctx, "x", nil, 7, 0)
	c.wants("Put of a missing key with a revision", err, cluster.ErrChanged)
	c.wants("Delete of a missing key with a revision", c.Delete(ctx, "x", 7), cluster.ErrChanged)
	first := c.put("x", "one", 0, 0)
	_, err = c.Put(ctx, "x", nil, 0, 0)
	c.wants("Put of a new key that is there", err, cluster.ErrChanged)
	second := c.put("x", "two", first, 0)
	_, err = c.Put(ctx, "x", nil, first, 0)
	c.wants("Put with an old revision", err, cluster.ErrChanged)
	c.wants("Delete with an old revision", c.Delete(ctx, "x", first), cluster.ErrChanged)
	if v := c.get("x"); string(v.Data) != "two" || v.Rev != second {
		t.Errorf("after refused writes there is %q in revision %d", v.Data, v.Rev)
	}
	c.wants("Delete", c.Delete(ctx, "x", second), nil)
	third := c.put("x", "two", 0, 0)
	if third == first || third == second {
		t.Errorf("the revision %d is used again", third)
	}
	_, err = c.Put(ctx, "x", nil, second, 0)
	c.wants("Put with the revision of what was deleted", err, cluster.ErrChanged)
}

func sizes(t *testing.T, h *harness) {
	ctx, c := context.Background(), h.client(t)
	most := make([]byte, cluster.MaxValue)
	for i := range most {
		most[i] = byte(i * 7)
	}
	long := strings.Repeat("k", cluster.MaxKey)
	if _, err := c.Put(ctx, long, most, 0, 0); err != nil {
		t.Fatal(err)
	}
	if v := c.get(long); !bytes.Equal(v.Data, most) {
		t.Errorf("the largest value comes back with %d bytes, changed", len(v.Data))
	}
	_, err := c.Put(ctx, "x", append(most, 0), 0, 0)
	c.wants("Put of a byte too many", err, cluster.ErrTooLarge)
	_, err = c.Set(ctx, "x", append(most, 0), 0)
	c.wants("Set of a byte too many", err, cluster.ErrTooLarge)
	c.missing("x")
}

func refusedArguments(t *testing.T, h *harness) {
	ctx, c := context.Background(), h.client(t)
	for _, key := range []string{"", "/", "a/", "/a", "a//b", ".", "..", "a/../b", ".a", "A", "a b", "a*", "a>", "a\n", "a\x00", "ä", "a+b", "a=b", "{a}", strings.Repeat("k", cluster.MaxKey+1)} {
		_, err := c.Get(ctx, key)
		c.wants("Get "+strconv.Quote(key), err, cluster.ErrKey)
		_, err = c.Put(ctx, key, nil, 0, 0)
		c.wants("Put "+strconv.Quote(key), err, cluster.ErrKey)
		_, err = c.Set(ctx, key, nil, 0)
		c.wants("Set "+strconv.Quote(key), err, cluster.ErrKey)
		c.wants("Delete "+strconv.Quote(key), c.Delete(ctx, key, 0), cluster.ErrKey)
	}
	for _, ttl := range []time.Duration{-1, cluster.MaxTTL + 1} {
		_, err := c.Set(ctx, "x", nil, ttl)
		c.wants("Set for "+ttl.String(), err, cluster.ErrKey)
	}
	for _, prefix := range []string{"a", "/", "*/", "a//"} {
		c.wants("Watch "+prefix, c.Watch(ctx, prefix, func(cluster.Event) {}), cluster.ErrKey)
	}
}

func similarKeys(t *testing.T, h *harness) {
	c := h.client(t)
	keys := []string{"a", "a/b", "a.b", "a-b", "a_b", "a/b/c", "a/b.c", "a.b/c", "a..b", "a.", "a-/-b", "a_2e", "a2f", "a-2f-b"}
	for _, key := range keys {
		c.put(key, key, 0, 0)
	}
	for _, key := range keys {
		if v := c.get(key); string(v.Data) != key {
			t.Errorf("%s has the value of %s", key, v.Data)
		}
	}
}

func namespaces(t *testing.T, h *harness) {
	a, b := h.client(t), h.in(t, h.namespace+"2")
	a.put("x", "a's", 0, 0)
	b.missing("x")
	b.put("x", "b's", 0, 0)
	if v := a.get("x"); string(v.Data) != "a's" {
		t.Errorf("a reads %q", v.Data)
	}
	w := a.watch("")
	w.synced()
	if got := w.value("x"); got != "a's" {
		t.Errorf("a sees %q", got)
	}
}

func valueEnds(t *testing.T, h *harness) {
	c, other := h.client(t), h.client(t)
	begin := time.Now()
	c.set("short", "1", ttl)
	c.set("kept", "1", ttl)
	c.set("kept", "2", 0)
	c.set("longer", "1", time.Hour)
	for _, c := range []client{c, other} {
		c.eventually("the value ends", func() bool {
			_, err := c.Get(context.Background(), "short")
			return errors.Is(err, cluster.ErrNotFound)
		})
		if d := time.Since(begin); d < ttl {
			t.Errorf("the value ended after %v of %v", d, ttl)
		}
	}
	for _, key := range []string{"kept", "longer"} {
		c.get(key)
	}
	c.put("short", "2", 0, 0)
	if v := other.get("short"); string(v.Data) != "2" {
		t.Errorf("the new value is %q", v.Data)
	}
}

func lease(t *testing.T, h *harness) {
	ctx, a, b := context.Background(), h.client(t), h.client(t)
	rev := a.put("lease", "a", 0, time.Hour)
	_, err := b.Put(ctx, "lease", []byte("b"), 0, ttl)
	b.wants("another takes a lease that is held", err, cluster.ErrChanged)
	rev = a.put("lease", "a", rev, ttl) // renewed for a short time
	b.eventually("the lease is free", func() bool {
		_, err := b.Put(ctx, "lease", []byte("b"), 0, time.Hour)
		return err == nil
	})
	_, err = a.Put(ctx, "lease", []byte("a"), rev, time.Hour)
	a.wants("renewing a lease that another has", err, cluster.ErrChanged)
	a.wants("giving back a lease that another has", a.Delete(ctx, "lease", rev), cluster.ErrChanged)
	if v := a.get("lease"); string(v.Data) != "b" {
		t.Errorf("the lease is held by %q", v.Data)
	}
}

func oneWins(t *testing.T, h *harness) {
	const contenders = 6
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		wins []int
	)
	for i := range contenders {
		c := h.client(t)
		wg.Go(func() {
			_, err := c.Put(context.Background(), "x", []byte(strconv.Itoa(i)), 0, time.Hour)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				wins = append(wins, i)
			} else {
				c.wants("Put", err, cluster.ErrChanged)
			}
		})
	}
	wg.Wait()
	if len(wins) != 1 {
		t.Fatalf("%v have won", wins)
	}
	if v := h.client(t).get("x"); string(v.Data) != strconv.Itoa(wins[0]) {
		t.Errorf("%d has won, and the value is that of %s", wins[0], v.Data)
	}
}

func increments(t *testing.T, h *harness) {
	const clients, each = 3, 8
	var wg sync.WaitGroup
	h.client(t).put("n", "0", 0, 0)
	for range clients {
		c := h.client(t)
		wg.Go(func() {
			for done := 0; done < each; {
				v, err := c.Get(context.Background(), "n")
				if err != nil {
					t.Error(err)
					return
				}
				n, _ := strconv.Atoi(string(v.Data))
				_, err = c.Put(context.Background(), "n", []byte(strconv.Itoa(n+1)), v.Rev, time.Hour)
				if err == nil {
					done++
				} else if !errors.Is(err, cluster.ErrChanged) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if v := h.client(t).get("n"); string(v.Data) != strconv.Itoa(clients*each) {
		t.Errorf("%d increments come to %s", clients*each, v.Data)
	}
}

func contexts(t *testing.T, h *harness) {
	c := h.client(t)
	c.set("x", "1", 0)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := c.Get(ctx, "x")
	c.wants("Get", err, context.Canceled)
	_, err = c.Put(ctx, "y", nil, 0, 0)
	c.wants("Put", err, context.Canceled)
	_, err = c.Set(ctx, "y", nil, 0)
	c.wants("Set", err, context.Canceled)
	c.wants("Delete", c.Delete(ctx, "x", 0), context.Canceled)
	c.wants("Watch", c.Watch(ctx, "", func(cluster.Event) {}), context.Canceled)
	c.get("x")
}

func closing(t *testing.T, h *harness) {
	ctx, c, other := context.Background(), h.client(t), h.client(t)
	c.set("x", "1", 0)
	w := c.watch("")
	w.synced()
	c.wants("Close", c.Close(), nil)
	c.wants("Watch", w.end(), cluster.ErrClosed)
	c.wants("a second Close", c.Close(), nil)
	_, err := c.Get(ctx, "x")
	c.wants("Get", err, cluster.ErrClosed)
	_, err = c.Put(ctx, "y", nil, 0, 0)
	c.wants("Put", err, cluster.ErrClosed)
	_, err = c.Set(ctx, "y", nil, 0)
	c.wants("Set", err, cluster.ErrClosed)
	c.wants("Delete", c.Delete(ctx, "x", 0), cluster.ErrClosed)
	c.wants("Watch", c.Watch(ctx, "", func(cluster.Event) {}), cluster.ErrClosed)
	other.get("x")
}
