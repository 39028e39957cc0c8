package hello

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// lowWater returns how many bytes have to be there before the connection is
// readable.
func lowWater(t *testing.T, nc end) (n int) {
	t.Helper()
	rc, err := nc.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var gerr error
	err = rc.Control(func(fd uintptr) { n, gerr = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT) })
	if err := errors.Join(err, gerr); err != nil {
		t.Fatal(err)
	}
	return n
}

// The poller finds nobody while nobody has enough, and puts the socket back as
// it was.
func TestPoller(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	look := func() (some bool) {
		if err := p.rc.Control(func(fd uintptr) { some = p.try(fd) }); err != nil {
			t.Fatal(err)
		}
		return some
	}
	if look() {
		t.Error("an empty poller finds somebody")
	}
	const id = 7<<32 | 5
	server, client := pair(t, "tcp")
	if err := p.add(server, id, recordHeader); err != nil {
		t.Fatal(err)
	}
	if n := lowWater(t, server); n != recordHeader {
		t.Errorf("it wakes at %d bytes, want %d", n, recordHeader)
	}
	if look() {
		t.Error("a silent client is found")
	}
	client.Write(whole)
	list, err := p.wait()
	if err != nil || len(list) != 1 || list[0].id != id || list[0].left {
		t.Errorf("found %+v, %v", list, err)
	}
	if err := p.done(server, true); err != nil || lowWater(t, server) != 1 {
		t.Errorf("%v, the socket wakes at %d bytes", err, lowWater(t, server))
	}
}

// What the system refuses is an error, so that the client does not wait for
// ever.
func TestPollerErrors(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	server, _ := pair(t, "tcp")
	if err := p.again(server, 1, recordHeader); !errors.Is(err, unix.ENOENT) {
		t.Error("a client that is not there:", err)
	}
	if err := p.add(new(net.TCPConn), 1, 1); err == nil {
		t.Error("a connection that is none is taken")
	}
	closed, _ := pair(t, "tcp")
	closed.Close()
	if err := p.add(closed, 1, 1); !errors.Is(err, net.ErrClosed) {
		t.Error("a closed connection:", err)
	}
	p.close()
	if err := p.add(server, 1, 1); err == nil {
		t.Error("a closed poller takes a client")
	}
	if _, err := p.wait(); err == nil {
		t.Error("a closed poller can be waited in")
	}
}

// A Room that is closed holds no lock: one who leaves then is not kept.
func TestRoomClosed(t *testing.T) {
	r, err := NewRoom()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if !r.mu.TryLock() {
		t.Fatal("locked")
	}
	r.mu.Unlock()
}

// A client of a UNIX socket with part of its hello there wakes nobody before it
// sends more: these sockets have no low-water mark that the kernel looks at.
func TestPollerUnix(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	look := func() (some bool) {
		if err := p.rc.Control(func(fd uintptr) { some = p.try(fd) }); err != nil {
			t.Fatal(err)
		}
		return some
	}
	server, client := pair(t, "unix")
	client.Write(whole[:3])
	if err := p.add(server, 1, recordHeader); err != nil {
		t.Fatal(err)
	}
	for sent := 3; ; sent++ {
		if !look() {
			t.Fatalf("with %d bytes there it is not found", sent)
		}
		if err := p.again(server, 1, len(whole)); err != nil {
			t.Fatal(err)
		}
		if look() {
			t.Fatalf("with %d bytes there it is found twice", sent)
		}
		if sent == len(whole) {
			break
		}
		client.Write(whole[sent : sent+1])
	}
	if err := p.done(server, true); err != nil || lowWater(t, server) != 1 {
		t.Errorf("%v, the socket wakes at %d bytes", err, lowWater(t, server))
	}
}
