//go:build unix

package proxy

import (
	"net"
	"syscall"
)

// A receiver receives datagrams. It has a buffer only while there is one: a
// session that waits holds none.
type receiver struct {
	raw syscall.RawConn
	try func(fd uintptr) bool
	buf *[]byte
	n   int
	err error
}

// init makes r receive from c.
func (r *receiver) init(c *net.UDPConn) (err error) {
	r.raw, err = c.SyscallConn()
	r.try = r.read
	return err
}

// receive waits for a datagram and returns it in a buffer, which goes back to
// datagrams. With an error there is none.
func (r *receiver) receive() (buf *[]byte, n int, err error) {
	if err := r.raw.Read(r.try); err != nil {
		return nil, 0, err
	}
	buf, r.buf = r.buf, nil
	return buf, r.n, r.err
}

// read reads if there is something, and returns false if there is nothing.
func (r *receiver) read(fd uintptr) bool {
	buf := datagrams.Get().(*[]byte)
	for {
		r.n, r.err = syscall.Read(int(fd), *buf)
		if r.err != syscall.EINTR {
			break
		}
	}
	if r.err != nil {
		datagrams.Put(buf)
		return r.err != syscall.EAGAIN
	}
	r.buf = buf
	return true
}
