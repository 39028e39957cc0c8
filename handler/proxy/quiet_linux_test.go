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

// A silent pair has no goroutine, and goes on from there whatever happens.
func TestSilentPairs(t *testing.T) {
	always := func(cfg netserver.Config) func(time.Duration) netserver.Config {
		return func(time.Duration) netserver.Config { return cfg }
	}
	for _, test := range []struct {
		name string
		cfg  func(limit time.Duration) netserver.Config
		does func(t testing.TB, f *front, c, b stream)
		err  error // of the record; nil for none
	}{
		{"words", always(netserver.Config{}), func(t testing.TB, f *front, c, b stream) {
			for range 2 {
				send(t, c, "up")
				want(t, b, "up")
				wantParked(t)
				send(t, b, "down")
				want(t, c, "down")
				wantParked(t)
			}
			c.CloseWrite()
			wantEOF(t, b)
			send(t, b, "rest")
			b.CloseWrite()
			want(t, c, "rest")
			wantEOF(t, c)
		}, nil},
		{"the target ends", always(netserver.Config{}), func(t testing.TB, f *front, c, b stream) {
			b.CloseWrite()
			wantEOF(t, c)
			send(t, c, "rest")
			want(t, b, "rest")
			c.CloseWrite()
			wantEOF(t, b)
		}, nil},
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
			each := eachPair
			if test.err != nil {
				each = eachPairAtOnce
			}
			each(t, func(t *testing.T, client, backend string) {
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

func timeouts(c netserver.Timeouts) netserver.Config { return netserver.Config{Timeouts: c} }

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
