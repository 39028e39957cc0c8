package admit

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// someAddr returns one of a few addresses of several networks, or none.
func someAddr(rng *rand.Rand) netip.Addr {
	switch rng.IntN(10) {
	case 0:
		return netip.Addr{}
	case 1, 2, 3:
		return netip.MustParseAddr("2001:db8::1")
	case 4:
		b := netip.MustParseAddr("2001:db8::").As16()
		b[5], b[7], b[15] = byte(rng.IntN(2)), byte(rng.IntN(4)), byte(rng.IntN(4))
		return netip.AddrFrom16(b)
	}
	return addr4(10, 0, rng.IntN(3), rng.IntN(5))
}

// A model of a Limiter's counts: plain maps.
type model struct {
	open   []netip.Addr
	source map[prefix]int
	wide   map[prefix]int
}

func (m *model) count(a netip.Addr, n int) {
	if a.IsValid() {
		s, w := tiers(a)
		m.source[s] += n
		m.wide[w] += n
	}
}

// Whatever comes in whatever order: what the Limiter counts is what is open,
// no limit is passed and none sticks, and at the end nothing is left.
func TestLimiterAgainstModel(t *testing.T) {
	for seed := range uint64(15) {
		rng := rand.New(rand.NewPCG(seed, 7))
		cfg := Limits{
			MaxPerSource: rng.IntN(6), MaxPerPrefix: rng.IntN(10), RatePerSource: float64(rng.IntN(3) * 20), Rate: float64(rng.IntN(2) * 500),
			DatagramRatePerPrefix: float64(rng.IntN(2) * 30), MaxMemory: 4000, Sources: 64, Shadow: seed%5 == 4,
			Penalty: Penalty{Threshold: float64(rng.IntN(2) * 20), Time: time.Second, Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.2.0/24")}},
		}
		l, now := newTestLimiter(cfg)
		m := model{source: map[prefix]int{}, wide: map[prefix]int{}}
		for range 6000 {
			*now += int64(rng.IntN(int(20 * time.Millisecond)))
			step(t, l, &m, rng, cfg)
			check(t, l, &m, cfg)
		}
		for _, a := range m.open {
			l.Leave(a)
			l.Reserve(-10)
			m.count(a, -1)
		}
		m.open = nil
		check(t, l, &m, cfg)
		if st := l.Stats(); st.Conns != 0 || st.Open != 0 || st.Memory != 0 {
			t.Fatalf("seed %d: with nothing open: %+v", seed, st)
		}
		*now += int64(5 * time.Hour)
		for range 100 { // nothing sticks
			a := someAddr(rng)
			if why := l.Enter(a); why != OK {
				t.Fatalf("seed %d: %v is refused when nobody is there: %v", seed, a, why)
			}
			l.Leave(a)
			*now += int64(time.Second)
		}
	}
}

// step does one thing to l and m.
func step(t *testing.T, l *Limiter, m *model, rng *rand.Rand, cfg Limits) {
	t.Helper()
	a := someAddr(rng)
	i := 0
	if len(m.open) > 0 {
		i = rng.IntN(len(m.open))
	}
	switch op := rng.IntN(20); {
	case op < 8:
		s, w := tiers(a)
		full := a.IsValid() && (cfg.MaxPerSource > 0 && m.source[s] >= cfg.MaxPerSource || cfg.MaxPerPrefix > 0 && m.wide[w] >= cfg.MaxPerPrefix)
		why := l.Enter(a)
		if full && why == OK {
			t.Fatalf("%v came in over a limit", a)
		}
		if why == OK || cfg.Shadow {
			l.Reserve(10)
			m.open = append(m.open, a)
			m.count(a, 1)
		}
	case op < 14 && len(m.open) > 0:
		l.Leave(m.open[i])
		l.Reserve(-10)
		m.count(m.open[i], -1)
		m.open[i] = m.open[len(m.open)-1]
		m.open = m.open[:len(m.open)-1]
	case op < 17 && len(m.open) > 0:
		if why := l.Rename(m.open[i], a); why == OK || cfg.Shadow {
			m.count(m.open[i], -1)
			m.count(a, 1)
			m.open[i] = a
		}
	case op == 17:
		l.Datagram(a)
	case op == 18:
		l.Punish(a, float64(rng.IntN(5)))
	default:
		if a.IsValid() {
			l.Lift(netip.PrefixFrom(a, a.BitLen()))
		}
	}
}

func check(t *testing.T, l *Limiter, m *model, cfg Limits) {
	t.Helper()
	if st := l.Stats(); st.Conns != len(m.open) || st.Memory != int64(10*len(m.open)) {
		t.Fatalf("%+v with %d open", st, len(m.open))
	}
	entries, seen := 0, 0
	for i := range l.table.shards {
		for key, e := range l.table.shards[i].m {
			entries++
			want := m.source[key] + m.wide[key]
			if e.conns != want || e.conns < 0 || e.conns > 0 == e.listed {
				t.Fatalf("%v: %d open, want %d; listed %v", key.Prefix(), e.conns, want, e.listed)
			}
			if e.conns > 0 {
				seen++
			}
			if cfg.Penalty.exempt(key.addr()) && key.bits != wide6 && e.until > 0 {
				t.Fatalf("%v is exempt and in the box", key.Prefix())
			}
		}
	}
	open := 0
	for _, counts := range []map[prefix]int{m.source, m.wide} {
		for _, n := range counts {
			if n > 0 {
				open++
			}
		}
	}
	if seen != open || entries > cfg.Sources+2*shards+open {
		t.Fatalf("%d entries, %d of them open; want %d", entries, seen, open)
	}
}

// The same from many goroutines at once.
func TestLimiterConcurrently(t *testing.T) {
	l := NewLimiter(Limits{MaxPerSource: 4, MaxPerPrefix: 9, Rate: 1e6, RatePerSource: 1e5, DatagramRate: 1e5, Sources: 64, Penalty: Penalty{Threshold: 50, Time: time.Millisecond}})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 9))
			for range 10_000 {
				a, b := someAddr(rng), someAddr(rng)
				l.Datagram(a)
				l.Punish(b, 1)
				if l.Enter(a) != OK {
					continue
				}
				l.Reserve(6)
				if l.Rename(a, b) == OK {
					a = b
				}
				if rng.IntN(100) == 0 {
					l.Stats()
					l.List()
				}
				l.Reserve(-6)
				l.Leave(a)
			}
		})
	}
	wg.Wait()
	if st := l.Stats(); st.Conns != 0 || st.Open != 0 || st.Memory != 0 {
		t.Fatalf("%+v", st)
	}
}
