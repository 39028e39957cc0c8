package events

import (
	"bytes"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"netserver"
)

// A Client is one client of a Handler. Its methods may be called at any time,
// from any goroutine, but for those that say otherwise.
type Client struct {
	// Value is the program's own. It belongs to the Handler's functions.
	Value any

	h    *Handler
	conn *netserver.Conn
	at   int // in the Handler's list

	// What follows belongs to its turn.
	rest   []byte // that Input did not use
	opened bool
	eof    bool // nothing more is read

	began  atomic.Int64 // when its function was called, in Unix nanoseconds, and which; 0 for none
	warned int64        // the last began that was named in the log; of Run

	out struct {
		sync.Mutex
		list   [][]byte // that wait to be sent
		bytes  int      // in list
		closed bool     // by Close: nothing more is taken
		gone   bool     // Close has been called, or it fails: nothing more is sent
		err    error    // why it fails
	}
}

// Conn returns the connection, for what it tells of the client. It must not be
// read from or written to.
func (c *Client) Conn() *netserver.Conn { return c.conn }

// ID is that of the Conn.
func (c *Client) ID() uint64 { return c.conn.ID() }

// RemoteAddr returns the client's address.
func (c *Client) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// Note adds attributes to the client's record. It is for the Handler's
// functions.
func (c *Client) Note(attrs ...slog.Attr) { c.conn.Note(attrs...) }

// Write sends b to the client, and keeps what it does not take at once. It
// waits for nothing. An error is that of a client that ends: net.ErrClosed after
// Close, ErrSlowReceiver if too much waits.
func (c *Client) Write(b []byte) (int, error) {
	var kept []byte
	if err := c.send(b, &kept); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Waiting returns how many bytes that were written wait to be sent.
func (c *Client) Waiting() int {
	c.out.Lock()
	defer c.out.Unlock()
	return c.out.bytes
}

// Close ends the client when what was written to it has been sent. Its input is
// not read any more.
func (c *Client) Close() {
	c.out.Lock()
	c.out.closed = true
	c.out.Unlock()
	c.conn.Wake()
}

// SetTimeout has Timeout called in d, once; it replaces what was set before. 0
// is never. The limits of the server hold beside it.
func (c *Client) SetTimeout(d time.Duration) {
	end := time.Time{}
	if d > 0 {
		end = time.Now().Add(d)
	}
	c.conn.SetReadDeadline(end)
	if c.h.Parallel || c.h.running.Load() != c {
		c.conn.Wake() // it waits for another moment
	}
}

// send sends b, or keeps what is not taken: as a part of *kept, which is a copy
// of b that several clients share.
func (c *Client) send(b []byte, kept *[]byte) error {
	o := &c.out
	o.Lock()
	defer o.Unlock()
	switch {
	case o.err != nil:
		return o.err
	case o.closed || o.gone:
		return net.ErrClosed
	}
	n := 0
	for len(o.list) == 0 && n < len(b) {
		m, err := c.conn.TryWrite(b[n:])
		if n += m; err != nil {
			c.fail(err)
			return err
		}
		if m == 0 {
			break
		}
	}
	if n == len(b) && c.conn.Unsent() == 0 {
		return nil
	}
	if n < len(b) {
		if *kept == nil {
			*kept = bytes.Clone(b)
		}
		o.list = append(o.list, (*kept)[n:])
		if o.bytes += len(b) - n; o.bytes > c.h.maxOutput() {
			c.fail(ErrSlowReceiver)
			return ErrSlowReceiver
		}
	}
	c.conn.Wake() // it has to wait for output from now on
	return nil
}

// fail ends the client with an error, and forgets what waits.
func (c *Client) fail(err error) {
	c.out.err, c.out.gone = err, true
	c.conn.Wake()
}

// flush sends what waits, and reports whether some still does.
func (c *Client) flush() (waits bool, err error) {
	o := &c.out
	o.Lock()
	defer o.Unlock()
	for o.err == nil && len(o.list) > 0 {
		n, err := c.conn.TryWrite(o.list[0])
		if err != nil {
			c.fail(err)
			break
		}
		if n == 0 {
			break
		}
		o.bytes -= n
		if o.list[0] = o.list[0][n:]; len(o.list[0]) == 0 {
			o.list[0] = nil
			if o.list = o.list[1:]; len(o.list) == 0 {
				o.list = nil
			}
		}
	}
	return len(o.list) > 0 || c.conn.Unsent() > 0, o.err
}

// closing reports whether Close was called.
func (c *Client) closing() bool {
	c.out.Lock()
	defer c.out.Unlock()
	return c.out.closed
}
