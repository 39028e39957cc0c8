package deadline

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Idle returns how long no byte has come from or gone to the peer of a TCP
// connection, as the kernel counts it, or -1: counting it here would cost each
// read and write.
func Idle(nc net.Conn) time.Duration {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return -1
	}
	rc, err := tc.SyscallConn()
	if err != nil {
		return -1
	}
	d := time.Duration(-1)
	rc.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			d = time.Duration(min(info.Last_data_sent, info.Last_data_recv)) * time.Millisecond
		}
	})
	return d
}
