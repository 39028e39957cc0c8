package netserver

import (
	"io"
	"sync"
)

// copySize is the size of the buffers that WriteTo and ReadFrom copy with.
const copySize = 32 << 10

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, copySize); return &b }}

// WriteTo copies what the client sends to w until its end; io.Copy(w, c) uses
// it. On Linux the kernel moves the bytes between plain TCP and UNIX sockets,
// by splice(2); else a buffer is held only while there is something in it.
//
// If w is a net.Conn that takes no bytes for Config.WriteTimeout, WriteTo
// returns an error with a passed deadline in it; for that it uses w's write
// deadline.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	return transfer(&source{client: c}, sinkOf(w, c))
}

// ReadFrom copies r to the client until r's end; io.Copy(c, r) uses it. The
// kernel moves the bytes where it can, as in WriteTo.
//
// If r is a net.Conn, the limits of c hold while nothing comes from it: if c
// has any, r's read deadline is used for that.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	return transfer(sourceOf(r, c), &sink{client: c, rc: c.rc})
}

// transfer copies src to dst until src ends.
func transfer(src *source, dst *sink) (total int64, err error) {
	src.init()
	defer src.disarm()
	defer dst.disarm()
	total, err = src.flush(dst)
	if err == nil && src.rc != nil && dst.rc != nil {
		var n int64
		if n, err = splice(src, dst); err != errNoSplice {
			return total + n, err
		}
		total, err = total+n, nil
	}
	for err == nil {
		var n int64
		n, err = transferChunk(src, dst)
		total += n
	}
	if err == io.EOF {
		err = nil
	}
	return total, err
}

// transferChunk copies what can be read at once. At the end of src it returns
// io.EOF.
func transferChunk(src *source, dst *sink) (int64, error) {
	buf, n, err := src.chunk()
	if buf == nil {
		return 0, err
	}
	defer copyBuffers.Put(buf)
	m, werr := dst.write((*buf)[:n])
	if werr != nil {
		return int64(m), werr
	}
	return int64(m), err
}

// flush writes what a client's line reads have left to dst.
func (s *source) flush(dst *sink) (total int64, err error) {
	if s.client == nil {
		return 0, nil
	}
	l := &s.client.line
	for l.len() > 0 {
		l.drop()
		n, err := dst.write(l.b[l.r:l.w])
		l.r += n
		l.settle()
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
