package sock

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// ErrNoReturnAddress is the error of writing to a sender without an address: a
// UNIX datagram client that did not bind its socket.
var ErrNoReturnAddress = errors.New("the datagram has no return address: its sender did not bind a socket file")

// A DatagramConn is a net.Conn for one datagram and the answers to its sender.
// Read returns the packet and then io.EOF; for an empty packet only io.EOF.
// Each Write sends one packet. Its methods may be called concurrently.
type DatagramConn struct {
	l             *DatagramListener
	local, remote net.Addr
	back          from // where answers go

	mu            sync.Mutex
	buf           *[]byte // borrowed from l, or nil
	rest          []byte  // the unread part of buf
	closed        bool
	readDeadline  time.Time
	writeDeadline time.Time
}

// Datagram reports that this is a datagram: each Write is one packet.
func (c *DatagramConn) Datagram() bool { return true }

// Packet returns the unread part of the packet, which is all of it before the
// first Read, and hands it over: it stays valid after Close, and the next Read
// returns io.EOF. It returns nil if nothing is left.
func (c *DatagramConn) Packet() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.rest
	c.buf, c.rest = nil, nil // the buffer does not go back to the pool
	if len(p) == 0 {
		return nil
	}
	return p[:len(p):len(p)]
}

// Len returns how many bytes of the packet are not read yet.
func (c *DatagramConn) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.rest)
}

// Read reads from the packet. The rest is there for the next Read. It never
// blocks.
func (c *DatagramConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.usable(c.readDeadline); err != nil {
		return 0, c.opError("read", err)
	}
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	if len(c.rest) == 0 {
		c.freeBuffer()
	}
	return n, nil
}

// WriteTo writes the unread part of the packet, even if empty, to w in one
// Write. It makes io.Copy keep packets whole.
func (c *DatagramConn) WriteTo(w io.Writer) (int64, error) {
	c.mu.Lock()
	err := c.usable(c.readDeadline)
	buf, rest := c.buf, c.rest
	if err == nil {
		c.buf, c.rest = nil, nil
	}
	c.mu.Unlock()
	if err != nil {
		return 0, c.opError("read", err)
	}
	n, err := w.Write(rest)
	if buf != nil {
		c.l.buffers.put(buf)
	}
	return int64(n), err
}

// Write sends p to the datagram's sender as one packet. While the receive
// queue of a UNIX datagram's sender is full, Write waits until the write
// deadline, or 10 seconds without one.
func (c *DatagramConn) Write(p []byte) (int, error) {
	err := c.writable()
	if err == nil {
		err = c.l.sock.send(c, p)
	}
	if err != nil {
		return 0, c.opError("write", err)
	}
	return len(p), nil
}

// writable returns why writing is impossible now, or nil.
func (c *DatagramConn) writable() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.usable(c.writeDeadline)
}

// usable needs c.mu.
func (c *DatagramConn) usable(deadline time.Time) error {
	if c.closed {
		return net.ErrClosed
	}
	if !deadline.IsZero() && !time.Now().Before(deadline) {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// opError adds the operation and the addresses to err.
func (c *DatagramConn) opError(op string, err error) error {
	var oe *net.OpError
	if errors.As(err, &oe) {
		err = oe.Err // package net's own has the wildcard address
	}
	return &net.OpError{Op: op, Net: c.local.Network(), Source: c.local, Addr: c.remote, Err: err}
}

// freeBuffer needs c.mu.
func (c *DatagramConn) freeBuffer() {
	if c.buf != nil {
		c.l.buffers.put(c.buf)
	}
	c.buf, c.rest = nil, nil
}

// Close releases the datagram. Further calls have no effect.
func (c *DatagramConn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.freeBuffer()
	c.mu.Unlock()
	return c.l.release()
}

// LocalAddr returns the address that the datagram was sent to: on Linux the
// actual one, even if the socket is bound to the wildcard.
func (c *DatagramConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the sender's address. Its name is empty if a UNIX
// datagram's sender has none.
func (c *DatagramConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *DatagramConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline makes Read fail after t; the zero time removes the deadline.
func (c *DatagramConn) SetReadDeadline(t time.Time) error { return c.setDeadline(&c.readDeadline, t) }

// SetWriteDeadline makes Write fail after t; the zero time removes the
// deadline. A waiting Write notices it within 50 milliseconds, unless it waits
// for the system's send buffer, which all connections share.
func (c *DatagramConn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(&c.writeDeadline, t)
}

func (c *DatagramConn) setDeadline(d *time.Time, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	*d = t
	return nil
}
