package admit

import (
	"math"
	"net/netip"
	"testing"
	"time"
)

// The box of a network holds for all in it: connections, those whose PROXY
// header names them, and datagrams; but not for who is exempt.
func TestBoxedNetwork(t *testing.T) {
	exempt := addr4(203, 0, 113, 77)
	l, now := newTestLimiter(Limits{Penalty: Penalty{Threshold: 2, Exempt: []netip.Prefix{netip.PrefixFrom(exempt, 32)}}})
	other := addr4(203, 0, 113, 200)
	if l.Enter(other) != OK {
		t.Fatal("refused before")
	}
	for i := range prefixSources {
		b, ok := l.Punish(addr4(203, 0, 113, i+1), 2)
		want := netip.PrefixFrom(addr4(203, 0, 113, i+1), 32)
		if i == prefixSources-1 {
			want = netip.MustParsePrefix("203.0.113.0/24")
		}
		if !ok || b.Prefix != want || b.Left != time.Minute || b.Offences != 1 {
			t.Fatalf("%d: %+v, %v; want %v", i, b, ok, want)
		}
	}
	for what, got := range map[string]Reason{"Enter": l.Enter(other), "Rename": l.Rename(netip.Addr{}, other), "Datagram": l.Datagram(other)} {
		if got != Penalised {
			t.Errorf("%s: %v", what, got)
		}
	}
	if l.Enter(exempt) != OK || l.Datagram(exempt) != OK {
		t.Error("the exempt one is refused")
	}
	if _, ok := l.Punish(other, 5); ok != true {
		t.Error("one of a boxed network cannot be boxed itself")
	}
	if b, ok := l.Punish(other, 5); ok {
		t.Errorf("boxed twice: %+v", b)
	}
	// One of its addresses alone does not free the network.
	if n := l.Lift(netip.MustParsePrefix("203.0.113.1/32")); n != 1 || l.Enter(addr4(203, 0, 113, 1)) != Penalised {
		t.Errorf("lifted %d", n)
	}
	if n := l.Lift(netip.MustParsePrefix("::ffff:203.0.113.0/120")); n != prefixSources+1 { // seven, other and the network
		t.Errorf("lifted %d", n)
	}
	if l.Enter(other) != OK || l.Stats().Boxed != 0 || len(l.List()) != 0 {
		t.Errorf("still there: %v", l.List())
	}
	*now += int64(time.Hour)
	if st := l.Stats(); st.Conns != 3 || st.Open != 3 {
		t.Errorf("%+v", st)
	}
}

// An IPv6 source is a /64, whichever of its addresses is named.
func TestBoxedIPv6(t *testing.T) {
	l, _ := newTestLimiter(Limits{Penalty: Penalty{Threshold: 2}})
	for _, a := range []string{"2001:db8::1", "2001:db8::2"} {
		l.Punish(netip.MustParseAddr(a), 1)
	}
	third := netip.MustParseAddr("2001:db8::3")
	if l.Enter(third) != Penalised || l.Enter(netip.MustParseAddr("2001:db8:0:1::3")) != OK {
		t.Error("not the /64 is in the box")
	}
	if n := l.Lift(netip.Prefix{}); n != 0 {
		t.Errorf("nothing names %d", n)
	}
	if n := l.Lift(netip.PrefixFrom(third.WithZone(""), 128)); n != 1 || l.Enter(third) != OK {
		t.Errorf("lifted %d", n)
	}
}

// Times grow up to the longest, and who keeps quiet for long starts anew.
func TestPenaltyTimes(t *testing.T) {
	l, now := newTestLimiter(Limits{Penalty: Penalty{Threshold: 1, Time: time.Second, MaxTime: 5 * time.Second}})
	for i, want := range []time.Duration{1, 2, 4, 5, 5, 5} {
		b, ok := l.Punish(attacker, 1)
		if !ok || b.Left != want*time.Second || b.Offences != i+1 {
			t.Fatalf("%d: %+v", i, b)
		}
		if again, ok := l.Punish(attacker, 100); ok {
			t.Fatalf("%d: boxed while in the box: %+v", i, again)
		}
		*now += int64(b.Left)
		if l.Datagram(attacker) != OK {
			t.Fatalf("%d: still in", i)
		}
	}
	*now += int64(21 * time.Second)
	if b, _ := l.Punish(attacker, 1); b.Left != time.Second || b.Offences != 1 {
		t.Errorf("after a quiet time: %+v", b)
	}
}

func TestDatagramRateOfANetwork(t *testing.T) {
	l, now := newTestLimiter(Limits{DatagramRatePerPrefix: 3, DatagramRatePerSource: 2})
	for i, c := range []struct {
		last int
		want Reason
	}{{1, OK}, {1, OK}, {1, OverSourceDatagramRate}, {2, OK}, {2, OverPrefixDatagramRate}, {3, OverPrefixDatagramRate}} {
		if got := l.Datagram(addr4(192, 0, 2, c.last)); got != c.want {
			t.Fatalf("%d: %v, want %v", i, got, c.want)
		}
	}
	if got := l.Datagram(addr4(192, 0, 3, 1)); got != OK {
		t.Fatal(got)
	}
	*now += int64(time.Second)
	if got := l.Datagram(addr4(192, 0, 2, 3)); got != OK {
		t.Fatal(got)
	}
}

func TestDatagramAllocatesNothing(t *testing.T) {
	l, _ := newTestLimiter(Limits{DatagramRatePerPrefix: 1e9, DatagramRatePerSource: 1e9, Penalty: Penalty{Threshold: 1}})
	l.Datagram(attacker)
	if n := testing.AllocsPerRun(1000, func() { l.Datagram(attacker) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Without a threshold there is no box, and points that are none put nobody there.
func TestNoBox(t *testing.T) {
	l, _ := newTestLimiter(Limits{})
	for range 10 {
		if b, ok := l.Punish(attacker, 1000); ok || l.Enter(attacker) != OK {
			t.Fatalf("boxed without a box: %+v", b)
		}
	}
	if list := l.List(); len(list) != 0 {
		t.Errorf("in the box: %v", list)
	}
	l, _ = newTestLimiter(Limits{Penalty: Penalty{Threshold: 1}})
	for _, points := range []float64{0, -5} {
		if b, ok := l.Punish(attacker, points); ok {
			t.Errorf("%v points: %+v", points, b)
		}
	}
	if b, ok := l.Punish(netip.Addr{}, 5); ok {
		t.Errorf("nobody's address: %+v", b)
	}
	if n := l.table.shards[0].idle; n != 0 {
		t.Errorf("%d entries for nobody", n)
	}
}

// Times that are as long as can be do not overflow.
func TestLongestPenalty(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, longest := range []time.Duration{100 * year, math.MaxInt64} {
		l, now := newTestLimiter(Limits{Penalty: Penalty{Threshold: 1, Time: 30 * year, MaxTime: longest}})
		for i := range 6 {
			want := longest
			if i < 4 {
				want = min(longest, 30*year<<i)
			}
			want = min(want, math.MaxInt64-time.Duration(*now))
			if b, ok := l.Punish(attacker, 1); !ok || b.Left != want {
				t.Fatalf("%v, offence %d: %v, %v, not %v", longest, i, ok, b.Left, want)
			}
			source, wide := tiers(attacker)
			l.table.shard(wide).get(source).until = *now
		}
	}
}
