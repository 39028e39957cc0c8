package proxy_test

import (
	"bytes"
	"errors"
	"runtime/pprof"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
	"netserver/netservertest"
)

// copying returns how many pairs have goroutines.
func copying() int {
	var b bytes.Buffer
	pprof.Lookup("goroutine").WriteTo(&b, 2)
	return bytes.Count(b.Bytes(), []byte("proxy.(*joint).run("))
}

func wantParked(t testing.TB) {
	t.Helper()
	netservertest.Eventually(t, "the pair waits with no goroutine", func() bool { return copying() == 0 })
}

// A silentPair is one of a kind, among others.
type silentPair struct {
	name string
	f    *front
	c, b stream // the client's end, and the target's
}

// silentPairs returns one pair of each kind.
func silentPairs(t *testing.T) (list []silentPair) {
	for _, client := range []string{"tcp", "tls", "unix"} {
		for _, backend := range []string{"tcp", "unix", "tls"} {
			p := silentPair{name: client + " to " + backend}
			p.f, p.c, p.b = pair(t, client, backend, netserver.Config{})
			list = append(list, p)
		}
	}
	return list
}

// step has each of the pairs do something.
func step(t *testing.T, name string, pairs []silentPair, does func(t testing.TB, p silentPair)) {
	t.Helper()
	for _, p := range pairs {
		if !t.Run(name+", "+p.name, func(t *testing.T) { does(t, p) }) {
			t.FailNow()
		}
	}
}

// A silent pair has no goroutine, and goes on from there when one end speaks or
// ends.
func TestSilentPairsGoOn(t *testing.T) {
	pairs := silentPairs(t)
	up := func(t testing.TB, p silentPair) { send(t, p.c, "up"); want(t, p.b, "up") }
	down := func(t testing.TB, p silentPair) { send(t, p.b, "down"); want(t, p.c, "down") }
	for range 2 {
		step(t, "up", pairs, up)
		wantParked(t)
		step(t, "down", pairs, down)
		wantParked(t)
	}
	step(t, "the client ends", pairs, func(t testing.TB, p silentPair) {
		p.c.CloseWrite()
		wantEOF(t, p.b)
		send(t, p.b, "rest")
		p.b.CloseWrite()
		want(t, p.c, "rest")
		wantEOF(t, p.c)
		if r := p.f.record(t); r.Err != nil || r.In != 4 {
			t.Errorf("record: in %d, out %d, %v", r.In, r.Out, r.Err)
		}
	})
	pairs = silentPairs(t)
	step(t, "up", pairs, up)
	wantParked(t)
	step(t, "the target ends", pairs, func(t testing.TB, p silentPair) {
		p.b.CloseWrite()
		wantEOF(t, p.c)
		send(t, p.c, "rest")
		want(t, p.b, "rest")
		p.c.CloseWrite()
		wantEOF(t, p.b)
		if r := p.f.record(t); r.Err != nil || r.In != 6 {
			t.Errorf("record: in %d, out %d, %v", r.In, r.Out, r.Err)
		}
	})
}

// A silent pair, which has no goroutine, is ended as others are.
func TestSilentPairs(t *testing.T) {
	always := func(cfg netserver.Config) func(time.Duration) netserver.Config {
		return func(time.Duration) netserver.Config { return cfg }
	}
	for _, test := range []struct {
		name string
		cfg  func(limit time.Duration) netserver.Config
		does func(t testing.TB, f *front, c, b stream)
		err  error // of the record
	}{
		{"idle", func(limit time.Duration) netserver.Config { return timeouts(netserver.Timeouts{Idle: limit}) }, func(t testing.TB, f *front, c, b stream) {
			wantEOF(t, c)
		}, netserver.ErrIdle},
		{"max life", func(limit time.Duration) netserver.Config { return timeouts(netserver.Timeouts{Life: limit}) }, func(t testing.TB, f *front, c, b stream) {
			c.Read(make([]byte, 1))
		}, netserver.ErrMaxLife},
		{"too slow", func(limit time.Duration) netserver.Config {
			return netserver.Config{Limits: netserver.Limits{MinReadRate: 1000, MinRateWindow: limit}}
		}, func(t testing.TB, f *front, c, b stream) {
			c.Read(make([]byte, 1))
		}, netserver.ErrTooSlow},
		{"stopped", always(netserver.Config{Shutdown: netserver.Shutdown{Grace: time.Millisecond}}), func(t testing.TB, f *front, c, b stream) {
			f.stop()
			c.Read(make([]byte, 1))
		}, netserver.ErrCut},
	} {
		t.Run(test.name, func(t *testing.T) {
			eachPairAtOnce(t, func(t *testing.T, client, backend string) {
				inTime(t, func(t testing.TB, limit time.Duration) {
					f, c, b := pair(t, client, backend, test.cfg(limit))
					send(t, c, "hello")
					want(t, b, "hello")
					wantParked(t)
					test.does(t, f, c, b)
					if r := f.record(t); !errors.Is(r.Err, test.err) || r.In < 5 {
						t.Errorf("record: in %d, out %d, %v; want %v", r.In, r.Out, r.Err, test.err)
					}
				})
			})
		})
	}
}

// A peer that breaks off a silent pair is told of to the other one.
func TestSilentPairBreaks(t *testing.T) {
	for _, kind := range []string{"tcp", "tls"} {
		_, c, b := pair(t, kind, "tcp", netserver.Config{})
		send(t, c, "x")
		want(t, b, "x")
		wantParked(t)
		breakOff(t, b)
		wantBroken(t, c)
		_, c, b = pair(t, "tcp", kind, netserver.Config{})
		send(t, b, "x")
		want(t, c, "x")
		wantParked(t)
		breakOff(t, c)
		wantBroken(t, b)
	}
}

// A place at a target is a silent client's, until it leaves.
func TestSilentPairKeepsItsPlace(t *testing.T) {
	l := listen(t, "tcp")
	be := &proxy.Backend{Targets: []proxy.Target{{Address: targetOf(l), Max: 1}}, Queue: -1}
	f := frontOf(t, be)
	c := f.dial(t)
	b := accept(t, l)
	send(t, c, "x")
	want(t, b, "x")
	wantParked(t)
	if got := be.List()[0].Clients; got != 1 {
		t.Errorf("%d clients", got)
	}
	if n, err := f.dial(t).Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("a second client got a place")
	}
	below(c).Close()
	wantEOF(t, b)
	b.Close()
	netservertest.Eventually(t, "the place is free", func() bool { return be.List()[0].Clients == 0 })
}

// Many that wake at once are all served.
func TestManySilentPairsWake(t *testing.T) {
	const pairs = 200
	l := listen(t, "tcp")
	f := serve(t, "tcp", handlerTo(t, l), netserver.Config{})
	var cs, bs []stream
	for range pairs {
		cs = append(cs, f.dial(t))
		bs = append(bs, accept(t, l))
	}
	wantParked(t)
	for _, c := range cs {
		send(t, c, "wake")
	}
	for i, b := range bs {
		want(t, b, "wake")
		send(t, b, "up")
		want(t, cs[i], "up")
	}
	wantParked(t)
}
