package proxy_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
	"netserver/netservertest"
)

// Targets come, go, die and come back in every way at once while clients come:
// none hangs, and in the end no place is taken and nobody waits.
func TestChurn(t *testing.T) {
	var list []*named
	for i := range 6 {
		list = append(list, startNamed(t, fmt.Sprint(i), false))
	}
	_, p, _ := net.SplitHostPort(targetOf(list[5].l))
	dns := &fakeDNS{hosts: map[string][]netip.Addr{"n.example": addrs("127.0.0.1")}}
	path := filepath.Join(t.TempDir(), "targets")
	replaceFile(t, path, "#\n")
	targets := append(targetsOf(list[:3]...), proxy.Target{Address: "n.example:" + p, Max: 2})
	for i := range targets {
		targets[i].Max = 3
	}
	be := &proxy.Backend{
		Name: "x", Targets: targets, TargetsFile: path, Resolver: dns, Resolve: 10 * time.Millisecond,
		Check: parsed(t, "tcp"), Balance: proxy.Least, SlowStart: 50 * time.Millisecond, QueueTime: 100 * time.Millisecond, Queue: 10,
	}
	stop := running(t, be)
	f := frontOf(t, be)
	end := time.Now().Add(time.Second)
	var wg sync.WaitGroup
	var served, refused atomic.Int64
	for range 20 {
		wg.Go(func() {
			for time.Now().Before(end) {
				nc, err := net.Dial("tcp", f.addr.String())
				if err != nil {
					t.Error(err)
					return
				}
				nc.SetDeadline(time.Now().Add(patience))
				n, err := nc.Read(make([]byte, 1))
				var ne net.Error
				switch {
				case n == 1:
					served.Add(1)
				case errors.As(err, &ne) && ne.Timeout():
					t.Error("a client hangs")
				default:
					refused.Add(1)
				}
				nc.Close()
			}
		})
	}
	wg.Go(func() { churn(t, be, dns, path, list, end) })
	wg.Wait()
	stop()
	netservertest.Eventually(t, "no place is taken", func() bool {
		for _, s := range be.List() {
			if s.Clients != 0 {
				return false
			}
		}
		return proxy.Waiting(be) == 0
	})
	if served.Load() == 0 {
		t.Error("no client was served")
	}
	t.Logf("%d served, %d refused", served.Load(), refused.Load())
}

// churn changes be in ways by chance.
func churn(t *testing.T, be *proxy.Backend, dns *fakeDNS, path string, list []*named, end time.Time) {
	for time.Now().Before(end) {
		one := list[rand.N(len(list))]
		switch rand.N(7) {
		case 0:
			be.Drain(targetOf(one.l))
		case 1:
			be.Remove(targetOf(one.l))
		case 2, 3:
			be.Add(proxy.Target{Address: targetOf(one.l), Max: 2})
		case 4:
			text := "#\n"
			for _, n := range list[3:] {
				if rand.N(2) == 0 {
					text += targetOf(n.l) + " max=1\n"
				}
			}
			replaceFile(t, path, text)
		case 5:
			dns.set(func() {
				dns.hosts["n.example"] = addrs("127.0.0.1", fmt.Sprintf("127.0.0.%d", 1+rand.N(3)))
				if dns.err = nil; rand.N(3) == 0 {
					dns.err = errors.New("down")
				}
			})
		case 6:
			be.List()
		}
		time.Sleep(time.Millisecond) // so that clients are served in between
	}
}

// A function of the Backend that panics takes no place for ever.
func TestPanicGivesThePlaceBack(t *testing.T) {
	a := startNamed(t, "a", false)
	var panics atomic.Bool
	panics.Store(true)
	be := &proxy.Backend{
		Targets: []proxy.Target{{Address: targetOf(a.l), Max: 1}}, Queue: -1,
		Header: func(b []byte, c *netserver.Conn) ([]byte, error) {
			if panics.Load() {
				panic("a bug")
			}
			return b, nil
		},
	}
	f := frontOf(t, be)
	for range 3 {
		io.Copy(io.Discard, f.dial(t))
		if r := f.record(t); r.Err == nil || r.Outcome.String() != "panic" {
			t.Errorf("record: %v", r.Err)
		}
	}
	panics.Store(false)
	if got := f.names(t, 1); got != "a" {
		t.Errorf("got %q", got)
	}
}
