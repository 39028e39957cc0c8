//go:build unix

package netserver

import (
	"net"
	"syscall"
)

// recordHandshake is the first byte of a TLS record that carries a hello, and
// recordHeader the length of what stands before its bytes.
const (
	recordHandshake = 0x16
	recordHeader    = 5
)

// wait returns when the client has sent its whole first TLS record, or
// something else. It takes nothing. The end of a client that has sent nothing
// is an error.
func (h *helloWait) wait(nc net.Conn) error {
	// A connection of another type may hold bytes that the kernel no longer
	// has.
	sc, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	var perr error
	err = rc.Read(func(fd uintptr) bool {
		state, err := peekHello(int(fd))
		perr = err
		if state == helloPart && h.begun != nil {
			h.begun()
			h.begun = nil
		}
		return state == helloWhole || err != nil
	})
	if err == nil {
		err = perr
	}
	return err
}

const (
	helloNone = iota
	helloPart
	helloWhole
)

// peekHello looks how much of a hello there is.
func peekHello(fd int) (int, error) {
	buf := getBuffer()
	defer putBuffer(buf)
	b := *buf
	n, _, err := syscall.Recvfrom(fd, b, syscall.MSG_PEEK)
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return helloNone, nil
	case err != nil:
		return helloNone, &net.OpError{Op: "read", Net: "tcp", Err: err}
	case n == 0:
		return helloNone, errSilent
	case b[0] != recordHandshake || n == len(b):
		return helloWhole, nil
	case n < recordHeader || n < recordHeader+int(b[3])<<8+int(b[4]):
		return helloPart, nil
	}
	return helloWhole, nil
}
