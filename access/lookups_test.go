package access

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A fakeResolver answers names from a map. A call takes the time that delay
// says, or until its context ends.
type fakeResolver struct {
	names map[string][]string
	addrs map[string][]netip.Addr
	delay func(ip netip.Addr) time.Duration

	calls   atomic.Int64
	mu      sync.Mutex
	running map[netip.Prefix]int
	now     int
	most    int // calls at once
	mostPer int // calls at once for one network
}

func (r *fakeResolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	r.calls.Add(1)
	ip := netip.MustParseAddr(addr)
	r.count(sourceOf(ip), 1)
	defer r.count(sourceOf(ip), -1)
	if r.delay != nil {
		select {
		case <-time.After(r.delay(ip)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if names := r.names[addr]; names != nil {
		return names, nil
	}
	return nil, errors.New("no such name")
}

func (r *fakeResolver) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	if network != "ip" || strings.Contains(host, ".") && !strings.HasSuffix(host, ".") {
		return nil, fmt.Errorf("asked for %s of %s", network, host)
	}
	if a := r.addrs[host]; a != nil {
		return a, nil
	}
	return nil, errors.New("no such host")
}

func (r *fakeResolver) count(p netip.Prefix, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running == nil {
		r.running = make(map[netip.Prefix]int)
	}
	r.running[p] += n
	r.now += n
	r.most, r.mostPer = max(r.most, r.now), max(r.mostPer, r.running[p])
}

func ip4(a, b, c, d int) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(a), byte(b), byte(c), byte(d)})
}

func after(d time.Duration) func(netip.Addr) time.Duration {
	return func(netip.Addr) time.Duration { return d }
}

func TestFindNames(t *testing.T) {
	r := &fakeResolver{
		names: map[string][]string{
			"10.0.0.1": {"a.example."}, "10.0.0.2": {"10.0.0.9.", "bad name.", "b.example."}, "10.0.0.3": {"::1"}, "10.0.0.4": {"gone.example."},
		},
		addrs: map[string][]netip.Addr{"a.example.": {netip.MustParseAddr("::ffff:10.0.0.1"), netip.MustParseAddr("fe80::1%eth0")}},
	}
	l := &Lookups{Resolver: r}
	find := func(s string, double bool) Names { return l.Find(t.Context(), netip.MustParseAddr(s), double) }
	if n := find("10.0.0.1", false); n.Host != "a.example" || n.Addrs != nil || n.Err != nil {
		t.Errorf("%+v", n)
	}
	n := find("::ffff:10.0.0.1", true)
	if n.Host != "a.example" || !slices.Equal(n.Addrs, []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fe80::1")}) {
		t.Errorf("%+v", n)
	}
	if n := find("10.0.0.2", false); n.Host != "b.example" {
		t.Errorf("%+v", n)
	}
	if n := find("10.0.0.3", false); n.Host != "" || n.Err != ErrNoName {
		t.Errorf("%+v", n)
	}
	if n := find("10.0.0.4", true); n.Host != "gone.example" || n.Addrs != nil || n.Err == nil {
		t.Errorf("%+v", n)
	}
	if n := find("10.0.0.5", true); n.Host != "" || n.Err == nil {
		t.Errorf("%+v", n)
	}
	if n := l.Find(t.Context(), netip.Addr{}, true); n.Host != "" || n.Err != ErrNoName {
		t.Errorf("%+v", n)
	}
	l.settled(t)
}

// settled checks that nothing is left behind.
func (l *Lookups) settled(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.flights) != 0 || l.turns.running != 0 || l.turns.slowRunning != 0 || len(l.turns.sources) != 0 {
		t.Errorf("left behind: %d flights, %d running, %d slow, %d sources",
			len(l.flights), l.turns.running, l.turns.slowRunning, len(l.turns.sources))
	}
	for i := range l.turns.ready {
		if n := l.turns.ready[i].Len(); n != 0 {
			t.Errorf("%d sources wait with %d running", n, i)
		}
	}
}

