package exec

import (
	"net"

	"golang.org/x/sys/unix"
)

// A counted holds the kernel's counters of a TCP connection. ok is false if it
// has none.
type counted struct {
	in, out uint64 // bytes read from it and sent on it
	ok      bool
}

// count returns the bytes that have passed through a socket so far.
func count(sock stream) (n counted) {
	if _, tcp := sock.(*net.TCPConn); !tcp {
		return n
	}
	rc, err := sock.SyscallConn()
	if err != nil {
		return n
	}
	rc.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		waiting, err := unix.IoctlGetInt(int(fd), unix.SIOCINQ)
		if err != nil {
			waiting = 0 // the connection is at its end
		}
		in := info.Bytes_received
		if in > 0 && hasFIN(info.State, poll(fd)) {
			in-- // the kernel counts the client's FIN as a byte
		}
		n = counted{in: in - min(in, uint64(waiting)), out: info.Bytes_sent - min(info.Bytes_sent, info.Bytes_retrans), ok: true}
	})
	return n
}

// hasFIN reports whether the client has ended its direction other than by a
// reset.
func hasFIN(state uint8, events int16) bool {
	switch state {
	case unix.BPF_TCP_CLOSE_WAIT, unix.BPF_TCP_LAST_ACK, unix.BPF_TCP_CLOSING, unix.BPF_TCP_TIME_WAIT:
		return true
	case unix.BPF_TCP_CLOSE:
		return events&unix.POLLERR == 0
	}
	return false
}
