//go:build unix

package sock

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// dialUnixgram makes a client with a return address.
func dialUnixgram(t testing.TB, path, own string) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unixgram", &net.UnixAddr{Name: own, Net: "unixgram"}, &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	must(t, c.SetDeadline(time.Now().Add(time.Minute)))
	t.Cleanup(func() { c.Close() })
	return c
}

func openUnixgram(t testing.TB, o Options) (l *DatagramListener, dir string) {
	t.Helper()
	dir = t.TempDir()
	return open(t, "unixgram", unixSpec(filepath.Join(dir, "s")), o).(*DatagramListener), dir
}

func TestUnixgramReadsAndAnswers(t *testing.T) {
	l, dir := openUnixgram(t, Options{UDPRecvLen: 65535})
	client := dialUnixgram(t, dir+"/s", dir+"/c")
	for _, want := range []string{"hello", "", string(make([]byte, 65507))} {
		send(t, client, want)
		c := acceptDatagram(t, l)
		if c.RemoteAddr().String() != dir+"/c" || c.LocalAddr().String() != dir+"/s" || c.LocalAddr().Network() != "unixgram" {
			t.Errorf("from %v to %v", c.RemoteAddr(), c.LocalAddr())
		}
		if _, err := io.Copy(c, c); err != nil {
			t.Error(err)
		}
		if got := receive(t, client); got != want {
			t.Errorf("%d bytes came back as %d", len(want), len(got))
		}
	}
	must(t, l.Close())
	if exists(dir + "/s") {
		t.Error("the file is still there after Close")
	}
}

func TestUnixgramWithoutReturnAddress(t *testing.T) {
	l, dir := openUnixgram(t, Options{})
	client := dial(t, "unixgram", dir+"/s")
	send(t, client, "x")
	c := acceptDatagram(t, l)
	if c.RemoteAddr() == nil || c.RemoteAddr().String() != "" {
		t.Errorf("RemoteAddr is %#v", c.RemoteAddr())
	}
	if _, err := c.Write([]byte("y")); !errors.Is(err, ErrNoReturnAddress) {
		t.Errorf("got %v", err)
	}
	if got, err := io.ReadAll(c); string(got) != "x" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestUnixgramClientGone(t *testing.T) {
	l, dir := openUnixgram(t, Options{})
	gone := dialUnixgram(t, dir+"/s", dir+"/c")
	send(t, gone, "x")
	c := acceptDatagram(t, l)
	must(t, gone.Close())
	if _, err := c.Write([]byte("y")); err == nil {
		t.Error("answered nobody without an error")
	}
	send(t, dial(t, "unixgram", dir+"/s"), "still here")
	if p := acceptDatagram(t, l).Packet(); string(p) != "still here" {
		t.Errorf("got %q", p)
	}
}

func TestUnixgramOversize(t *testing.T) {
	l, dir := openUnixgram(t, Options{UDPRecvLen: 65535})
	client := dialUnixgram(t, dir+"/s", dir+"/c")
	size, sender := 0, net.Addr(nil)
	l.OnOversize = func(from net.Addr, n int) { size, sender = n, from }
	send(t, client, string(make([]byte, 100000)))
	send(t, client, "x")
	acceptDatagram(t, l)
	if l.Oversize() != 1 || size < 65536 || sender.String() != dir+"/c" {
		t.Errorf("counted %d, reported %d from %v", l.Oversize(), size, sender)
	}
}

// A client that never reads its answers holds up nobody else's, and its own
// writer no longer than the deadline.
func TestUnixgramClientThatNeverReads(t *testing.T) {
	l, dir := openUnixgram(t, Options{})
	deaf, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: dir + "/deaf", Net: "unixgram"})
	must(t, err)
	defer deaf.Close()
	_, err = deaf.WriteTo([]byte("x"), l.Addr())
	must(t, err)
	stuck := acceptDatagram(t, l)
	must(t, stuck.SetWriteDeadline(time.Now().Add(time.Hour)))
	writes, failed := make(chan struct{}, 1<<16), make(chan error, 1)
	go writeUntilError(stuck, writes, failed)
	idle := func() bool { n := len(writes); time.Sleep(20 * time.Millisecond); return n > 0 && len(writes) == n }
	if !settles(idle) {
		t.Fatal("the queue does not fill")
	}

	other := dialUnixgram(t, dir+"/s", dir+"/other")
	send(t, other, "x")
	send(t, acceptDatagram(t, l), "answer")
	if got := receive(t, other); got != "answer" {
		t.Errorf("got %q", got)
	}

	before := len(writes)
	receive(t, deaf) // makes room for one
	if !settles(func() bool { return len(writes) > before }) {
		t.Error("the waiting answer was not sent when there was room")
	}
	must(t, stuck.SetWriteDeadline(time.Unix(1, 0)))
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	must(t, stuck.SetWriteDeadline(time.Time{}))
	go writeUntilError(stuck, writes, failed)
	must(t, stuck.Close())
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func writeUntilError(c net.Conn, writes chan<- struct{}, failed chan<- error) {
	for {
		if _, err := c.Write([]byte("again")); err != nil {
			failed <- err
			return
		}
		writes <- struct{}{}
	}
}
