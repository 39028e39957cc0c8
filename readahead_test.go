package netserver

import (
	"errors"
	"net"
	"testing"
)

// A waitConn cannot be read before its end has been told by WaitRead.
type waitConn struct {
	net.Conn
	err  error
	wait int
}

func (c *waitConn) WaitRead() error            { c.wait++; return c.err }
func (c *waitConn) Read(b []byte) (int, error) { return copy(b, "x"), nil }

// A client that is idle between lines has no buffer; one in the middle of a
// line has one, and is read without waiting apart.
func TestIdleBetweenLinesHasNoBuffer(t *testing.T) {
	w := &waitConn{err: errors.New("idle")}
	c := new(Conn)
	c.nc, c.wait = w, w
	if n, err := c.readAhead(8); n != 0 || err != w.err || c.lines.buf.b != nil {
		t.Errorf("idle: %d, %v, a buffer of %d bytes", n, err, len(c.lines.buf.b))
	}
	w.err = nil
	if n, err := c.readAhead(8); n != 1 || err != nil || w.wait != 2 {
		t.Errorf("something to read: %d, %v, waited %d times", n, err, w.wait)
	}
	if n, err := c.readAhead(8); n != 1 || err != nil || w.wait != 2 {
		t.Errorf("in a line: %d, %v, waited %d times", n, err, w.wait)
	}
}
