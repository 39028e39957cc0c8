//go:build !unix

package proxy

import "net"

// A receiver receives datagrams.
type receiver struct{ c *net.UDPConn }

// init makes r receive from c.
func (r *receiver) init(c *net.UDPConn) error {
	r.c = c
	return nil
}

// receive waits for a datagram and returns it in a buffer, which goes back to
// datagrams. With an error there is none.
func (r *receiver) receive() (buf *[]byte, n int, err error) {
	buf = datagrams.Get().(*[]byte)
	n, err = r.c.Read(*buf)
	if err != nil {
		datagrams.Put(buf)
		return nil, 0, err
	}
	return buf, n, nil
}
