package program

import (
	"errors"
	"os"
	"sync"
)

// bufferSize is how much is read from a program at once: half of a pipe, so
// that the program can go on while we write.
const bufferSize = 32 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}

// OpenInlet makes a pipe for a program to read from.
func OpenInlet() (theirs, ours *os.File, err error) { return pipe(false) }

// OpenOutlet makes a pipe for a program to write to.
func OpenOutlet() (*Outlet, *os.File, error) {
	r, w, err := pipe(true)
	if err != nil {
		return nil, nil, err
	}
	o, err := newOutlet(r)
	if err != nil {
		r.Close()
		w.Close()
		return nil, nil, err
	}
	return o, w, nil
}

// pipeSize is the capacity of a pipe, and so the most that a finished program
// can have left in it.
const pipeSize = 64 << 10

// CopyTo passes the program's output to use and returns at its end: when
// nobody can write any more or, after StopWaiting, when everything written by
// then is delivered. The bytes are valid only during the call. An error of use
// ends it. A buffer is held only while it contains data.
func (o *Outlet) CopyTo(use func([]byte) error) error {
	wait, left := true, pipeSize
	for left > 0 {
		buf, n, err := o.read(wait)
		if n > 0 {
			err := use((*buf)[:n])
			buffers.Put(buf)
			if err != nil {
				return err
			}
			if !wait {
				left -= n
			}
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		wait = false
		o.clearDeadline()
	}
	return nil
}
