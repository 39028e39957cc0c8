package httpd

import (
	"os"
	"sync"
	"time"
)

// net/http sets the read deadline some five times for a request, mostly while
// nobody reads. Each would be a timer. So a deadline is only noted, and set on
// the connection by a read that needs it: one that is set already stays if it is
// early enough, and when it fires too early the read goes on.

// reads are the read deadlines of a connection.
type reads struct {
	mu      sync.Mutex
	reading bool
	want    time.Time // what net/http or the handler has asked for
	armed   time.Time // what is set on the connection

	written bool // a write deadline is set
}

func (r *reads) busy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reading
}

// SetReadDeadline sets the deadline of reads. It ends one that waits, if it has
// passed.
func (hc *conn) SetReadDeadline(t time.Time) error {
	r := &hc.reads
	r.mu.Lock()
	defer r.mu.Unlock()
	r.want = t
	if !r.reading {
		return nil
	}
	return r.arm(hc)
}

// SetWriteDeadline sets the deadline of writes. net/http takes it away after
// each answer.
func (hc *conn) SetWriteDeadline(t time.Time) error {
	r := &hc.reads
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.IsZero() && !r.written {
		return nil
	}
	r.written = !t.IsZero()
	return hc.c.SetWriteDeadline(t)
}

// readBy reads up to the deadline.
func (hc *conn) readBy(b []byte) (n int, err error) {
	if !hc.beginRead() {
		return 0, os.ErrDeadlineExceeded
	}
	for {
		n, err = hc.c.Read(b)
		if err == nil || err != os.ErrDeadlineExceeded || !hc.early() {
			break
		}
	}
	hc.reads.mu.Lock()
	hc.reads.reading = false
	hc.reads.mu.Unlock()
	return n, err
}

// beginRead sets the deadline for a read. It returns false if net/http has ended
// the read before it begins.
func (hc *conn) beginRead() bool {
	r := &hc.reads
	r.mu.Lock()
	defer r.mu.Unlock()
	if isPast(r.want) {
		return false
	}
	r.reading = true
	if !r.suffices() {
		r.arm(hc)
	}
	return true
}

// isPast reports whether t is what net/http ends a read with.
func isPast(t time.Time) bool { return !t.IsZero() && t.Unix() <= 1 }

// suffices reports whether the deadline that is set does not let a read wait for
// too long. It may end it too early.
func (r *reads) suffices() bool {
	switch {
	case r.armed.IsZero():
		return r.want.IsZero()
	case isPast(r.armed):
		return false
	}
	return r.want.IsZero() || !r.armed.After(r.want)
}

func (r *reads) arm(hc *conn) error {
	r.armed = r.want
	return hc.c.SetReadDeadline(r.want)
}

// disarm leaves the connection with the deadline that was asked for.
func (hc *conn) disarm() {
	hc.reads.mu.Lock()
	defer hc.reads.mu.Unlock()
	hc.reads.arm(hc)
}

// early reports whether the deadline that has ended a read came too early, and
// sets the right one then.
func (hc *conn) early() bool {
	r := &hc.reads
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.want.IsZero() && !time.Now().Before(r.want) {
		return false
	}
	r.arm(hc)
	return true
}
