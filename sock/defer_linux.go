package sock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// deferAccept sets or clears TCP_DEFER_ACCEPT. Deferred connections stay in
// the SYN queue, which can then fill up for everyone unless the kernel sends
// SYN cookies.
func deferAccept(l streamSocket, d time.Duration) error {
	if _, ok := l.(*net.TCPListener); !ok {
		return errors.ErrUnsupported
	}
	seconds := 0
	if d > 0 {
		if b, err := os.ReadFile("/proc/sys/net/ipv4/tcp_syncookies"); err != nil || len(b) == 0 || b[0] == '0' {
			return fmt.Errorf("%w: no SYN cookies", errors.ErrUnsupported)
		}
		seconds = max(int(d/time.Second), 1)
	}
	return onSocket(l, func(fd uintptr) error {
		return setOption(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, seconds, "TCP_DEFER_ACCEPT")
	})
}
