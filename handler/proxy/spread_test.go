package proxy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"netserver"
)

// poolOf is a Backend with n targets.
func poolOf(t testing.TB, balance Balance, n int) *Backend {
	b := &Backend{Balance: balance}
	for i := range n {
		b.Targets = append(b.Targets, Target{Address: fmt.Sprintf("10.0.%d.%d:80", i>>8, i&255)})
	}
	if err := b.init(); err != nil {
		t.Fatal(err)
	}
	return b
}

func clientAt(i int) request {
	key, ok := keyOf(&net.TCPAddr{IP: net.IPv4(10, byte(i>>16), byte(i>>8), byte(i)), Port: i})
	return request{key: key, keyed: ok}
}

// homes is the target of each of n clients.
func (b *Backend) homes(n int) []*endpoint {
	list := make([]*endpoint, n)
	for i := range list {
		list[i], _ = b.pick(clientAt(i))
	}
	return list
}

// A target that is down, drained, new or heavier moves its own clients and no
// others.
func TestRendezvous(t *testing.T) {
	const clients, targets = 20000, 10
	b := poolOf(t, Source, targets)
	before := b.homes(clients)
	counts := make(map[*endpoint]int)
	for _, ep := range before {
		counts[ep]++
	}
	for ep, n := range counts {
		if math.Abs(float64(n)-clients/targets) > clients/targets/5 {
			t.Errorf("%s has %d clients of %d", ep.name, n, clients)
		}
	}
	gone := b.order[3]
	gone.health.down = true
	for i, ep := range b.homes(clients) {
		switch {
		case before[i] != gone && ep != before[i]:
			t.Fatalf("client %d moved from %s to %s", i, before[i].name, ep.name)
		case ep == gone:
			t.Fatalf("client %d is at the target that is down", i)
		}
	}
	gone.health.down = false
	for i, ep := range b.homes(clients) {
		if ep != before[i] {
			t.Fatalf("client %d is not back at %s", i, before[i].name)
		}
	}
	heavy := b.order[5]
	heavy.weight = 3
	n := 0
	for i, ep := range b.homes(clients) {
		if ep == heavy {
			n++
		} else if ep != before[i] {
			t.Fatalf("client %d moved from %s to %s, which did not change", i, before[i].name, ep.name)
		}
	}
	if want := clients * 3 / 12; math.Abs(float64(n-want)) > float64(want)/8 {
		t.Errorf("the target with weight 3 of 12 has %d clients of %d", n, clients)
	}
}

// Another process puts clients on the same targets, whatever the order of the
// list.
func TestRendezvousElsewhere(t *testing.T) {
	one, two := poolOf(t, Source, 7), &Backend{Balance: Source}
	for i := range one.Targets {
		two.Targets = append(two.Targets, one.Targets[len(one.Targets)-1-i])
	}
	if err := two.init(); err != nil {
		t.Fatal(err)
	}
	x, y := one.homes(1000), two.homes(1000)
	for i := range x {
		if x[i].name != y[i].name {
			t.Fatalf("client %d is at %s here and at %s there", i, x[i].name, y[i].name)
		}
	}
}

func BenchmarkChoose(b *testing.B) {
	for _, balance := range []Balance{RoundRobin, Least, Source, Priority} {
		for _, n := range []int{3, 1000} {
			b.Run(fmt.Sprintf("%v/%d", balance, n), func(b *testing.B) {
				be := poolOf(b, balance, n)
				r := clientAt(7)
				b.ReportAllocs()
				for b.Loop() {
					if ep, _ := be.pick(r); ep == nil {
						b.Fatal("none")
					}
				}
			})
		}
	}
}

// Want of something here says nothing about a target.
func TestOurOwnFault(t *testing.T) {
	b := poolOf(t, RoundRobin, 2)
	for err, fails := range map[error]bool{
		syscall.EMFILE: false, syscall.ENFILE: false, syscall.ENOBUFS: false, syscall.ENOMEM: false, syscall.EADDRNOTAVAIL: false,
		syscall.ECONNREFUSED: true, syscall.ENETUNREACH: true, lateError("late"): true,
	} {
		ep := b.order[0]
		ep.health = health{}
		b.noteFailure(t.Context(), ep, ep.failedIn("", err))
		if ep.health.failing != fails {
			t.Errorf("%v: failing is %v", err, ep.health.failing)
		}
	}
	if ep := b.order[1]; !ep.isUp() {
		t.Error("the other one is not up")
	}
}

// Targets that keep failing are tried less and less often, and not for ever
// less.
func TestRetryDelays(t *testing.T) {
	b := poolOf(t, RoundRobin, 2)
	ep := b.order[0]
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30, 30} {
		b.failing(ep, "x")
		want *= time.Second
		if d := time.Until(ep.health.next); d < want*8/10 || d > want*12/10 {
			t.Errorf("failure %d: the next try is in %v, want about %v", i+1, d, want)
		}
	}
}

// A target whose checks begin to fail is checked four times as often, also when
// nothing else is due, and when a check takes longer than the time between two.
func TestChecksOfATargetThatMayBeDown(t *testing.T) {
	const every = 10 * time.Second
	for takes, most := range map[time.Duration]time.Duration{0: 2 * every, every * 3 / 2: 9 * every} {
		t.Run(takes.String(), func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			synctest.Test(t, func(t *testing.T) {
				var bad atomic.Bool
				b := &Backend{Targets: []Target{{Address: l.Addr().String()}}, Check: Check{Kind: CheckTLS, Interval: every, Timeout: 10 * every}}
				b.TLS = func(_ context.Context, nc net.Conn, _ Target, _ *netserver.Conn) (net.Conn, error) {
					time.Sleep(takes)
					if bad.Load() {
						return nil, errors.New("bad")
					}
					return nc, nil
				}
				ctx, stop := context.WithCancel(t.Context())
				var run sync.WaitGroup
				run.Go(func() { b.Run(ctx) })
				time.Sleep(3 * every)
				if s := b.List()[0]; s.State != "up" || s.Checked == "" {
					t.Fatalf("it is %s: %q", s.State, s.Checked)
				}
				bad.Store(true)
				begin := time.Now()
				for b.List()[0].State == "up" && time.Since(begin) < time.Hour {
					time.Sleep(every / 10)
				}
				if took := time.Since(begin); took > most {
					t.Errorf("it is down after %v, want at most %v", took, most)
				}
				stop()
				run.Wait()
			})
		})
	}
}
