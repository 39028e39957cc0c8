//go:build unix

package program

import (
	"io"
	"os"
	"syscall"
	"time"
)

// An Outlet is our end of a pipe that a program writes to.
type Outlet struct {
	f  *os.File
	rc syscall.RawConn
}

func newOutlet(f *os.File) (*Outlet, error) {
	rc, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &Outlet{f: f, rc: rc}, nil
}

func (o *Outlet) Close() {
	if o != nil {
		o.f.Close()
	}
}

// StopWaiting makes CopyTo return after d, once everything written by then is
// delivered.
func (o *Outlet) StopWaiting(d time.Duration) {
	if o != nil {
		o.f.SetReadDeadline(time.Now().Add(d))
	}
}

func (o *Outlet) clearDeadline() { o.f.SetReadDeadline(time.Time{}) }

// read returns bytes in a buffer that the caller returns, or an error and no
// buffer. Without wait it returns io.EOF if there are none now.
func (o *Outlet) read(wait bool) (buf *[]byte, n int, err error) {
	werr := o.rc.Read(func(fd uintptr) bool {
		buf = buffers.Get().(*[]byte)
		for {
			n, err = syscall.Read(int(fd), *buf)
			if err != syscall.EINTR {
				break
			}
		}
		if n > 0 {
			return true
		}
		buffers.Put(buf)
		buf = nil
		return err != syscall.EAGAIN || !wait
	})
	switch {
	case n > 0:
		return buf, n, nil
	case werr != nil:
		return nil, 0, werr
	case err == nil || err == syscall.EAGAIN:
		return nil, 0, io.EOF
	}
	return nil, 0, err
}
