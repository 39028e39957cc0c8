package admit

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

const (
	us = time.Microsecond
	ms = time.Millisecond
)

var (
	attacker = netip.MustParseAddr("192.0.2.2")
	honest   = netip.MustParseAddr("203.0.113.3")
)

func addr4(a, b, c, d int) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(a), byte(b), byte(c), byte(d)})
}

// A flood from one source must not be felt: the honest client waits no longer
// than the handshakes that one source may have running.
func TestFloodFromOneSource(t *testing.T) {
	for _, rtt := range []time.Duration{100 * us, 3 * ms, 50 * ms} {
		t.Run(rtt.String(), func(t *testing.T) {
			s := newSim(t, 2, QueueConfig{})
			stop := s.keep(attacker, 256, rtt, 400*us, 60*us)
			s.run(time.Second, nil) // alone at first
			next := s.now
			s.run(10*time.Second, func() {
				if s.now >= next {
					s.add(honest, 200*us, 400*us, 60*us)
					next += int64(50 * ms)
				}
			})
			stop()
			s.drain()
			d := s.delays[honest]
			// The first finds what the source had running while it was alone.
			if first, alone := time.Duration(d[0]), aloneFactor*460*us; first > alone {
				t.Errorf("the first honest client waited %v, more than %v", first, alone)
			}
			if most := percentile(d[1:], 1); most > 2*460*us {
				t.Errorf("an honest client waited %v", most)
			}
		})
	}
}

// A source that is alone has all the CPU, however long its round trips are.
func TestAloneIsUnlimited(t *testing.T) {
	for _, rtt := range []time.Duration{100 * us, 20 * ms, 200 * ms} {
		s := newSim(t, 2, QueueConfig{})
		stop := s.keep(attacker, 2000, rtt, 400*us, 60*us)
		s.run(time.Second, nil)
		s.took[attacker] = 0
		s.run(2*time.Second, nil)
		if used := float64(s.took[attacker]) / float64(2*2*time.Second); used < 0.97 {
			t.Errorf("round trip %v: %.2f of the processors were used", rtt, used)
		}
		stop()
		s.drain()
	}
}

// Turns are counted in CPU, not in handshakes.
func TestSharesOfCPU(t *testing.T) {
	s := newSim(t, 2, QueueConfig{})
	stop1 := s.keep(attacker, 300, 100*us, 1600*us, 60*us)
	stop2 := s.keep(honest, 10, 100*us, 200*us, 60*us)
	s.run(5*time.Second, nil)
	if r := float64(s.took[honest]) / float64(s.took[attacker]); r < 0.7 || r > 1.4 {
		t.Errorf("shares are %.2f to 1", r)
	}
	stop1()
	stop2()
	s.drain()
}

// Many addresses of one network are one party beside another network.
func TestManyAddressesOfOneNetwork(t *testing.T) {
	for name, addr := range map[string]func(i int) netip.Addr{
		"one /24":            func(i int) netip.Addr { return addr4(192, 0, 2, i%250) },
		"two /24 of one /16": func(i int) netip.Addr { return addr4(192, 0, i%2, i/2) },
		"one /64": func(i int) netip.Addr {
			return netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1))
		},
		"one /48": func(i int) netip.Addr {
			return netip.MustParseAddr(fmt.Sprintf("2001:db8:1:%x::1", i+1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, 2, QueueConfig{})
			stops := []func(){s.keep(honest, 20, 100*us, 400*us, 60*us)}
			var others int64
			for i := range 500 {
				stops = append(stops, s.keep(addr(i), 2, 100*us, 400*us, 60*us))
			}
			s.run(5*time.Second, nil)
			for a, d := range s.took {
				if a != honest {
					others += d
				}
			}
			if share := float64(s.took[honest]) / float64(s.took[honest]+others); share < 0.4 {
				t.Errorf("the neighbour got %.2f of the CPU", share)
			}
			for _, stop := range stops {
				stop()
			}
			s.drain()
		})
	}
}