// TestLocalhost asks the system, as far as it can be relied on.
func TestLocalhost(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	names, err := net.DefaultResolver.LookupAddr(ctx, "127.0.0.1")
	if err != nil || names[0] != "localhost" {
		t.Skipf("127.0.0.1 is %v here (%v)", names, err)
	}
	p := compile(t, Rules{DoubleReverseLookups: Texts("debug")})
	peer, v := p.Check(ctx, new(Lookups), ipPeer("127.0.0.1"))
	if !v.Allowed || peer.Host != "localhost" {
		t.Errorf("%+v %+v", peer, v)
	}
}

func TestManyAddrsOfOneName(t *testing.T) {
	own := ip4(10, 0, 0, 1)
	var many []netip.Addr
	for i := range 1000 {
		many = append(many, ip4(11, 0, i>>8, i&255))
	}
	if got := keepAddrs(many, own); len(got) != maxAddrs || slices.Contains(got, own) {
		t.Errorf("%d addresses", len(got))
	}
	if got := keepAddrs(append(many, own), own); len(got) != maxAddrs || !slices.Contains(got, own) {
		t.Errorf("%d addresses, without the client's own", len(got))
	}
}

func TestCacheAndExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeResolver{names: map[string][]string{"10.0.0.1": {"a.example."}}}
		l := &Lookups{Resolver: r}
		find := func(ip netip.Addr, calls int64) {
			t.Helper()
			l.Find(t.Context(), ip, false)
			if r.calls.Load() != calls {
				t.Errorf("%v at %v: %d calls, want %d", ip, time.Now(), r.calls.Load(), calls)
			}
		}
		find(ip4(10, 0, 0, 1), 1)
		find(ip4(10, 0, 0, 1), 1)
		find(ip4(10, 0, 0, 2), 2) // has none
		find(ip4(10, 0, 0, 2), 2)
		time.Sleep(31 * time.Second)
		find(ip4(10, 0, 0, 1), 2)
		find(ip4(10, 0, 0, 2), 3)
		time.Sleep(5 * time.Minute)
		find(ip4(10, 0, 0, 1), 4)

		off := &Lookups{Resolver: r, Config: LookupConfig{TTL: -1, FailTTL: -1}}
		off.Find(t.Context(), ip4(10, 0, 0, 1), false)
		off.Find(t.Context(), ip4(10, 0, 0, 1), false)
		if r.calls.Load() != 6 {
			t.Error("a negative TTL keeps results")
		}
	})
}

func TestCacheIsBounded(t *testing.T) {
	r := &fakeResolver{}
	l := &Lookups{Resolver: r, Config: LookupConfig{CacheSize: 100}}
	for i := range 1000 {
		l.Find(t.Context(), ip4(10, 1, i>>8, i&255), false)
		l.Find(t.Context(), ip4(10, 0, 0, 0), false) // used all the time, so it stays
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.cache.results.entries); n != 100 || l.cache.results.order.Len() != n {
		t.Errorf("%d results are kept", n)
	}
	if n := r.calls.Load(); n != 1001 {
		t.Errorf("%d calls: what is used all the time was forgotten", n)
	}
}

func TestOneLookupForManyClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeResolver{names: map[string][]string{"10.0.0.1": {"a.example."}}, delay: after(time.Second)}
		l := &Lookups{Resolver: r}
		var found atomic.Int64
		for range 100 {
			go func() {
				if l.Find(t.Context(), ip4(10, 0, 0, 1), false).Host == "a.example" {
					found.Add(1)
				}
			}()
		}
		time.Sleep(2 * time.Second)
		if r.calls.Load() != 1 || found.Load() != 100 {
			t.Errorf("%d calls, %d answers", r.calls.Load(), found.Load())
		}
		l.settled(t)
	})
}

func TestLookupTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeResolver{delay: after(time.Hour)}
		l := &Lookups{Resolver: r, Config: LookupConfig{Timeout: 3 * time.Second}}
		begin := time.Now()
		n := l.Find(t.Context(), ip4(10, 0, 0, 1), false)
		if d := time.Since(begin); d != 3*time.Second || n.Host != "" || n.Err == nil {
			t.Errorf("after %v: %+v", d, n)
		}
		// Who comes back does not wait again.
		begin = time.Now()
		if n := l.Find(t.Context(), ip4(10, 0, 0, 1), false); n.Err == nil || time.Since(begin) != 0 {
			t.Errorf("after %v: %+v", time.Since(begin), n)
		}
		synctest.Wait()
		l.settled(t)
	})
}

func TestClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeResolver{delay: after(time.Hour)}
		l := &Lookups{Resolver: r, Config: LookupConfig{MaxRunning: 8}}
		for i := range 50 { // most of them wait for a turn
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+i%7)*100*time.Millisecond)
			go func() {
				defer cancel()
				if n := l.Find(ctx, ip4(10, 0, i, 1), false); !errors.Is(n.Err, context.DeadlineExceeded) {
					t.Errorf("%+v", n)
				}
			}()
		}
		time.Sleep(time.Second)
		l.settled(t)
		if len(l.cache.results.entries) != 0 {
			t.Error("what nobody waited for is kept")
		}
		// One of two leaves; the other gets its answer.
		r.delay, r.names = after(time.Second), map[string][]string{"10.9.9.9": {"a.example."}}
		ctx, cancel := context.WithCancel(t.Context())
		go l.Find(ctx, ip4(10, 9, 9, 9), false)
		synctest.Wait()
		go func() { time.Sleep(time.Millisecond); cancel() }()
		if n := l.Find(t.Context(), ip4(10, 9, 9, 9), false); n.Host != "a.example" {
			t.Errorf("%+v", n)
		}
		if n := l.Find(ctx, ip4(10, 9, 9, 8), false); !errors.Is(n.Err, context.Canceled) {
			t.Errorf("%+v", n)
		}
		l.settled(t)
	})
}

func TestLookupsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeResolver{delay: after(100 * time.Millisecond)}
		l := &Lookups{Resolver: r, Config: LookupConfig{MaxRunning: 16, Timeout: time.Minute}}
		for i := range 2000 {
			go l.Find(t.Context(), ip4(10, 0, i%4, i/4%256), i%2 == 0)
		}
		time.Sleep(2 * time.Minute)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.most > 16 || r.mostPer > 2 {
			t.Errorf("%d look-ups at once, %d for one network", r.most, r.mostPer)
		}
		l.settled(t)
	})
}

// TestStalledNameServersKeepNobodyOut floods with clients whose name servers
// never answer: of one network, and of 500.
func TestStalledNameServersKeepNobodyOut(t *testing.T) {
	for _, networks := range []int{1, 500} {
		t.Run(fmt.Sprint(networks), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &fakeResolver{
					names: map[string][]string{},
					delay: func(ip netip.Addr) time.Duration {
						if ip.As4()[0] == 10 {
							return time.Hour
						}
						return 20 * time.Millisecond
					},
				}
				l := &Lookups{Resolver: r}
				ctx, cancel := context.WithCancel(t.Context())
				r.names["20.0.0.2"] = []string{"first.example."}
				for i := range 200 {
					r.names[ip4(20, 0, i, 1).String()] = []string{"honest.example."}
				}
				defer time.Sleep(time.Minute) // until all have ended
				defer cancel()
				for i := range 2000 {
					go func() {
						n := i % networks
						for ctx.Err() == nil { // each time another address
							l.Find(ctx, ip4(10, n>>8, n&255, int(r.calls.Load())&255), false)
							time.Sleep(time.Millisecond)
						}
					}()
				}
				time.Sleep(time.Millisecond)
				// Nothing is known of the flood yet.
				begin := time.Now()
				if n := l.Find(ctx, ip4(20, 0, 0, 2), false); n.Host == "" {
					t.Errorf("the first client has no name: %v", n.Err)
				}
				t.Logf("the first client waited %v", time.Since(begin))
				time.Sleep(7 * time.Second)
				var worst time.Duration
				for i := range 200 {
					ip := ip4(20, 0, i, 1)
					begin := time.Now()
					if n := l.Find(ctx, ip, false); n.Host == "" {
						t.Fatalf("client %d has no name: %v", i, n.Err)
					}
					worst = max(worst, time.Since(begin))
				}
				t.Logf("the longest wait was %v", worst)
				if worst > 40*time.Millisecond {
					t.Errorf("an honest client waited %v", worst)
				}
			})
		})
	}
}

