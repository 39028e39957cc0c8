package sock

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func sockopt(t *testing.T, c any, level, option int) int {
	t.Helper()
	var v int
	must(t, onSocket(c.(syscall.Conn), func(fd uintptr) (err error) {
		v, err = unix.GetsockoptInt(int(fd), level, option)
		return err
	}))
	return v
}

func TestAcceptedInheritOptions(t *testing.T) {
	for _, tc := range []struct {
		name      string
		o         Options
		on        int
		idle, gap int
	}{
		{"Default", Options{}, 1, 15, 15},
		{"Minute", Options{KeepAlive: time.Minute}, 1, 60, 15},
		{"RoundedUp", Options{KeepAlive: 1500 * time.Millisecond}, 1, 2, 15},
		{"Off", Options{KeepAlive: -1}, 0, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := open(t, "tcp", spec("*", "0", "*"), tc.o)
			dial(t, "tcp", "127.0.0.1:"+portOf(l))
			c := accept(t, l)
			if v := sockopt(t, c, unix.IPPROTO_TCP, unix.TCP_NODELAY); v != 1 {
				t.Error("TCP_NODELAY is off")
			}
			if v := sockopt(t, c, unix.SOL_SOCKET, unix.SO_KEEPALIVE); v != tc.on {
				t.Errorf("SO_KEEPALIVE is %d", v)
			}
			if tc.on == 0 {
				return
			}
			if v := sockopt(t, c, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE); v != tc.idle {
				t.Errorf("TCP_KEEPIDLE is %d", v)
			}
			if v := sockopt(t, c, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL); v != tc.gap {
				t.Errorf("TCP_KEEPINTVL is %d", v)
			}
			if v := sockopt(t, c, unix.IPPROTO_TCP, unix.TCP_KEEPCNT); v != keepAliveCount {
				t.Errorf("TCP_KEEPCNT is %d", v)
			}
		})
	}
}

// Keep-alive options are set on the listening socket and at no accept: what
// is changed there by hand afterwards reaches the accepted connection.
func TestAcceptSetsNoKeepAlive(t *testing.T) {
	l := open(t, "tcp", spec("127.0.0.1", "0", "4"), Options{}).(*StreamListener)
	must(t, onSocket(l, func(fd uintptr) error {
		return setOption(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 5, "TCP_KEEPCNT")
	}))
	dial(t, "tcp", l.Addr().String())
	if v := sockopt(t, accept(t, l), unix.IPPROTO_TCP, unix.TCP_KEEPCNT); v != 5 {
		t.Errorf("TCP_KEEPCNT was set to %d at accept", v)
	}
}

func TestNotMultipath(t *testing.T) {
	l := open(t, "tcp", spec("127.0.0.1", "0", "4"), Options{})
	if v := sockopt(t, l, unix.SOL_SOCKET, unix.SO_PROTOCOL); v != unix.IPPROTO_TCP {
		t.Errorf("protocol %d", v)
	}
}

// tcpBacklog returns the backlog that the kernel has for l.
func tcpBacklog(t *testing.T, l net.Listener) int {
	t.Helper()
	var n int
	must(t, onSocket(l.(*StreamListener), func(fd uintptr) error {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			n = int(info.Sacked) // so for a listening socket: see tcp_get_info
		}
		return err
	}))
	return n
}

func TestBacklogTCP(t *testing.T) {
	if n := tcpBacklog(t, open(t, "tcp", spec("127.0.0.1", "0", "4"), Options{Backlog: 7})); n != 7 {
		t.Errorf("backlog is %d, want 7", n)
	}
	text, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	must(t, err)
	most, err := strconv.Atoi(string(text[:len(text)-1]))
	must(t, err)
	for _, asked := range []int{0, 1 << 20} {
		if n := tcpBacklog(t, open(t, "tcp", spec("127.0.0.1", "0", "4"), Options{Backlog: asked})); n != most {
			t.Errorf("backlog is %d with %d asked for, want the system's %d", n, asked, most)
		}
	}
}

func TestBacklogUnix(t *testing.T) {
	path := t.TempDir() + "/s"
	open(t, "unix", spec("*", path, "*"), Options{Backlog: 3})
	n := 0
	for ; n < 100; n++ {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		defer unix.Close(fd)
		if unix.Connect(fd, &unix.SockaddrUnix{Name: path}) == unix.EAGAIN {
			break
		}
	}
	if n != 4 { // unix_stream_connect lets in one more
		t.Errorf("%d connections waited", n)
	}
}

func TestBroadcastOption(t *testing.T) {
	for _, on := range []bool{false, true} {
		l := open(t, "udp", spec("127.0.0.1", "0", "4"), Options{UDPBroadcast: on})
		if v := sockopt(t, l, unix.SOL_SOCKET, unix.SO_BROADCAST); (v != 0) != on {
			t.Errorf("UDPBroadcast %v: SO_BROADCAST is %d", on, v)
		}
	}
}

// A program started in the meantime must not get the sockets.
func TestCloseOnExec(t *testing.T) {
	dir := t.TempDir()
	for network, s := range map[string]string{"tcp": "0", "udp": "0", "unix": dir + "/a", "unixgram": dir + "/b"} {
		l := open(t, network, spec("127.0.0.1", s, "4"), Options{})
		must(t, onSocket(l.(syscall.Conn), func(fd uintptr) error {
			flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0)
			if flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("%s: no close-on-exec", network)
			}
			return err
		}))
	}
}

func TestLowPortNeedsPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may bind any port; TestErrorLines has the text")
	}
	l, err := Listen(context.Background(), "tcp", spec("127.0.0.1", "1", "4"), Options{})
	if err == nil {
		l.Close()
		t.Skip("this user may bind low ports")
	}
	if !errors.Is(err, unix.EACCES) {
		t.Errorf("got %v", err)
	}
}