// Two sources have the turns of two, in one network as in different ones.
func TestTurnsOfTwo(t *testing.T) {
	for name, a := range map[string][2]netip.Addr{
		"one /24":           {addr4(192, 0, 2, 1), addr4(192, 0, 2, 2)},
		"one /16":           {addr4(192, 0, 2, 1), addr4(192, 0, 3, 1)},
		"nothing in common": {addr4(192, 0, 2, 1), addr4(198, 51, 100, 1)},
	} {
		q := NewQueue(QueueConfig{Procs: 4})
		var tickets []*Ticket
		for i := range 40 {
			k := q.Add(a[i%2], &starter{}, time.Minute)
			k.Submit()
			tickets = append(tickets, k)
		}
		q.mu.Lock()
		if q.root.running != rootFactor*4 {
			t.Errorf("%s: %d handshakes run, want %d", name, q.root.running, rootFactor*4)
		}
		q.mu.Unlock()
		for _, k := range tickets {
			k.Done()
		}
	}
}

// Among any number of saturating sources each gets its share, and one that
// wants less than its share waits for no more than one round of turns.
func TestNoneWaitsMoreThanItsShare(t *testing.T) {
	const sources = 40
	s := newSim(t, 2, QueueConfig{})
	var stops []func()
	for i := range sources {
		stops = append(stops, s.keep(addr4(10, i, 0, 1), 1+i*3, time.Duration(i%7)*ms, 400*us, 60*us))
	}
	next := s.now
	s.run(20*time.Second, func() {
		if s.now >= next { // half of its share
			s.add(honest, 200*us, 400*us, 60*us)
			next += int64(2*sources*460*us) / 2
		}
	})
	round := time.Duration((sources + aloneFactor*2) * 460 / 2 * int(us))
	if most := percentile(s.delays[honest], 1); most > round {
		t.Errorf("a source within its share waited %v; a round is %v", most, round)
	}
	for i := 5; i < sources; i++ { // those that can use it
		a := addr4(10, i, 0, 1)
		if share := float64(s.took[a]) * sources / float64(40*time.Second); share < 0.7 || share > 1.3 {
			t.Errorf("source %d got %.2f of its share", i, share)
		}
	}
	for _, stop := range stops {
		stop()
	}
	s.drain()
}

// Over the limit the oldest of the greediest goes, never the newcomer, and
// never one of a modest source.
func TestGreediestIsShed(t *testing.T) {
	s := newSim(t, 2, QueueConfig{Max: 100})
	var greedy []*task
	modest := s.add(honest, time.Hour, 100*us, 100*us)
	s.run(10*ms, nil)
	for i := range 250 {
		k := s.add(addr4(192, 0, 2, i%3), time.Hour, 100*us, 100*us)
		greedy = append(greedy, k)
		s.run(ms, nil)
		if k.cut != nil || k.t.Err() != nil {
			t.Fatalf("newcomer %d was cut", i)
		}
		if n := s.q.Stats().Unfinished; n > 100 {
			t.Fatalf("%d unfinished", n)
		}
	}
	if modest.cut != nil {
		t.Error("the modest source's was cut")
	}
	for i, k := range greedy {
		if old := i < 250-99; (k.cut != nil) != old {
			t.Fatalf("handshake %d: cut %v", i, k.cut)
		}
		if k.cut != nil && !errors.Is(k.cut, ErrShed) {
			t.Fatal(k.cut)
		}
	}
	for _, k := range append(greedy, modest) {
		k.cut = ErrShed
	}
	s.drain()
}

func TestMaxPerSource(t *testing.T) {
	s := newSim(t, 2, QueueConfig{MaxPerSource: 5})
	var ks []*task
	for i := range 9 { // one /64 is one source
		ks = append(ks, s.add(netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i)), time.Hour, 100*us, 100*us))
		s.run(ms, nil)
	}
	other := s.add(netip.MustParseAddr("2001:db8:0:1::1"), time.Hour, 100*us, 100*us)
	cut := 0
	for _, k := range ks {
		if k.cut != nil || k.t.Err() != nil {
			cut++
		}
	}
	if cut != 4 || other.t.Err() != nil || ks[8].t.Err() != nil {
		t.Errorf("cut %d, other %v, last %v", cut, other.cut, ks[8].cut)
	}
	for _, k := range append(ks, other) {
		k.cut = ErrShed
	}
	s.drain()
}