func TestCheckLooksUpOnlyWhereNeeded(t *testing.T) {
	r := &fakeResolver{names: map[string][]string{"10.0.0.1": {"a.example."}, "10.0.0.2": {"b.example."}}}
	l := &Lookups{Resolver: r}
	check := func(rules Rules, peer Peer, allowed bool, host string, calls int64) {
		t.Helper()
		before := r.calls.Load()
		got, v := compile(t, rules).Check(t.Context(), l, peer)
		if v.Allowed != allowed || !v.Final || got.Host != host || r.calls.Load()-before != calls {
			t.Errorf("%v: %+v, host %q, %d calls", peer, v, got.Host, r.calls.Load()-before)
		}
	}
	check(Rules{}, ipPeer("10.0.0.1"), true, "", 0)
	check(Rules{CIDRDeny: Texts("10.0.0.0/8"), ReverseLookups: Texts("1")}, ipPeer("10.0.0.1"), false, "", 0)
	check(Rules{ReverseLookups: Texts("1")}, ipPeer("10.0.0.1"), true, "a.example", 1) // wanted for the handler
	check(Rules{ReverseLookups: Texts("1")}, Peer{Unix: true}, true, "", 0)
	check(Rules{ReverseLookups: Texts("1"), Deny: Texts("b.*"), CIDRAllow: Texts("10.0.0.0/8")}, ipPeer("10.0.0.2"), false, "b.example", 1)
}

func TestTurnsInOrder(t *testing.T) {
	ts := turns{max: 16}
	add := func(d int, v speed) *flight {
		f := &flight{source: sourceOf(ip4(10, 0, d, 1))}
		ts.add(f, v)
		return f
	}
	slow1, unknown1, unknown2, quick1, unknown1b, quick1b := add(1, slow), add(2, unknown), add(3, unknown), add(4, quick), add(2, unknown), add(4, quick)
	slow1b, slow2 := add(1, slow), add(5, slow)
	for i, want := range []*flight{quick1, unknown1, unknown2, quick1b, unknown1b, slow1, slow2, nil} {
		if got := ts.next(); got != want {
			t.Fatalf("turn %d goes to %+v", i, got)
		}
	}
	// A slow network has its next turn when the one before is done.
	ts.done(slow1, slow)
	if got := ts.next(); got != slow1b {
		t.Errorf("%+v", got)
	}
	if ts.slowRunning != 2 || ts.running != 7 {
		t.Errorf("%d of %d are slow", ts.slowRunning, ts.running)
	}
	if ts.late(quick1); ts.slowRunning != 4 { // with quick1b, of the same network
		t.Errorf("%d are slow", ts.slowRunning)
	}
}

// Slow look-ups may hold half of the places; the one that would make them more
// is too many.
func TestHalfOfThePlacesAreForSlowOnes(t *testing.T) {
	ts := turns{max: 4}
	var fs []*flight
	for d := range 4 {
		f := &flight{source: sourceOf(ip4(10, 0, d, 1))}
		ts.add(f, unknown)
		fs = append(fs, f)
	}
	for range fs {
		ts.next()
	}
	for i, want := range []bool{false, false, true, true} {
		if got := ts.late(fs[i]); got != want {
			t.Errorf("slow one %d: too many is %v", i+1, got)
		}
	}
}
