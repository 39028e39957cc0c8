package daemon_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netserver/netservertest"
)

// What a worker does to the sockets of its ports does not outlast it: they are
// mended, or opened again.
func TestAttackPort(t *testing.T) {
	rooted(t)
	dir := openDir(t)
	shut := func(fd int) error { return unix.Shutdown(fd, unix.SHUT_RDWR) }
	for _, tc := range []struct {
		name, port string
		spoil      func(fd int) error
		want       string
	}{
		{"shut down", "127.0.0.1:0", shut, "it was shut down; repaired"},
		{"filter", "127.0.0.1:0", func(fd int) error { return attachDrop(fd) }, "a filter was attached; repaired"},
		{"filter that is locked", "127.0.0.1:0", func(fd int) error {
			if err := attachDrop(fd); err != nil {
				return err
			}
			return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_LOCK_FILTER, 1)
		}, "a filter was attached; reopening it"},
		{"hop limit", "127.0.0.1:0", func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MINTTL, 255) }, "IP_MINTTL was set; repaired"},
		{"UNIX socket", filepath.Join(dir, "s") + "|unix", shut, "it was shut down; reopening it"},
		{"UDP", "127.0.0.1:0/udp", func(fd int) error { shut(fd); return nil }, "it was shut down; reopening it"},
		{"UDP connected", "127.0.0.1:0/udp", func(fd int) error {
			return unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}})
		}, "it was connected to one peer; reopening it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, "PreForkSimple", "--max_servers", "2", "--port", tc.port)
			r.serving()
			network, addr := "unix", filepath.Join(dir, "s")
			switch {
			case tc.port == "127.0.0.1:0/udp":
				network, addr = "udp", r.addr(0)
			case tc.port == "127.0.0.1:0":
				network, addr = "tcp", r.addr(0)
			}
			ask := func() error { return askOnce(network, addr) }
			netservertest.Eventually(t, "the port is served", func() bool { return ask() == nil })
			netservertest.Eventually(t, "two workers", func() bool { return len(r.children()) == 2 })
			h := seize(t, r.children()[0])
			list := h.sockets(func(fd int) bool {
				if network == "udp" {
					return option(fd, unix.SO_TYPE) == unix.SOCK_DGRAM && option(fd, unix.SO_DOMAIN) == unix.AF_INET
				}
				return option(fd, unix.SO_ACCEPTCONN) == 1
			})
			if len(list) != 1 {
				t.Fatalf("%d sockets", len(list))
			}
			if err := tc.spoil(int(list[0].Fd())); err != nil {
				t.Fatal(err)
			}
			list[0].Close() // who has it open cannot be made to close it
			r.wait(tc.want, 1)
			netservertest.Eventually(t, "the port is served again", func() bool { return ask() == nil })
		})
	}
}

// attachDrop has a socket take nothing.
func attachDrop(fd int) error {
	no := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &no[0]})
}

// askOnce asks an echo for anything.
func askOnce(network, addr string) error {
	c, err := net.DialTimeout(network, addr, attackWait)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(attackWait))
	if _, err := c.Write([]byte("hello\r\n")); err != nil {
		return err
	}
	n, err := c.Read(make([]byte, 100))
	if err == nil && n == 0 {
		err = os.ErrClosed
	}
	return err
}

const attackWait = 2 * time.Second // and then it is asked again
