package netserver_test

import (
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"

	"netserver"
)

// Without a descriptor left for a pipe the bytes are copied by hand.
func TestCopyWithoutPipes(t *testing.T) {
	ready, limited := make(chan struct{}), make(chan struct{})
	c, b, done := relayed(t, netserver.Config{}, func(c *netserver.Conn, b net.Conn) error {
		close(ready)
		<-limited
		_, err := c.WriteTo(b)
		return err
	})
	<-ready
	for range 3 { // pooled pipes of other tests
		runtime.GC()
	}
	exhaustDescriptors(t)
	close(limited)
	for range 3 {
		io.WriteString(c, "some bytes")
		expectRead(t, b, "some bytes")
	}
	c.(*net.TCPConn).CloseWrite()
	expectDone(t, done)
}

// exhaustDescriptors leaves the process none until the end of the test.
func exhaustDescriptors(t *testing.T) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	lower := before
	lower.Cur = 200
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lower); err != nil {
		t.Fatal(err)
	}
	var fds []int
	t.Cleanup(func() {
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before)
		for _, fd := range fds {
			syscall.Close(fd)
		}
	})
	for {
		fd, err := syscall.Dup(0)
		if err != nil {
			return
		}
		fds = append(fds, fd)
	}
}
