package proto

import "golang.org/x/sys/unix"

// acknowledge has the kernel acknowledge at once what it has received
// (TCP_QUICKACK; see tcp(7)). crypto/tls says nothing more after the client's
// Finished, so the kernel waits 40 ms for something to send the
// acknowledgement with; and a client that has not set TCP_NODELAY, such as
// Python's or Perl's, does not send its first request before it has that.
func acknowledge(fd uintptr) {
	// What fails here comes out as what it was: late.
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
}
