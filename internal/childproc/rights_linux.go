package childproc

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// refuseRights has the kernel refuse files that are sent to c, since Linux
// 6.16: sendmsg returns EPERM.
func refuseRights(c syscall.Conn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSRIGHTS, 0) })
}
