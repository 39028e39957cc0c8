//go:build !unix

package program

import (
	"os"
	"time"
)

// An Outlet is our end of a pipe that a program writes to.
type Outlet struct{ f *os.File }

func newOutlet(f *os.File) (*Outlet, error) { return &Outlet{f: f}, nil }

func (o *Outlet) Close() {
	if o != nil {
		o.f.Close()
	}
}

// StopWaiting closes the pipe after d: nothing gentler ends a read here.
func (o *Outlet) StopWaiting(d time.Duration) {
	if o != nil {
		time.AfterFunc(d, o.Close)
	}
}

func (o *Outlet) clearDeadline() {}

// read returns bytes in a buffer that the caller returns, or an error and no
// buffer.
func (o *Outlet) read(bool) (*[]byte, int, error) {
	buf := buffers.Get().(*[]byte)
	n, err := o.f.Read(*buf)
	if n <= 0 {
		buffers.Put(buf)
		return nil, 0, err
	}
	return buf, n, nil
}
