package relay

import (
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"netserver/internal/deadline"
)

// copySize is the size of the buffers that Copy copies with.
const copySize = 32 << 10

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, copySize); return &b }}

// A Client is a client of the server as one end of a copy.
type Client struct {
	Conn   net.Conn        // read and written
	Raw    syscall.RawConn // of Conn, if it is a plain stream socket
	Wait   Waiter          // Conn, if it can wait without a buffer
	Limits *deadline.Limits
	Rates  *deadline.Rates // nil if there are none
	Stall  time.Duration   // how long the other end may take no bytes; 0 is no limit
	Pause  *Pause          // may end copies of the client while nothing comes; nil for none
	Account
}

// A Waiter can wait for something to read without a buffer to read it into.
type Waiter interface{ WaitRead() error }

// An Account is what a client counts, and what its failures mean.
type Account interface {
	Buffered() []byte           // what was read of the client before, ahead of its handler
	Discard(n int)              // the first n bytes of that
	Received(n int)             // that many bytes have come from the client
	Sent(n int)                 // that many have gone to it
	Write([]byte) (int, error)  // writes all, or fails; counts and waits by itself
	ReadError(err error) error  // says what a failed read means; nil for nil
	WriteError(err error) error // the same for a failed write
}

// spliceFrom is how many bytes have to come at once before the kernel moves those
// that follow. A pipe costs more than to copy a line by hand.
const spliceFrom = 16 << 10

// Copy copies src to dst until src ends. On Linux the kernel moves the bytes
// between plain TCP and UNIX sockets, by splice(2), once some come at a time;
// else a buffer is held only while there is something in it.
func Copy(src *Source, dst *Sink) (total int64, err error) {
	defer src.disarm()
	defer dst.disarm()
	total, err = src.flush(dst)
	if err == nil && src.rc != nil && dst.rc != nil {
		var n int64
		for err == nil && n < spliceFrom {
			n, err = transferChunk(src, dst)
			total += n
		}
		if err != nil {
			return total, orEOF(err)
		}
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
	return total, orEOF(err)
}

// orEOF returns the error of a copy, nil for its source's end.
func orEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// transferChunk copies what can be read at once. At the end of src it returns
// io.EOF. There is no defer to give the buffer back if dst panics, as it would
// cost stack in every idle client.
func transferChunk(src *Source, dst *Sink) (int64, error) {
	buf, n, err := src.chunk()
	if buf == nil {
		return 0, err
	}
	m, werr := dst.write((*buf)[:n])
	copyBuffers.Put(buf)
	if werr != nil {
		return int64(m), werr
	}
	return int64(m), err
}

// flush writes what was read of a client before to dst.
func (s *Source) flush(dst *Sink) (total int64, err error) {
	if s.account == nil {
		return 0, nil
	}
	for {
		b := s.account.Buffered()
		if len(b) == 0 {
			return total, nil
		}
		n, err := dst.write(b)
		s.account.Discard(n)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}
