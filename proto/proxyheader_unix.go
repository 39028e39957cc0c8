//go:build unix

package proto

import (
	"io"
	"net"
	"os"
	"syscall"
)

// canPeek reports whether peekSocket can look into nc.
func canPeek(nc net.Conn) bool {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

// peekSocket is peek for sockets. The kernel wakes it for each packet that
// comes, although the bytes before have not been taken.
func peekSocket(nc net.Conn, b []byte, min int) (n int, err error) {
	rc, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var perr error
	err = rc.Read(func(fd uintptr) bool {
		for {
			n, _, perr = syscall.Recvfrom(int(fd), b, syscall.MSG_PEEK)
			if perr != syscall.EINTR {
				break
			}
		}
		if perr == syscall.EAGAIN {
			n, perr = 0, nil
			return false
		}
		return perr != nil || n == 0 || n >= min
	})
	switch {
	case err != nil:
		return max(n, 0), err
	case perr != nil:
		return 0, &net.OpError{Op: "read", Net: nc.LocalAddr().Network(), Source: nc.LocalAddr(),
			Addr: nc.RemoteAddr(), Err: os.NewSyscallError("recvfrom", perr)}
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}
