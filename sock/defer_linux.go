package sock

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// deferAccept sets TCP_DEFER_ACCEPT, or takes it back from a socket that was
// opened with it. Connections that wait so are in the queue of SYNs, which
// then is full for everyone unless the kernel can send cookies.
func deferAccept(fd uintptr, d time.Duration) error {
	seconds := 0
	if d > 0 {
		switch on, err := synCookies(); {
		case err != nil:
			return nil // a process with less in reach than the one that opened it
		case on:
			seconds = max(int(d/time.Second), 1)
		}
	}
	return setOption(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, seconds, "TCP_DEFER_ACCEPT")
}

// synCookies reports whether the kernel sends SYN cookies when the queue is
// full.
func synCookies() (bool, error) {
	b, err := os.ReadFile("/proc/sys/net/ipv4/tcp_syncookies")
	return len(b) > 0 && b[0] != '0', err
}

// deferred returns the DeferAccept that is in force on l. The kernel tells it
// as what its retransmissions come to, so what was asked for is returned.
func deferred(l streamSocket, o Options) (d time.Duration) {
	rc, err := l.SyscallConn()
	if err != nil {
		return 0
	}
	_ = rc.Control(func(fd uintptr) {
		if s, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT); err == nil && s > 0 {
			d = max(o.DeferAccept, time.Second)
		}
	})
	return d
}
