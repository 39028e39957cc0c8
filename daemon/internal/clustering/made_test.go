package clustering

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"netserver/cluster"
	"netserver/daemon/internal/wire"
)

func banOf(s string, left time.Duration) cluster.Ban {
	return cluster.Ban{Prefix: netip.MustParsePrefix(s), Left: left}
}

// A ban keeps its identity as long as it is reported, whatever shares it; what is
// banned after a lift, or for longer, is another.
func TestMadeBansKeepTheirIdentity(t *testing.T) {
	const one, two, net = "192.0.2.1/32", "192.0.2.2/32", "192.0.2.0/24"
	now := time.Now()
	m := Made{Node: "a"}
	name := func(b cluster.Ban) cluster.BanID {
		list := []cluster.Ban{b}
		m.name(list, now)
		return list[0].ID
	}
	first, second := name(banOf(one, time.Minute)), name(banOf(two, time.Minute))
	if first == (cluster.BanID{}) || second.Process <= first.Process {
		t.Fatalf("%v, %v", first, second)
	}
	now = now.Add(10 * time.Second)
	if got := name(banOf(one, 51*time.Second)); got != first {
		t.Errorf("as before: %v", got)
	}
	byHand := banOf(one, 51*time.Second)
	byHand.Manual = true
	if got := name(byHand); got == first {
		t.Error("a ban by hand is that by points")
	}
	longer := name(banOf(one, time.Hour))
	if longer.Process <= second.Process {
		t.Errorf("a later one: %v", longer)
	}
	others := []cluster.Ban{banOf(two, time.Minute), banOf("198.51.100.1/32", time.Hour)}
	for i := range others {
		others[i].Node, others[i].ID = "b", cluster.BanID{Process: 7, Number: uint64(i)}
	}
	if n := m.Lift(netip.MustParsePrefix(net), others, now); n != 1 {
		t.Errorf("lift %d", n)
	}
	lifted := m.Lifted(now)
	for _, want := range []cluster.Lift{{Node: "a", ID: longer, Left: time.Hour}, {Node: "a", ID: second, Left: 50 * time.Second}, {Node: "b", ID: others[0].ID, Left: time.Minute}} {
		if !slices.Contains(lifted, want) {
			t.Errorf("%v is not lifted: %v", want, lifted)
		}
	}
	if len(lifted) != 4 { // and the one by hand
		t.Errorf("lifted: %v", lifted)
	}
	again := name(banOf(one, time.Minute))
	if again.Process <= longer.Process {
		t.Errorf("banned again after a lift: %v", again)
	}
	if n := m.Taken([]netip.Prefix{netip.MustParsePrefix(one)}); n != 2 || name(banOf(one, time.Minute)) == again {
		t.Error("another node's lift")
	}
	if len(m.Lifted(now)) != 4 {
		t.Error("another node's lift is told as this one's")
	}
	now = now.Add(2 * time.Hour)
	if list := m.Lifted(now); len(list) != 0 {
		t.Errorf("over: %v", list)
	}
	var many []cluster.Ban
	for i := range 2 * cluster.MaxBans {
		many = append(many, cluster.Ban{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 32), Left: time.Hour})
	}
	m.name(many, now)
	for i, b := range many {
		if (b.ID != cluster.BanID{}) != (i < cluster.MaxBans) {
			t.Fatalf("ban %d: %v", i, b.ID)
		}
	}
	if list := m.Report(many[:5], now); len(list) != cluster.MaxBans {
		t.Errorf("%d are reported", len(list))
	}
	m.Lift(netip.MustParsePrefix("10.0.0.0/8"), nil, now)
	if n := len(m.Lifted(now)); n != cluster.MaxLifted {
		t.Errorf("%d lifts are kept", n)
	}
}

// What a process of before had banned is reported to each Node, once one has told
// of it, until it is over or lifted.
func TestBansOfBeforeAreAdopted(t *testing.T) {
	now := time.Now()
	m := Made{Node: "a"}
	own := banOf("192.0.2.1/32", time.Hour)
	own.Node, own.ID = "a", cluster.NewBanID(now.Add(-time.Hour))
	told := []cluster.Ban{own, banOf("192.0.2.2/32", time.Hour), banOf("192.0.2.3/32", time.Hour), banOf("192.0.2.4/32", 0), banOf("192.0.2.5/32", time.Hour)}
	told[1].Node, told[1].ID = "b", own.ID
	told[2].Node, told[2].ID = "a", cluster.BanID{Process: 1<<64 - 1} // of no clock
	told[3].Node, told[3].ID = "a", own.ID
	told[4].Node = "a"
	reported := func(what string, want int) {
		t.Helper()
		list := m.Report(nil, now)
		if len(list) != want || want > 0 && (list[0].ID != own.ID || list[0].Prefix != own.Prefix) {
			t.Errorf("%s: %v", what, list)
		}
	}
	m.Adopt(told, now)
	m.Adopt(told, now)
	reported("adopted", 1)
	boxed := []cluster.Ban{banOf("192.0.2.1/32", 50*time.Minute)}
	if list := m.Report(boxed, now); len(list) != 1 || list[0].ID != own.ID || boxed[0].ID != (cluster.BanID{}) {
		t.Errorf("the same by a process: %v", list)
	}
	m.Lift(own.Prefix, nil, now)
	m.Adopt(told, now) // was under way
	reported("lifted", 0)
	m = Made{Node: "a"}
	m.Adopt(told, now)
	if later := m.Report([]cluster.Ban{banOf("192.0.2.1/32", 2*time.Hour)}, now); later[0].ID.Process <= own.ID.Process {
		t.Errorf("a later ban: %v", later)
	}
	m.Taken([]netip.Prefix{own.Prefix})
	reported("lifted elsewhere", 0)
	m.Adopt(told, now)
	now = now.Add(time.Hour)
	reported("over", 0)
}

// What a process tells of bans within a lift counts for nothing until it has
// confirmed that.
func TestLiftsAreConfirmed(t *testing.T) {
	const one, two = "192.0.2.1/32", "198.51.100.1/32"
	now := time.Now()
	var l Lifts
	rest := func(want int) {
		t.Helper()
		if got := l.Rest([]cluster.Ban{banOf(one, time.Hour), banOf(two, time.Hour)}); len(got) != want {
			t.Errorf("%v, want %d", got, want)
		}
	}
	rest(2)
	l.Add(1, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, now)
	l.Add(2, []netip.Prefix{netip.MustParsePrefix(one), netip.MustParsePrefix(two)}, now)
	rest(0)
	l.Done([]uint64{2, 3})
	rest(1)
	if _, _, ok := l.Again(now.Add(liftAgain - 1)); ok {
		t.Error("told again at once")
	}
	now = now.Add(liftAgain)
	if n, networks, ok := l.Again(now); !ok || n != 1 || len(networks) != 1 {
		t.Errorf("%d: %v", n, networks)
	}
	if _, _, ok := l.Again(now); ok {
		t.Error("told twice")
	}
	l.Done([]uint64{1})
	rest(2)
	for n := range uint64(2 * maxLifts) {
		l.Add(n, nil, now)
	}
	if len(l.list) != maxLifts {
		t.Errorf("%d are kept", len(l.list))
	}
	parts := Share{Lifted: []uint64{3}, Bans: make([]cluster.Ban, wire.MaxSharedBans+1)}.Parts()
	if len(parts) != 2 || !slices.Equal(parts[0].Lifted, []uint64{3}) || parts[1].Lifted != nil || !parts[0].First || !parts[1].Last {
		t.Errorf("%d parts", len(parts))
	}
}
