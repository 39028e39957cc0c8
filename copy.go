package netserver

import (
	"io"
	"net"
	"sync"
	"time"
)

// copySize is the size of the buffers that WriteTo and ReadFrom copy with.
const copySize = 32 << 10

// spliceSize bounds one splice where a write limit is set. A splice whose
// write times out has lost what it had read, so the limit must not pass while
// bytes still move: 256 KiB within WriteTimeout are taken for progress.
const spliceSize = 256 << 10

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, copySize); return &b }}

// WriteTo copies what the client sends to w until its end; io.Copy(w, c) uses
// it. Between plain TCP and UNIX sockets the kernel moves the bytes, on Linux
// by splice(2); else a buffer is held only while there is something in it.
func (c *Conn) WriteTo(w io.Writer) (total int64, err error) {
	for c.line.len() > 0 {
		c.line.drop()
		n, err := w.Write(c.line.b[c.line.r:c.line.w])
		c.line.r += n
		c.line.settle()
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
	if d, ok := w.(*Conn); ok && d.l.datagram == nil && canSplice(d.nc, c.nc) {
		n, err := d.ReadFrom(c)
		return total + n, err
	}
	if d, ok := w.(net.Conn); ok && canSplice(d, c.nc) {
		n, err := c.spliceTo(d)
		return total + n, err
	}
	n, err := c.copyTo(w)
	return total + n, err
}

// spliceTo lets the kernel move the client's bytes to d.
func (c *Conn) spliceTo(d net.Conn) (total int64, err error) {
	for {
		c.limits.armRead(c.nc)
		n, err := splice(d, c.nc, 0)
		total += n
		if n > 0 {
			c.gotBytes(int(n))
		}
		switch {
		case err == nil:
			c.sawEOF.Store(true)
			return total, nil
		case !isTimeout(err) || c.limits.expired() != nil:
			return total, c.readErr(err)
		case !c.limits.any():
			return total, err // a deadline of d's owner
		}
	}
}

// copyTo copies through a buffer that is not held while the client is silent.
func (c *Conn) copyTo(w io.Writer) (total int64, err error) {
	for {
		buf, n, err := c.readChunk()
		if n > 0 {
			m, werr := w.Write((*buf)[:n])
			total += int64(m)
			if werr == nil && m < n {
				werr = io.ErrShortWrite
			}
			if werr != nil {
				copyBuffers.Put(buf)
				return total, werr
			}
		}
		if buf != nil {
			copyBuffers.Put(buf)
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// readChunk waits for bytes and returns them in a buffer from copyBuffers,
// which the caller gives back; nil if there is none.
func (c *Conn) readChunk() (buf *[]byte, n int, err error) {
	for {
		c.limits.armRead(c.nc)
		switch {
		case c.rc != nil:
			if c.rawChunk == nil {
				c.rawChunk = newRawReader(c.takeChunk, c.releaseChunk)
			}
			n, err = c.rawChunk.read(c)
			buf, c.chunk = c.chunk, nil
		case c.wait != nil:
			if err = c.wait.WaitRead(); err == nil {
				buf = copyBuffers.Get().(*[]byte)
				n, err = c.nc.Read(*buf)
			}
		default:
			buf = copyBuffers.Get().(*[]byte)
			n, err = c.nc.Read(*buf)
		}
		if n > 0 {
			c.gotBytes(n)
			return buf, n, c.readErr(err)
		}
		if buf != nil {
			copyBuffers.Put(buf)
			buf = nil
		}
		if err == nil || !c.again(err) {
			return nil, 0, c.readErr(orNoProgress(err))
		}
	}
}

// takeChunk and releaseChunk hold the buffer that rawChunk reads into.
func (c *Conn) takeChunk() []byte {
	if c.chunk == nil {
		c.chunk = copyBuffers.Get().(*[]byte)
	}
	return *c.chunk
}

func (c *Conn) releaseChunk() {
	copyBuffers.Put(c.chunk)
	c.chunk = nil
}

// ReadFrom copies r to the client until its end; io.Copy(c, r) uses it.
// Between plain TCP and UNIX sockets the kernel moves the bytes. Then, if c has
// an idle limit, r's read deadline is used to look in on the transfer.
func (c *Conn) ReadFrom(r io.Reader) (total int64, err error) {
	src := sourceOf(r)
	if src == nil || c.l.datagram != nil || !canSplice(c.nc, src.conn) {
		return c.copyFrom(r)
	}
	for {
		limit := int64(0)
		if c.limits.write > 0 || !c.limits.end.IsZero() {
			limit = spliceSize
		}
		c.limits.armWrite(c.nc)
		src.arm(c.limits.idle)
		n, err := splice(c.nc, src.conn, limit)
		total += n
		c.out.Add(uint64(n))
		src.got(n)
		if n > 0 {
			c.limits.active()
		}
		if again, err := c.spliced(src, n, limit, err); !again {
			return total, err
		}
	}
}

// spliced decides whether a transfer to the client goes on.
func (c *Conn) spliced(src *source, n, limit int64, err error) (again bool, _ error) {
	switch {
	case err == nil && (limit == 0 || n < limit):
		src.ended()
		return false, nil
	case err == nil:
		return true, nil
	case isTimeout(err) && src.early():
		return true, nil
	case isTimeout(err) && src.err() != nil:
		return false, src.err()
	case isTimeout(err):
		return false, c.writeErr(err)
	}
	return false, c.orCause(err)
}

// copyFrom copies through a buffer.
func (c *Conn) copyFrom(r io.Reader) (total int64, err error) {
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	for {
		n, rerr := r.Read(*buf)
		if n > 0 {
			m, err := c.Write((*buf)[:n])
			total += int64(m)
			if err != nil {
				return total, err
			}
		}
		if rerr == io.EOF {
			return total, nil
		}
		if rerr != nil {
			return total, rerr
		}
	}
}

// A source is the reading end of a splice: a client of ours or a socket of the
// Handler's.
type source struct {
	conn   net.Conn
	client *Conn // if it is one
	until  time.Time
}

func sourceOf(r io.Reader) *source {
	switch r := r.(type) {
	case *Conn:
		if r.line.len() == 0 && r.l.datagram == nil {
			return &source{conn: r.nc, client: r}
		}
	case *net.TCPConn:
		return &source{conn: r}
	case *net.UnixConn:
		return &source{conn: r}
	case tcpInDisguise:
		// (*net.TCPConn).WriteTo passes itself on so, hiding its WriteTo.
		return &source{conn: r}
	}
	return nil
}

// tcpInDisguise is what a type that embeds *net.TCPConn has and others lack.
type tcpInDisguise interface {
	net.Conn
	SetNoDelay(bool) error
	SetLinger(int) error
}

func (s *source) arm(idle time.Duration) {
	if s.client != nil {
		s.client.limits.armRead(s.conn)
	} else if idle > 0 {
		s.until = time.Now().Add(idle / 4)
		s.conn.SetReadDeadline(s.until)
	}
}

func (s *source) got(n int64) {
	if s.client != nil && n > 0 {
		s.client.gotBytes(int(n))
	}
}

func (s *source) ended() {
	if s.client != nil {
		s.client.sawEOF.Store(true)
	}
}

// early reports whether the read deadline was only a look in on the transfer.
func (s *source) early() bool {
	if s.client != nil {
		return s.client.limits.any() && s.client.limits.expired() == nil
	}
	return !s.until.IsZero() && !time.Now().Before(s.until)
}

// err returns the limit of the client that has passed.
func (s *source) err() error {
	if s.client != nil {
		return s.client.limits.expired()
	}
	return nil
}

// canSplice reports whether the kernel can move bytes from src to dst.
func canSplice(dst, src net.Conn) bool {
	switch dst.(type) {
	case *net.TCPConn:
		return isStreamSocket(src)
	case *net.UnixConn:
		_, ok := src.(*net.TCPConn)
		return ok && isStreamSocket(dst)
	}
	return false
}

func isStreamSocket(c net.Conn) bool {
	switch c := c.(type) {
	case *net.TCPConn, tcpInDisguise:
		return true
	case *net.UnixConn:
		return c.LocalAddr().Network() == "unix"
	}
	return false
}

// splice moves up to limit bytes, or all of them if limit is 0.
func splice(dst, src net.Conn, limit int64) (int64, error) {
	var r io.Reader = src
	if limit > 0 {
		r = &io.LimitedReader{R: src, N: limit}
	}
	if d, ok := dst.(*net.TCPConn); ok {
		return d.ReadFrom(r)
	}
	return io.Copy(dst, r)
}
