package cluster_test

import (
	"encoding/json"
	"net/netip"
	"slices"
	"testing"
	"time"

	"netserver/cluster"
	"netserver/cluster/storetest"
)

func source(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
}

func (n *testNode) other(p netip.Prefix) cluster.Count {
	_, _, o := n.told()
	for _, c := range o.Counts {
		if c.Prefix == p {
			return c
		}
	}
	return cluster.Count{}
}

func TestCountsText(t *testing.T) {
	six, net6 := netip.MustParsePrefix("2001:db8:1:2::/64"), netip.MustParsePrefix("2001:db8:1::/48")
	list := cluster.Counts{
		{source(3), 7, 0}, {source(1), 1, 2}, {netip.MustParsePrefix("10.0.0.0/24"), 8, 2}, {six, cluster.MaxCount, cluster.MaxCount},
		{net6, 5, 0}, {source(1), 1, 0}, {netip.MustParsePrefix("::/64"), 1, 0}, {netip.MustParsePrefix("ffff:ffff:ffff:ffff::/64"), 1, 0},
		{netip.MustParsePrefix("255.255.255.255/32"), 1, 0}, {netip.MustParsePrefix("0.0.0.0/24"), 1, 0},
	}
	text, err := json.Marshal(cluster.Report{Counts: list})
	if err != nil {
		t.Fatal(err)
	}
	var back cluster.Report
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	want := cluster.Counts{
		{source(1), 2, 2}, {source(3), 7, 0}, {netip.MustParsePrefix("255.255.255.255/32"), 1, 0},
		{netip.MustParsePrefix("0.0.0.0/24"), 1, 0}, {netip.MustParsePrefix("10.0.0.0/24"), 8, 2},
		{netip.MustParsePrefix("::/64"), 1, 0}, {six, cluster.MaxCount, cluster.MaxCount}, {netip.MustParsePrefix("ffff:ffff:ffff:ffff::/64"), 1, 0}, {net6, 5, 0},
	}
	if !slices.Equal(back.Counts, want) {
		t.Errorf("%v, want %v", back.Counts, want)
	}
	for _, bad := range []string{"10.0.0.0/8", "10.0.0.1/24", "2001:db8::1/128", "::ffff:1.2.3.4/128"} {
		if _, err := (cluster.Counts{{netip.MustParsePrefix(bad), 1, 0}}).MarshalBinary(); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	if _, err := make(cluster.Counts, cluster.MaxCounts+1).MarshalBinary(); err == nil {
		t.Error("too many were taken")
	}
}

func FuzzCounts(f *testing.F) {
	good, _ := cluster.Counts{{source(1), 2, 0}, {source(9), 3, 4}, {netip.MustParsePrefix("2001:db8::/64"), 1, 0}}.MarshalBinary()
	f.Add(good)
	f.Add([]byte{1, 0, 0, 0, 0})
	f.Add([]byte{1, 255, 255, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		var c cluster.Counts
		if c.UnmarshalBinary(b) != nil {
			return
		}
		if len(c) > cluster.MaxCounts {
			t.Fatalf("%d counts", len(c))
		}
		again, err := c.MarshalBinary()
		if err != nil || string(again) != string(b) {
			t.Fatalf("%x was read, %x written, %v", b, again, err)
		}
	})
}

// What the others have is the sum of what they told last, and is forgotten with
// them.
func TestCounts(t *testing.T) {
	inBubble(t, func(t *testing.T, m *storetest.Memory) {
		a, b, c := newNode(t, m, "a"), newNode(t, m, "b"), newNode(t, m, "c")
		settle(2 * time.Second)
		b.share(func(r *cluster.Report) {
			r.Processes, r.Counts = 3, cluster.Counts{{source(1), 5, 1}, {source(2), 9, 0}}
		})
		c.share(func(r *cluster.Report) { r.Counts = cluster.Counts{{source(1), 7, 0}} })
		settle(1500 * time.Millisecond)
		_, _, o := a.told()
		if got := a.other(source(1)); got.Conns != 12 || got.Handshakes != 1 || o.Processes != 4 || len(o.Counts) != 2 {
			t.Errorf("%+v", o)
		}
		if got := b.other(source(1)); got.Conns != 7 {
			t.Errorf("%+v", got)
		}
		b.share(func(r *cluster.Report) { r.Counts = nil })
		settle(500 * time.Millisecond)
		if got := a.other(source(1)); got.Conns != 7 {
			t.Errorf("after b's are gone: %+v", got)
		}
		// Thousands go in parts, of which only those are written that change.
		b.share(func(r *cluster.Report) {
			for i := range cluster.MaxCounts + 1000 {
				r.Counts = append(r.Counts, cluster.Count{Prefix: source(i), Conns: uint32(2 + i%5)})
			}
			r.Counts = append(r.Counts, cluster.Count{Prefix: netip.MustParsePrefix("1.2.3.4/31"), Conns: 1})
		})
		settle(500 * time.Millisecond)
		if _, _, o := a.told(); len(o.Counts) != cluster.MaxCounts {
			t.Errorf("%d counts", len(o.Counts))
		}
		sent := b.Status().Sent
		b.share(func(r *cluster.Report) { r.Counts[1234].Conns = 77 })
		settle(500 * time.Millisecond)
		if got := a.other(source(1234)); got.Conns != 77 {
			t.Errorf("%+v", got)
		}
		if n := b.Status().Sent - sent; n > 30_000 {
			t.Errorf("%d bytes for one that changed", n)
		}
		// The same are not given again, and go on to count; they are written again.
		sent = b.Status().Sent
		for range 20 {
			b.share(func(r *cluster.Report) { r.Counts, r.CountsSame = nil, true })
			c.share(nil)
			settle(500 * time.Millisecond)
		}
		if got := a.other(source(1234)); got.Conns != 77 {
			t.Errorf("the same: %+v", got)
		}
		if n := b.Status().Sent - sent; n < 100_000 {
			t.Errorf("%d bytes for what is the same in ten seconds", n)
		}
		b.share(func(r *cluster.Report) { r.CountsSame = false })
		// Few again.
		b.share(func(r *cluster.Report) { r.Counts = cluster.Counts{{source(1), 5, 0}} })
		settle(500 * time.Millisecond)
		if _, _, o := a.told(); len(o.Counts) != 1 || a.other(source(1)).Conns != 12 {
			t.Errorf("%d others: %+v", len(o.Counts), a.other(source(1)))
		}
		for range 20 { // c goes on telling, b does not
			c.share(nil)
			settle(500 * time.Millisecond)
		}
		if got := a.other(source(1)); got.Conns != 7 {
			t.Errorf("after b was silent: %+v", got)
		}
		c.kill()
		settle(12 * time.Second)
		if _, _, o := a.told(); len(o.Counts) != 0 || o.Processes != 3 {
			t.Errorf("after c was killed: %+v", o)
		}
		a.stop()
		b.stop()
	})
}
