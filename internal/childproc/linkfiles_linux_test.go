package childproc

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An end that takes no files, on a kernel that does not refuse them itself:
// whoever sends one gets no message through, and does not hang the receiver
// by a socket whose close waits for its peer.
func TestLinkTakesNoFiles(t *testing.T) {
	for _, within := range []bool{false, true} {
		l, theirs, err := NewLink()
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		defer theirs.Close()
		l.refuses = true // and not RefuseFiles
		stuck := stuckSocket(t)
		msg := []byte{0, 0, 0, 4, 0, 0, 0, 0, 'a', 'b', 'c', 'd'}
		fd := int(theirs.Fd())
		rights := unix.UnixRights(int(stuck.Fd()))
		if within {
			if _, err := unix.Write(fd, msg[:9]); err != nil {
				t.Fatal(err)
			}
			msg = msg[9:]
		}
		if err := unix.Sendmsg(fd, msg, rights, nil, 0); err != nil {
			t.Fatal(err)
		}
		stuck.Close() // the one on its way is the last
		done := make(chan error, 1)
		go func() {
			_, _, err := l.Receive(100)
			done <- err
		}()
		select {
		case err := <-done:
			if !errors.Is(err, ErrFiles) {
				t.Errorf("within the message %v: %v", within, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("it hangs")
		}
	}
}

// With RefuseFiles the kernel refuses them, where it can.
func TestRefuseFiles(t *testing.T) {
	l, theirs, err := NewLink()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	defer theirs.Close()
	l.RefuseFiles()
	err = unix.Sendmsg(int(theirs.Fd()), []byte("x"), unix.UnixRights(0), nil, 0)
	if err == nil {
		t.Skip("this kernel has no SO_PASSRIGHTS")
	}
	if !errors.Is(err, unix.EPERM) {
		t.Error(err)
	}
}

// stuckSocket makes a connection whose close waits an hour for its peer, which
// takes nothing.
func stuckSocket(t *testing.T) *os.File {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	fd := int(f.Fd())
	unix.SetNonblock(fd, true)
	for b := make([]byte, 1<<16); ; {
		if _, err := unix.Write(fd, b); err != nil {
			break
		}
	}
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 3600}); err != nil {
		t.Fatal(err)
	}
	return f
}
