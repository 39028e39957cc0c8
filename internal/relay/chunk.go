package relay

import (
	"io"
	"net"
	"syscall"
)

// A chunkReader reads into buffers from copyBuffers that it takes only once
// there is something to read, where r lets it know.
type chunkReader struct {
	r    io.Reader
	conn net.Conn        // r, if rc is set
	rc   syscall.RawConn // of a plain stream socket
	wait Waiter
	raw  *RawReader
	buf  *[]byte
}

func (c *chunkReader) init(r io.Reader, conn net.Conn, rc syscall.RawConn, wait Waiter) {
	c.r, c.conn, c.rc, c.wait = r, conn, rc, wait
}

// read returns a buffer if there are bytes, and else an error. It may return
// both.
func (c *chunkReader) read() (buf *[]byte, n int, err error) {
	switch {
	case c.rc != nil:
		if c.raw == nil {
			c.raw = NewRawReader(c.take, c.release)
		}
		n, err = c.raw.Read(c.rc, c.conn)
	case c.wait != nil:
		if err = c.wait.WaitRead(); err == nil {
			n, err = c.r.Read(c.take())
		}
	default:
		n, err = c.r.Read(c.take())
	}
	if n == 0 {
		c.release()
	}
	buf, c.buf = c.buf, nil
	return buf, n, err
}

func (c *chunkReader) take() []byte {
	if c.buf == nil {
		c.buf = copyBuffers.Get().(*[]byte)
	}
	return *c.buf
}

func (c *chunkReader) release() {
	if c.buf != nil {
		copyBuffers.Put(c.buf)
		c.buf = nil
	}
}
