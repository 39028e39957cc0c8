package session

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// What may wait in a session's queue. A datagram of any size may if it is the
// only one.
const (
	maxQueued      = 128
	maxQueuedBytes = 128 << 10
)

// A Datagram is one datagram as a connection: Read reads from it and returns
// io.EOF at its end, Write sends one to its sender, and Close frees it. It
// stays of use for writing after the Close of the listener that it came from.
type Datagram interface {
	net.Conn
	Len() int // bytes that are not read yet
}

// ErrEvicted ends a session that has to make room for another.
var ErrEvicted = errors.New("too many sessions; this was the oldest of the source with the most")

// A Conn is the session of a client as a net.Conn. Each Read returns one
// datagram of the client, and io.ErrShortBuffer with what fits of a longer one;
// it waits for the next. Each Write sends one back, from the address that the
// client's went to. Its methods may be called concurrently.
type Conn struct {
	Datagram // the first one; answers go to its sender

	key      key
	source   *source // it is counted under; these are guarded by the Table
	place    place
	known    bool // its client has heard us and answered
	gone     bool // it is in the Table no more
	evicted  bool
	evict    func(why error)
	answered atomic.Bool // something was sent to the client

	in, out, dropped atomic.Uint64 // datagrams; dropped ones are in in, too

	mu     sync.Mutex
	come   sync.Cond // something to read, or why there is nothing
	queue  []Datagram
	bytes  int // in queue
	read   bool
	closed bool
	late   bool        // the read deadline has passed
	notify func()      // told of what comes; nil for nobody
	timer  *time.Timer // of that
}

func newConn(first Datagram, k key) *Conn {
	c := &Conn{Datagram: first, key: k}
	c.come.L = &c.mu
	return c
}

// Counts returns how many datagrams came from the client, how many went to it,
// and how many of the first were dropped because too many waited.
func (c *Conn) Counts() (in, out, dropped uint64) {
	return c.in.Load(), c.out.Load(), c.dropped.Load()
}

// put takes a datagram into the queue, or drops it if that is full.
func (c *Conn) put(d Datagram) {
	c.in.Add(1)
	n := d.Len()
	c.mu.Lock()
	fits := len(c.queue) == 0 || len(c.queue) < maxQueued && c.bytes+n <= maxQueuedBytes
	if fits {
		c.queue = append(c.queue, d)
		c.bytes += n
	}
	notify := c.notify
	c.mu.Unlock()
	if !fits {
		c.dropped.Add(1)
		c.free(d)
		return
	}
	c.come.Signal()
	if notify != nil {
		notify()
	}
}

// Notify has f called for each datagram that comes. It must not wait.
func (c *Conn) Notify(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notify = f
}

// HasCome reports whether a Read would not wait.
func (c *Conn) HasCome() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue) > 0 || c.closed || c.late
}

// free frees a datagram that is done with, but not the first: answers go by
// it.
func (c *Conn) free(d Datagram) {
	if d != c.Datagram {
		d.Close()
	}
}

// Next waits for a datagram. The caller has to give it to Done.
func (c *Conn) Next() (Datagram, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return nil, net.ErrClosed
		case c.late:
			return nil, os.ErrDeadlineExceeded
		case len(c.queue) > 0:
			d := c.queue[0]
			c.queue[0] = nil
			c.queue = c.queue[1:]
			c.bytes -= d.Len()
			c.read = true
			return d, nil
		}
		c.come.Wait()
	}
}

// Done frees a datagram that Next has returned.
func (c *Conn) Done(d Datagram) { c.free(d) }

// Read waits for a datagram and reads it into p.
func (c *Conn) Read(p []byte) (int, error) {
	d, err := c.Next()
	if err != nil {
		return 0, &net.OpError{Op: "read", Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
	}
	defer c.Done(d)
	size := d.Len()
	n, err := d.Read(p)
	switch {
	case err != nil && err != io.EOF: // an empty one is all read
		return n, err
	case n < size:
		return n, io.ErrShortBuffer
	}
	return n, nil
}

// Write sends p to the client as one datagram.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.Datagram.Write(p)
	if err == nil {
		c.out.Add(1)
		c.answered.Store(true)
	}
	return n, err
}

// SetReadDeadline makes reads fail after t; the zero time removes the deadline.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	c.late = false
	if t.IsZero() {
		return nil
	}
	if wait := time.Until(t); wait > 0 {
		var own *time.Timer
		own = time.AfterFunc(wait, func() { c.tooLate(&own) })
		c.timer = own
		return nil
	}
	c.late = true
	c.come.Broadcast()
	return nil
}

// tooLate ends reads, unless t is no longer the deadline's timer.
func (c *Conn) tooLate(t **time.Timer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer == *t {
		c.late = true
		c.come.Broadcast()
	}
}

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// Close ends reads and writes. The session keeps its place until Table.Leave.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.come.Broadcast()
	return c.Datagram.Close()
}

// rest empties the queue and returns what was in it, if any of the session has
// been read: one that was of no use to its Handler would be of none again.
func (c *Conn) rest() []Datagram {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.queue
	c.queue, c.bytes = nil, 0
	if !c.read {
		for _, d := range list {
			c.free(d)
		}
		return nil
	}
	return list
}
