package admit

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

func newTestLimiter(cfg Limits) (*Limiter, *int64) {
	l := NewLimiter(cfg)
	now := new(int64)
	*now = 1
	l.clock = func() int64 { return *now }
	return l, now
}

func TestLimits(t *testing.T) {
	a, b, c := addr4(192, 0, 2, 1), addr4(192, 0, 2, 2), addr4(192, 0, 3, 1)
	six, six2 := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::ffff")
	enter := func(l *Limiter, a netip.Addr, want Reason) {
		t.Helper()
		if got := l.Enter(a); got != want {
			t.Fatalf("%v: %v, want %v", a, got, want)
		}
	}
	l, _ := newTestLimiter(Limits{MaxPerSource: 2, MaxPerPrefix: 3})
	enter(l, a, OK)
	enter(l, netip.MustParseAddr("::ffff:192.0.2.1"), OK) // the same
	enter(l, a, OverSource)
	enter(l, b, OK)
	enter(l, b, OverPrefix)
	enter(l, c, OK)
	enter(l, six, OK)
	enter(l, six2, OK)
	enter(l, six, OverSource) // one /64
	l.Leave(a)
	enter(l, b, OK)
	for range 5 {
		enter(l, netip.Addr{}, OK)
	}
	if st := l.Stats(); st.Conns != 11 {
		t.Fatalf("%+v", st)
	}

	l, now := newTestLimiter(Limits{RatePerSource: 3, RatePerPrefix: 5, Rate: 7})
	for _, want := range []Reason{OK, OK, OK, OverSourceRate} {
		enter(l, a, want)
	}
	enter(l, b, OK)
	enter(l, b, OK)
	enter(l, b, OverPrefixRate)
	enter(l, c, OK)
	enter(l, c, OK)
	enter(l, c, OverRate)
	*now += int64(time.Second)/3 + 1
	enter(l, a, OK)
	enter(l, a, OverPrefixRate)
	*now += int64(time.Hour)
	for _, want := range []Reason{OK, OK, OK, OverSourceRate} { // no more than a second's worth
		enter(l, a, want)
	}
}

func TestDatagramRate(t *testing.T) {
	a, b := addr4(192, 0, 2, 1), addr4(192, 0, 2, 2)
	l, now := newTestLimiter(Limits{DatagramRatePerSource: 2, DatagramRate: 3})
	for i, c := range []struct {
		a    netip.Addr
		want Reason
	}{{a, OK}, {a, OK}, {a, OverSourceDatagramRate}, {b, OK}, {b, OverDatagramRate}} {
		if got := l.Datagram(c.a); got != c.want {
			t.Fatalf("datagram %d: %v, want %v", i, got, c.want)
		}
	}
	*now += int64(time.Second)
	if got := l.Datagram(a); got != OK {
		t.Fatal(got)
	}
}

func TestShadowCountsAndRefusesNothing(t *testing.T) {
	l, _ := newTestLimiter(Limits{MaxPerSource: 1, Shadow: true})
	a := addr4(192, 0, 2, 1)
	for i, want := range []Reason{OK, OverSource, OverSource} {
		if got := l.Enter(a); got != want {
			t.Fatalf("%d: %v", i, got)
		}
	}
	for range 3 {
		l.Leave(a)
	}
	if l.Stats().Conns != 0 || l.Enter(a) != OK {
		t.Fatal(l.Stats())
	}
}

