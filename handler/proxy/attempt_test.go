package proxy_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
	"netserver/netservertest"
)

// What a proxied client allocates beyond what a proxy written by hand does. A
// change that needs more must say why here; one that needs less lowers the
// number.
func TestAllocsOfClients(t *testing.T) {
	if raceOn || runtime.GOOS != "linux" {
		t.Skip("the number is that of Linux, without the race detector")
	}
	l := listen(t, "tcp")
	go answerAll(l)
	ended := make(chan struct{}, 1)
	s := &netserver.Server{Handler: &proxy.Handler{Target: targetOf(l)}, Log: slog.New(slog.DiscardHandler)}
	s.Hooks.Closed = func(*netserver.Conn, netserver.Record) { ended <- struct{}{} }
	r := netservertest.Start(t, s, "tcp")
	bare := listen(t, "tcp")
	go proxyByHand(bare, targetOf(l), ended)
	// On a busy machine a client waits where others do not: what it needs is the
	// least of some attempts.
	engine, loop := math.Inf(1), math.Inf(1)
	for i := 0; i < 10 && !(engine-loop <= 47); i++ {
		engine = min(engine, allocsOfClients(t, r.Addr(t, "tcp"), ended))
		loop = min(loop, allocsOfClients(t, bare.Addr(), ended))
	}
	t.Logf("engine %v, loop %v", engine, loop)
	if engine-loop > 47 {
		t.Errorf("%v allocations a client, with a loop %v: %v more, want 47", engine, loop, engine-loop)
	}
}

func proxyByHand(l net.Listener, to string, ended chan<- struct{}) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { ended <- struct{}{} }()
			defer c.Close()
			b, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			defer b.Close()
			var up sync.WaitGroup
			up.Go(func() { io.Copy(b, c) })
			io.Copy(c, b)
			c.(*net.TCPConn).CloseWrite()
			up.Wait()
		}()
	}
}

// allocsOfClients counts what a client allocates, with all that serves it here.
func allocsOfClients(t *testing.T, addr net.Addr, ended <-chan struct{}) float64 {
	one := make([]byte, 1)
	return testing.AllocsPerRun(300, func() {
		c, err := net.Dial("tcp", addr.String())
		must(t, err)
		if _, err := io.ReadFull(c, one); err != nil {
			t.Fatal(err)
		}
		c.Close()
		<-ended
	})
}

// Where nobody listens, an address says so as package net would, over both
// families, and one that cannot be reached in time as well.
func TestConnectFails(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Log(err) // no IPv6 here
			continue
		}
		addr := l.Addr().String()
		l.Close()
		_, err = (&proxy.Backend{Targets: []proxy.Target{{Address: addr}}}).Dial(context.Background(), nil)
		if !errors.Is(err, syscall.ECONNREFUSED) && runtime.GOOS != "windows" {
			t.Errorf("%s: %v", host, err)
		}
	}
	full := &proxy.Backend{Targets: []proxy.Target{{Address: targetOf(blackHole(t, "tcp"))}}, ConnectTimeout: 50 * time.Millisecond}
	if _, err := full.Dial(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "no connection within 50ms") {
		t.Errorf("a target that does not answer: %v", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough")
	time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
	full = &proxy.Backend{Targets: full.Targets, ConnectTimeout: time.Minute}
	if _, err := full.Dial(ctx, nil); err != why {
		t.Errorf("an end meanwhile: %v", err)
	}
}
