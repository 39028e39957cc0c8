package deadline

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// acked returns how many bytes a TCP connection's other side has
// acknowledged, and whether the kernel tells. err is what came with rc.
func acked(rc syscall.RawConn, err error) (n uint64, ok bool) {
	if err != nil {
		return 0, false
	}
	err = rc.Control(func(fd uintptr) {
		var info *unix.TCPInfo
		if info, err = unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO); err == nil {
			n, ok = info.Bytes_acked, true
		}
	})
	return n, ok && err == nil
}
