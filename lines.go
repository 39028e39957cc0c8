package netserver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"netserver/internal/relay"
)

// bufferSize is the size of a pooled read buffer. Longer lines get a larger
// one of their own.
const bufferSize = 4 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}

func getBuffer() *[]byte  { return buffers.Get().(*[]byte) }
func putBuffer(b *[]byte) { buffers.Put(b) }

// A lineBuffer holds bytes that were read ahead of the Handler. It has a
// buffer only while there is something in it.
type lineBuffer struct {
	pooled *[]byte // the pool's buffer, if b is in it
	b      []byte
	r, w   int
	last   int // bytes returned by the last call, to be dropped at the next
}

func (l *lineBuffer) len() int { return l.w - l.r - l.last }

// take moves bytes to p.
func (l *lineBuffer) take(p []byte) int {
	l.drop()
	n := copy(p, l.b[l.r:l.w])
	l.r += n
	l.settle()
	return n
}

// drop forgets what the last call returned.
func (l *lineBuffer) drop() {
	l.r += l.last
	l.last = 0
	l.settle()
}

// settle gives an empty buffer back.
func (l *lineBuffer) settle() {
	if l.r == l.w && l.last == 0 {
		l.release()
	}
}

func (l *lineBuffer) release() {
	if l.pooled != nil {
		putBuffer(l.pooled)
	}
	*l = lineBuffer{}
}

// space returns room for at least one more byte, in a buffer of at most limit
// bytes.
func (l *lineBuffer) space(limit int) []byte {
	if l.b == nil {
		l.pooled = getBuffer()
		l.b = *l.pooled
	}
	if l.w == len(l.b) && l.r > 0 {
		copy(l.b, l.b[l.r:l.w])
		l.w -= l.r
		l.r = 0
	}
	if l.w == len(l.b) {
		b := make([]byte, min(2*len(l.b), max(limit, len(l.b)+1)))
		copy(b, l.b[:l.w])
		if l.pooled != nil {
			putBuffer(l.pooled)
			l.pooled = nil
		}
		l.b = b
	}
	return l.b[l.w:]
}

// marks are what is known of what has passed, each set once.
type marks struct{ v atomic.Uint32 }

const (
	markEOF       = 1 << iota // the client sends no more
	markUncounted             // nobody knows how many bytes have passed
)

func (m *marks) set(mark uint32)      { m.v.Or(mark) }
func (m *marks) has(mark uint32) bool { return m.v.Load()&mark != 0 }

// A readerState keeps a goroutine that reads lines from the others: from a
// second one, and from the engine, which at the client's end gives the buffer
// to other clients. A Handler may have returned while a goroutine of its own
// still reads.
type readerState struct{ v atomic.Uint32 }

const (
	readerNone = iota
	readerInside
	readerEnded
)

var (
	errHandlerReturned = fmt.Errorf("the Handler of this Conn has returned: %w", net.ErrClosed)
	errTwoReaders      = errors.New("two goroutines read from this Conn at the same time")
)

// enter and leave stand around what uses the line buffer.
func (r *readerState) enter() error {
	if r.v.CompareAndSwap(readerNone, readerInside) {
		return nil
	}
	if r.ended() {
		return errHandlerReturned
	}
	return errTwoReaders
}

func (r *readerState) leave() { r.v.CompareAndSwap(readerInside, readerNone) }

// end lets nobody in any more and reports whether nobody is inside.
func (r *readerState) end() bool { return r.v.Swap(readerEnded) != readerInside }

func (r *readerState) ended() bool { return r.v.Load() == readerEnded }

// ReadLine returns the next line without its LF or CRLF. The last line may
// lack its end; after it ReadLine returns io.EOF. The line is valid until the
// next read. A line longer than Config.Limits.MaxLine, its end included, gives
// ErrLineTooLong.
func (c *Conn) ReadLine() ([]byte, error) {
	if err := c.lines.reader.enter(); err != nil {
		return nil, err
	}
	line, err := c.readUntil('\n', c.l.cfg.Limits.MaxLine, false)
	c.lines.reader.leave()
	if err != nil {
		return nil, err
	}
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
	}
	return line, nil
}

