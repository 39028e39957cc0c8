package sock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// deferAccept sets TCP_DEFER_ACCEPT, or takes it back. Connections that wait
// so are in the queue of SYNs, which then is full for everyone unless the
// kernel can send cookies.
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