// 100,000 connections of random sources come and go: nothing is left, and what
// is remembered is bounded.
func TestNothingLeftCounted(t *testing.T) {
	cfg := Limits{MaxPerSource: 5, MaxPerPrefix: 12, RatePerSource: 50, Sources: 320}
	l, now := newTestLimiter(cfg)
	rng := rand.New(rand.NewPCG(3, 4))
	perSource, perPrefix := map[prefix]int{}, map[prefix]int{}
	var open []netip.Addr
	for range 100_000 {
		*now += int64(rng.IntN(1000)) * 1000
		if len(open) > 300 || len(open) > 0 && rng.IntN(2) == 0 {
			i := rng.IntN(len(open))
			source, wide := tiers(open[i])
			perSource[source]--
			perPrefix[wide]--
			l.Leave(open[i])
			open[i] = open[len(open)-1]
			open = open[:len(open)-1]
			continue
		}
		a := addr4(10, rng.IntN(4), rng.IntN(200), rng.IntN(4))
		source, wide := tiers(a)
		if l.Enter(a) != OK {
			continue
		}
		open = append(open, a)
		perSource[source]++
		perPrefix[wide]++
		if perSource[source] > 5 || perPrefix[wide] > 12 {
			t.Fatalf("%v: %d, its network %d", a, perSource[source], perPrefix[wide])
		}
		if st := l.Stats(); st.Conns != len(open) || st.Sources > cfg.Sources+2*len(open)+shards {
			t.Fatalf("%+v with %d open", st, len(open))
		}
	}
	for _, a := range open {
		l.Leave(a)
	}
	for i := range l.table.shards {
		for _, e := range l.table.shards[i].m {
			if e.conns != 0 {
				t.Fatalf("%v: %d", e.key.Prefix(), e.conns)
			}
		}
	}
	if st := l.Stats(); st.Conns != 0 || st.Sources > cfg.Sources {
		t.Fatalf("%+v", st)
	}
}

func TestPenaltyBox(t *testing.T) {
	exempt := addr4(198, 51, 100, 7)
	l, now := newTestLimiter(Limits{Penalty: Penalty{Threshold: 10, Exempt: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}})
	a, neighbour := addr4(192, 0, 2, 1), addr4(192, 0, 2, 200)
	sec := int64(time.Second)
	box := func(a netip.Addr) {
		for range 11 {
			l.Punish(a, 1)
		}
	}
	for range 100 { // slowly: forgotten
		if _, boxed := l.Punish(a, 4); boxed {
			t.Fatal("boxed for 4 points a minute")
		}
		*now += 60 * sec
	}
	*now += 600 * sec
	for want := int64(60); want <= 3600; want *= 2 { // each time twice as long
		box(a)
		if got := l.Enter(a); got != Penalised {
			t.Fatal(got)
		}
		*now += want*sec - sec
		if got := l.Enter(a); got != Penalised {
			t.Fatalf("out before %d s", want)
		}
		*now += 2 * sec
		if got := l.Enter(a); got != OK {
			t.Fatalf("%v after %d s", got, want)
		}
	}
	if got := l.Enter(neighbour); got != OK {
		t.Fatalf("the neighbour: %v", got)
	}
	box(exempt)
	if got := l.Enter(exempt); got != OK {
		t.Fatalf("the exempt: %v", got)
	}
	for i := range prefixSources {
		box(addr4(203, 0, 113, i+1))
	}
	if got := l.Enter(addr4(203, 0, 113, 99)); got != Penalised {
		t.Fatalf("the ninth of a bad network: %v", got)
	}
	if n := len(l.List()); n != prefixSources+1 {
		t.Fatalf("%d in the box: %v", n, l.List())
	}
	if n := l.Lift(netip.MustParsePrefix("203.0.113.0/24")); n != prefixSources+1 || len(l.List()) != 0 {
		t.Fatalf("lifted %d", n)
	}
	if got := l.Enter(addr4(203, 0, 113, 1)); got != OK {
		t.Fatal(got)
	}
}

func TestRefusalsAllocateNothing(t *testing.T) {
	l, _ := newTestLimiter(Limits{MaxPerSource: 1, Penalty: Penalty{Threshold: 1}})
	a, b := addr4(192, 0, 2, 1), addr4(192, 0, 9, 1)
	l.Enter(a)
	l.Punish(b, 5)
	if n := testing.AllocsPerRun(1000, func() {
		if l.Enter(a) != OverSource || l.Enter(b) != Penalised {
			t.Fatal("not refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEnterLeave(b *testing.B) {
	l := NewLimiter(Limits{MaxPerSource: 1000, MaxPerPrefix: 1000})
	b.ReportAllocs()
	for i := range b.N {
		a := addr4(10, i&3, i>>2&255, i>>10&255)
		if l.Enter(a) != OK {
			b.Fatal("refused")
		}
		l.Leave(a)
	}
}

func BenchmarkTurn(b *testing.B) {
	q := NewQueue(QueueConfig{})
	b.ReportAllocs()
	for range b.N {
		turn(q, &starter{})
	}
}

type starter struct{}

func (*starter) Start()    {}
func (*starter) Cut(error) {}
