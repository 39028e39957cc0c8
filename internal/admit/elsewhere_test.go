package admit

import (
	"net/netip"
	"testing"
	"time"
)

// report has each Limiter tell the others, as their processes do twice a second.
func report(ls ...*Limiter) {
	uses := make([][]SourceUse, len(ls))
	for i, l := range ls {
		uses[i] = l.Shared(10_000)
	}
	for i, l := range ls {
		o := Others{Processes: len(ls) - 1}
		for j := range ls {
			if j != i {
				o.Uses = append(o.Uses, uses[j]...)
			}
		}
		l.SetOthers(o)
	}
}

// fill opens as many connections from a as there may be.
func fill(t *testing.T, l *Limiter, a netip.Addr, want Reason) (n int) {
	t.Helper()
	for n < 100_000 {
		if why := l.Enter(a); why != OK {
			if why != want {
				t.Errorf("refused by %d, want %d", why, want)
			}
			return n
		}
		n++
	}
	t.Fatal("no limit")
	return 0
}

// Processes that share a limit keep to it together: each takes its part at once,
// and one alone comes near the whole in a few reports.
func TestOthers(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.1")
	for _, tt := range []struct {
		name   string
		limits Limits
		want   Reason
	}{
		{"source", Limits{MaxPerSource: 100}, OverSource},
		{"network", Limits{MaxPerPrefix: 100}, OverPrefix},
	} {
		ls := []*Limiter{NewLimiter(tt.limits), NewLimiter(tt.limits), NewLimiter(tt.limits)}
		report(ls...)
		all := 0
		for _, l := range ls {
			all += fill(t, l, a, tt.want)
		}
		if all != 102 { // each part is rounded up
			t.Errorf("%s: %d in all at once", tt.name, all)
		}
		for range 5 {
			report(ls...)
			for _, l := range ls {
				all += fill(t, l, a, tt.want)
			}
		}
		if all != 102 {
			t.Errorf("%s: %d in all later", tt.name, all)
		}
		if k := ls[0].Look(a, false); !k.Shared || k.Others+k.NetworkOthers != 2*68 || k.Room+k.NetworkRoom > 100 {
			t.Errorf("%s: %+v", tt.name, k)
		}

		one, other := NewLimiter(tt.limits), NewLimiter(tt.limits)
		report(one, other)
		n := 0
		for range 12 {
			n += fill(t, one, a, tt.want)
			report(one, other)
		}
		if n < 95 || n > 100 {
			t.Errorf("%s: %d in one of two", tt.name, n)
		}
		for range n {
			one.Leave(a)
		}
		if m := fill(t, one, a, tt.want); m < 95 {
			t.Errorf("%s: %d again after leaving, before the next report", tt.name, m)
		}
		one.SetOthers(Others{})
		if m := fill(t, one, a, tt.want); n+m < 100 || m > 5 {
			t.Errorf("%s: %d more without others", tt.name, m)
		}
	}
}

// A process that is lied to by its cluster still lets everybody have one.
func TestOthersBounds(t *testing.T) {
	a := netip.MustParseAddr("2001:db8::1")
	source, network := Tiers(a)
	l := NewLimiter(Limits{MaxPerSource: 10, MaxPerPrefix: 10})
	l.SetOthers(Others{Processes: 3, Uses: []SourceUse{
		{Prefix: source, Conns: 9}, {Prefix: network, Conns: 9}, {Conns: 5}, {Prefix: netip.MustParsePrefix("10.0.0.0/8"), Conns: 5}, {Prefix: source, Conns: -3},
	}})
	if n := fill(t, l, a, OverPrefix); n != 1 {
		t.Errorf("%d beside 9 others", n)
	}
	l.SetOthers(Others{Processes: 3, Uses: []SourceUse{{Prefix: source, Conns: 1 << 30}}})
	if why := l.Enter(a); why != OverSource {
		t.Errorf("beside very many: %d", why)
	}
	l.SetOthers(Others{Uses: []SourceUse{{Prefix: source, Conns: 10}}})
	if n := fill(t, l, a, OverPrefix); n != 9 {
		t.Errorf("%d without others", n)
	}
	// What is left out of a report counts as not reported.
	for i := range 5 {
		b := netip.AddrFrom4([4]byte{10, 0, byte(i), 1})
		for range i + 2 {
			l.Enter(b)
		}
	}
	for range reportsKept {
		if got := l.Shared(3); len(got) != 3 {
			t.Errorf("%d reported", len(got))
		}
	}
	said := func(s string) int {
		key, _ := limitKey(netip.MustParsePrefix(s))
		_, wide := tiers(netip.MustParsePrefix(s).Addr())
		return l.table.shard(wide).m[key].said.least()
	}
	if said("10.0.0.0/24") != 0 || said("10.0.4.1/32")+said("10.0.4.0/24") == 0 {
		t.Error("the wrong ones were left out")
	}
}

