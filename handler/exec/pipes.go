package exec

import (
	"errors"
	"os"
	"sync"

	"netserver/internal/descriptors"
)

// bufferSize is how much is read from a program at once: half of a pipe, so
// that the program can go on while we write.
const bufferSize = 32 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}

// pipes are our ends of a program's descriptors.
type pipes struct {
	stdin  *os.File
	stdout *outlet
	stderr *outlet // nil unless it goes to the log
}

// openPipes makes the pipes of one program, and returns the program's ends,
// which closeAll closes once it runs.
func openPipes(to Stderr) (ours pipes, theirs [3]*os.File, err error) {
	defer func() {
		if err != nil {
			closeAll(theirs[:]...)
			ours.close()
		}
	}()
	if theirs[0], ours.stdin, err = os.Pipe(); err != nil {
		return ours, theirs, err
	}
	if ours.stdout, theirs[1], err = openOutlet(); err != nil {
		return ours, theirs, err
	}
	ours.stderr, theirs[2], err = openStderr(to, theirs[1])
	return ours, theirs, err
}

// openStderr returns a program's standard error, and our end of it if it goes
// to the log. out is the program's standard output.
func openStderr(to Stderr, out *os.File) (ours *outlet, theirs *os.File, err error) {
	switch to {
	case StderrClient:
		return nil, out, nil
	case StderrDrop:
		theirs, err = descriptors.Null()
		return nil, theirs, err
	case StderrInherit:
		return nil, os.Stderr, nil
	default:
		return openOutlet()
	}
}

func (p *pipes) close() {
	if p.stdin != nil {
		p.stdin.Close()
	}
	p.stdout.close()
	p.stderr.close()
}

// closeAll closes files, some of which may be nil or equal, except the
// server's own standard error.
func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil && f != os.Stderr {
			f.Close()
		}
	}
}

// openOutlet makes a pipe for a program to write to.
func openOutlet() (*outlet, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	o, err := newOutlet(r)
	if err != nil {
		closeAll(r, w)
		return nil, nil, err
	}
	return o, w, nil
}

// pipeSize is the capacity of a pipe, and so the most that a finished program
// can have left in it.
const pipeSize = 64 << 10

// copyTo passes the program's output to use and returns at its end: when
// nobody can write any more or, after stopWaiting, when everything written by
// then is delivered. The bytes are valid only during the call. An error of use
// ends it. A buffer is held only while it contains data.
func (o *outlet) copyTo(use func([]byte) error) error {
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
