package netserver_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"netserver"
)

// relayed serves one client with f, which gets the Conn and the server's end
// of another connection, and returns the client and the other end of that.
func relayed(t *testing.T, cfg netserver.Config, f func(c *netserver.Conn, b net.Conn) error) (client, backend net.Conn, done <-chan error) {
	t.Helper()
	bl := listenTCP(t)
	defer bl.Close()
	result := make(chan error, 1)
	l := listenTCP(t)
	s := &netserver.Server{Config: cfg, Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		b, err := net.Dial("tcp", bl.Addr().String())
		if err != nil {
			return err
		}
		defer b.Close()
		err = f(c, b)
		result <- err
		return err
	})}
	start(t, s, l)
	client = dial(t, l)
	backend, err := bl.Accept()
	if err != nil {
		t.Fatal(err)
	}
	backend.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { backend.Close() })
	return client, backend, result
}

func expectRead(t *testing.T, c net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(c, b); string(b) != want {
		t.Fatalf("read %q, %v; want %q", b[:n], err, want)
	}
}

func expectDone(t *testing.T, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the handler does not return")
	}
}

// What a line read has taken from the socket goes first.
func TestCopyAfterLine(t *testing.T) {
	c, b, done := relayed(t, netserver.Config{}, func(c *netserver.Conn, b net.Conn) error {
		if _, err := c.ReadLine(); err != nil {
			return err
		}
		n, err := io.Copy(b, c)
		if want := int64(len("second\nthird")); n != want {
			t.Errorf("copied %d bytes, want %d", n, want)
		}
		return err
	})
	io.WriteString(c, "first\nsecond\n")
	expectRead(t, b, "second\n")
	io.WriteString(c, "third")
	c.(*net.TCPConn).CloseWrite()
	expectRead(t, b, "third")
	expectDone(t, done)
}

// A copy uses deadlines of the other connection, but leaves none behind.
func TestCopyLeavesNoDeadline(t *testing.T) {
	const limit = 50 * time.Millisecond
	c, b, done := relayed(t, netserver.Config{Timeouts: netserver.Timeouts{Write: limit, Idle: 200 * limit}}, func(c *netserver.Conn, b net.Conn) error {
		if _, err := c.WriteTo(b); err != nil {
			return err
		}
		if _, err := c.ReadFrom(b); err != nil {
			return err
		}
		time.Sleep(3 * limit)
		if _, err := b.Write([]byte("late")); err != nil {
			return err
		}
		return nil
	})
	io.WriteString(c, "up")
	c.(*net.TCPConn).CloseWrite()
	expectRead(t, b, "up")
	io.WriteString(b, "down")
	b.(*net.TCPConn).CloseWrite()
	expectRead(t, c, "down")
	expectRead(t, b, "late")
	expectDone(t, done)
}

// Nothing says that the ends of a copy are sockets.
func TestCopyOtherThings(t *testing.T) {
	text := strings.Repeat("0123456789", 10_000)
	var got bytes.Buffer
	c, _, done := relayed(t, netserver.Config{}, func(c *netserver.Conn, b net.Conn) error {
		if n, err := io.Copy(c, strings.NewReader(text)); n != int64(len(text)) || err != nil {
			t.Errorf("copied %d bytes to the client, %v", n, err)
		}
		n, err := io.Copy(struct{ io.Writer }{&got}, c)
		if n != int64(len(text)) {
			t.Errorf("copied %d bytes from the client", n)
		}
		return err
	})
	expectRead(t, c, text)
	io.WriteString(c, text)
	c.(*net.TCPConn).CloseWrite()
	expectDone(t, done)
	if got.String() != text {
		t.Error("other bytes came from the client")
	}
}

// shortWriter takes less than it is given and says nothing.
type shortWriter struct{}

func (shortWriter) Write(b []byte) (int, error) { return len(b) / 2, nil }

func TestCopyToShortWriter(t *testing.T) {
	c, _, done := relayed(t, netserver.Config{}, func(c *netserver.Conn, b net.Conn) error {
		if n, err := c.WriteTo(shortWriter{}); n != 5 || err != io.ErrShortWrite {
			t.Errorf("copied %d bytes, %v", n, err)
		}
		return nil
	})
	io.WriteString(c, "0123456789")
	expectDone(t, done)
}