func TestBansOfOthers(t *testing.T) {
	now := int64(1)
	l := NewLimiter(Limits{Penalty: Penalty{Threshold: 5, Exempt: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/32")}}})
	l.clock = func() int64 { return now }
	list := []Boxed{
		{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Left: time.Minute, Manual: true, Node: "b"},
		{Prefix: netip.MustParsePrefix("192.0.2.7/32"), Left: time.Hour, Node: "b"},
		{Prefix: netip.MustParsePrefix("2001:db8:1:2::/64"), Left: time.Hour, Node: "c"},
		{Prefix: netip.MustParsePrefix("192.0.2.8/32"), Left: -1, Node: "b"},
		{Node: "b", Left: time.Hour},
	}
	if added := l.SetBans(list); len(added) != 3 {
		t.Errorf("added %v", added)
	}
	if added := l.SetBans(list); len(added) != 0 {
		t.Errorf("added again %v", added)
	}
	for s, want := range map[string]Reason{
		"10.1.9.9": Penalised, "::ffff:10.1.9.9": Penalised, "10.1.2.3": OK, "10.2.0.1": OK,
		"192.0.2.7": Penalised, "192.0.2.8": OK, "2001:db8:1:2:3::4": Penalised, "2001:db8:1:3::4": OK,
	} {
		a := netip.MustParseAddr(s)
		if got := l.Enter(a); got != want {
			t.Errorf("%s: %d, want %d", s, got, want)
		}
		if got := l.Datagram(a); got != want {
			t.Errorf("a datagram of %s: %d, want %d", s, got, want)
		}
	}
	if k := l.Look(netip.MustParseAddr("10.1.9.9"), false); k.Boxed.Node != "b" || k.Boxed.Left != time.Minute || !k.Boxed.Manual {
		t.Errorf("%+v", k)
	}
	if own := l.Own(10); len(own) != 0 {
		t.Errorf("own: %v", own)
	}
	l.Punish(netip.MustParseAddr("192.0.2.99"), 9)
	if own := l.Own(10); len(own) != 1 || own[0].Node != "" {
		t.Errorf("own: %v", own)
	}
	if all := l.List(); len(all) != 4 {
		t.Errorf("all: %v", all)
	}
	if n := l.Lift(netip.MustParsePrefix("10.0.0.0/8")); n != 1 {
		t.Errorf("%d lifted", n)
	}
	if n := l.Lift(netip.MustParsePrefix("192.0.2.7/32")); n != 1 {
		t.Errorf("%d lifted", n)
	}
	if why := l.Enter(netip.MustParseAddr("192.0.2.7")); why != OK {
		t.Errorf("after a lift: %d", why)
	}
	now += int64(2 * time.Hour)
	if why := l.Enter(netip.MustParseAddr("2001:db8:1:2:3::4")); why != OK {
		t.Errorf("when it is over: %d", why)
	}
	if len(l.List()) != 0 {
		t.Errorf("%v", l.List())
	}
	l.SetBans(nil)
}

// Without a cluster Enter costs what it did; with one it still allocates nothing.
func BenchmarkEnterShared(b *testing.B) {
	for name, n := range map[string]int{"alone": 0, "others=10000": 10_000} {
		b.Run(name, func(b *testing.B) {
			l := NewLimiter(Limits{MaxPerSource: 1000, MaxPerPrefix: 1000, Penalty: Penalty{Threshold: 1000}})
			o := Others{}
			for i := range n {
				o.Processes = 2
				o.Uses = append(o.Uses, SourceUse{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32), Conns: 3})
			}
			l.SetOthers(o)
			a := addr4(10, 0, 5, 5)
			b.ReportAllocs()
			for b.Loop() {
				if l.Enter(a) != OK {
					b.Fatal("refused")
				}
				l.Leave(a)
			}
		})
	}
}
