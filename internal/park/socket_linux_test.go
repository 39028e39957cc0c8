package park

import (
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A client is woken by its socket, once for each Park, and not by what it does
// not wait for. One whose socket is closed cannot park.
func TestWokenBySocket(t *testing.T) {
	l, c := NewLot(), NewCrew(false)
	var run sync.WaitGroup
	run.Go(l.Run)
	defer func() { l.Close(); run.Wait(); c.Close() }()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	rc, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	woken := make(chan struct{}, 100)
	g := &guest{on: func(*guest) { woken <- struct{}{} }}
	g.spot.Init(g, l, c, rc)
	waits := func(what string) {
		t.Helper()
		select {
		case <-woken:
		case <-time.After(20 * time.Second):
			t.Fatal(what)
		}
	}
	park := func(in, out bool) {
		t.Helper()
		if err := g.spot.Park(in, out); err != nil {
			t.Fatal(err)
		}
	}
	park(false, true)
	waits("it can be written to")
	park(true, false)
	peer.Write([]byte("x"))
	waits("it can be read")
	park(true, false)
	waits("it can still be read")
	park(false, false)
	peer.Write([]byte("x"))
	g.spot.Wake()
	waits("Wake")
	if len(woken) != 0 {
		t.Error("it was woken by what it does not wait for")
	}
	park(false, false)
	peer.(*net.TCPConn).SetLinger(0)
	peer.Close()
	waits("its socket has failed")
	nc.Close()
	if err := g.spot.Park(true, false); err == nil {
		t.Error("it is parked with a closed socket")
	}
	g.spot.Leave()
	other := newGuest(l, c, nil) // not in the poller
	if other.spot.Polled() || !g.spot.Polled() {
		t.Error("Polled says something else")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.free) != 1 {
		t.Error("its place is not free")
	}
}