// ReadUntil returns the bytes up to and including the first delim, or the next
// n bytes if delim is not among them; n of 0 means Config.Limits.MaxLine, and then
// bytes without a delim give ErrLineTooLong. At the client's end it returns
// what was left, and then io.EOF. The bytes are valid until the next read.
func (c *Conn) ReadUntil(delim byte, n int) ([]byte, error) {
	if n < 0 {
		return nil, fmt.Errorf("ReadUntil: negative count %d", n)
	}
	if err := c.lines.reader.enter(); err != nil {
		return nil, err
	}
	defer c.lines.reader.leave()
	if n == 0 {
		return c.readUntil(delim, c.l.cfg.Limits.MaxLine, false)
	}
	return c.readUntil(delim, n, true)
}

// readUntil returns bytes through delim. Without one among the first limit it
// returns those, if cut is set, or else ErrLineTooLong.
func (c *Conn) readUntil(delim byte, limit int, cut bool) ([]byte, error) {
	l := &c.lines.buf
	l.drop()
	for seen := 0; ; {
		have := l.b[l.r : l.r+min(l.w-l.r, limit)]
		if i := bytes.IndexByte(have[seen:], delim); i >= 0 {
			l.last = seen + i + 1
			return have[:l.last], nil
		}
		if seen = len(have); seen == limit {
			if !cut {
				return nil, fmt.Errorf("%w: no end within %d bytes", ErrLineTooLong, limit)
			}
			l.last = seen
			return have, nil
		}
		if err := c.fill(limit); err != nil {
			if err == io.EOF && seen > 0 {
				l.last = seen
				return l.b[l.r : l.r+seen], nil
			}
			return nil, err
		}
	}
}

// Peek returns the next n bytes without taking them: they stay for the next
// read. n may be up to Config.Limits.MaxLine. It waits until n bytes are there; at the
// client's end it returns what there is and io.EOF. The bytes are valid until
// the next read.
func (c *Conn) Peek(n int) ([]byte, error) {
	limit := c.l.cfg.Limits.MaxLine
	if n < 0 || n > limit {
		return nil, fmt.Errorf("Peek: %d is not between 0 and MaxLine, %d", n, limit)
	}
	if err := c.lines.reader.enter(); err != nil {
		return nil, err
	}
	defer c.lines.reader.leave()
	l := &c.lines.buf
	l.drop()
	for l.w-l.r < n {
		// The buffer is doubled, whatever n is: who peeks at a byte more each
		// time would have it copied for every byte.
		if err := c.fill(limit); err != nil {
			return l.b[l.r:l.w], err
		}
	}
	return l.b[l.r : l.r+n], nil
}

// MaxLine returns how many bytes a line may have, its end included:
// Config.Limits.MaxLine, or what the port has in its place.
func (c *Conn) MaxLine() int { return c.l.cfg.Limits.MaxLine }

// Buffered returns how many bytes can be read without asking the connection.
func (c *Conn) Buffered() int { return c.lines.buf.len() }

// fill reads more into the line buffer. While it waits with nothing buffered,
// it holds no buffer.
func (c *Conn) fill(limit int) error {
	l := &c.lines.buf
	for {
		c.limits.ArmRead(c.nc)
		c.rates.BeginRead()
		n, err := c.readAhead(limit)
		if n > 0 {
			l.w += n
			c.gotBytes(n)
		}
		c.rates.EndRead()
		if n > 0 {
			return nil
		}
		l.settle()
		if err == nil || !c.limits.Early(err) {
			return c.readErr(orNoProgress(err))
		}
	}
}

func orNoProgress(err error) error {
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// readAhead reads into the line buffer once.
func (c *Conn) readAhead(limit int) (int, error) {
	if c.rc != nil && c.lines.buf.b == nil {
		if c.lines.raw == nil {
			c.lines.raw = relay.NewRawReader(func() []byte { return c.lines.buf.space(0) }, c.lines.buf.release)
		}
		return c.lines.raw.Read(c.rc, c.nc)
	}
	if c.wait != nil && c.lines.buf.b == nil {
		if err := c.wait.WaitRead(); err != nil {
			return 0, err
		}
	}
	return c.nc.Read(c.lines.buf.space(limit))
}