// A handshake that gets no turn within the limit ends.
func TestTimeoutInQueue(t *testing.T) {
	s := newSim(t, 2, QueueConfig{})
	s.timeout = 100 * ms
	var ks []*task
	for range 2000 {
		ks = append(ks, s.add(attacker, 0, 400*us))
	}
	s.run(110*ms, nil)
	timedOut := 0
	for _, k := range ks {
		if err := k.t.Err(); err != nil {
			if err != ErrTimeout {
				t.Fatal(err)
			}
			timedOut++
		}
	}
	if done := 2000 - timedOut; done < 400 || done > 600 {
		t.Errorf("%d began in time", done)
	}
	s.drain()
}

// Whatever happens in whatever order, every handshake is started once for each
// time it was submitted, and nothing is left counted.
func TestRandomLives(t *testing.T) {
	for seed := range uint64(30) {
		first, second := randomLives(t, seed), randomLives(t, seed)
		if !slices.Equal(first, second) {
			t.Fatalf("seed %d: two runs differ", seed)
		}
	}
}

func randomLives(t *testing.T, seed uint64) []int64 {
	s := newSim(t, 1+int(seed%4), QueueConfig{Max: 60, MaxPerSource: 30})
	s.timeout = 300 * ms
	s.rng.Uint64()
	for range seed {
		s.rng.Uint64()
	}
	var live []*task
	for range 3000 {
		switch r := s.rng.IntN(100); {
		case r < 30:
			a := addr4(10, s.rng.IntN(2), s.rng.IntN(3), s.rng.IntN(3))
			k := s.add(a, time.Duration(s.rng.IntN(20))*ms, time.Duration(1+s.rng.IntN(800))*us, time.Duration(1+s.rng.IntN(300))*us)
			live = append(live, k)
		case r < 33 && len(live) > 0: // its connection is closed
			k := live[s.rng.IntN(len(live))]
			k.cut = errors.New("closed")
			k.t.Abort()
		case r < 34:
			s.q.Shed(nil)
		case r < 36:
			s.run(time.Duration(s.rng.IntN(3000))*ms/10, nil)
		default:
			s.run(time.Duration(s.rng.IntN(500))*us, nil)
		}
		checkTree(t, s.q)
	}
	s.drain()
	for _, k := range live {
		if k.starts != k.submits || !k.isDone {
			t.Fatalf("submitted %d times, started %d times, done %v", k.submits, k.starts, k.isDone)
		}
	}
	return s.trace
}

// checkTree compares what every node says with what is below it.
func checkTree(t *testing.T, q *Queue) {
	t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	var walk func(n *node) (running, waiting, unfinished, leaves int)
	walk = func(n *node) (r, w, u, l int) {
		if n.kids == 0 && n != q.root {
			for k := n.queue.head; k != nil; k = k.link[inTurn].next {
				w++
			}
			for k := n.all.head; k != nil; k = k.link[inLeaf].next {
				u++
			}
			for k := q.running.head; k != nil; k = k.link[inTurn].next {
				if k.leaf == n {
					r++
				}
			}
			l = 1
		}
		for k := n.first; k != nil; k = k.next {
			r1, w1, u1, l1 := walk(k)
			r, w, u, l = r+r1, w+w1, u+u1, l+l1
			if q.wants(k) && k.at[byTurn] == 0 {
				t.Fatalf("%v wants a turn and is not among them", k.key.Prefix())
			}
		}
		if r != n.running || w != n.waiting || u != n.unfinished {
			t.Fatalf("%v: running %d, waiting %d, unfinished %d; below it %d, %d, %d",
				n.key.Prefix(), n.running, n.waiting, n.unfinished, r, w, u)
		}
		return
	}
	if _, _, _, l := walk(q.root); l != q.leaves {
		t.Fatalf("%d leaves, not %d", l, q.leaves)
	}
}
