package poll

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// pair returns a connection's raw end and the other one.
func pair(t *testing.T) (server *net.TCPConn, raw syscall.RawConn, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close(); client.Close() })
	server = nc.(*net.TCPConn)
	raw, err = server.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return server, raw, client
}

// A socket is told of once for each Watch, and only for what was asked.
func TestPoller(t *testing.T) {
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	look := func() (n int) {
		if err := p.rc.Control(func(fd uintptr) { p.try(fd); n = p.n }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	const id = 7<<32 | 5
	_, raw, client := pair(t)
	if err := p.Watch(raw, id, false, true, false); err != nil {
		t.Fatal(err)
	}
	if look() > 0 {
		t.Error("a silent client is found")
	}
	io.WriteString(client, "x")
	list, err := p.Wait()
	if err != nil || len(list) != 1 || list[0] != id {
		t.Errorf("found %v, %v", list, err)
	}
	if look() > 0 {
		t.Error("it is found again")
	}
	if err := p.Watch(raw, id, true, false, false); err != nil || look() > 0 {
		t.Error("input that nobody waits for is told of", err)
	}
	if err := p.Watch(raw, id, true, false, true); err != nil || look() != 1 {
		t.Error("a socket that can be written to is not found", err)
	}
}

// What the system refuses is an error, so that the client does not wait for
// ever.
func TestPollerErrors(t *testing.T) {
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	server, raw, _ := pair(t)
	if err := p.Watch(raw, 1, true, true, false); !errors.Is(err, unix.ENOENT) {
		t.Error("a client that is not there:", err)
	}
	server.Close()
	if err := p.Watch(raw, 1, false, true, false); err == nil {
		t.Error("a closed connection is watched")
	}
	p.Close()
	_, raw, _ = pair(t)
	if err := p.Watch(raw, 1, false, true, false); err == nil {
		t.Error("a closed poller takes a client")
	}
	if _, err := p.Wait(); err == nil {
		t.Error("a closed poller can be waited in")
	}
}
