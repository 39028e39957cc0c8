//go:build !unix

package exec

import (
	"os"
	"time"
)

// An outlet is our end of a pipe that a program writes to.
type outlet struct{ f *os.File }

func newOutlet(f *os.File) (*outlet, error) { return &outlet{f: f}, nil }

func (o *outlet) close() {
	if o != nil {
		o.f.Close()
	}
}

// stopWaiting closes the pipe after d: nothing gentler ends a read here.
func (o *outlet) stopWaiting(d time.Duration) {
	if o != nil {
		time.AfterFunc(d, o.close)
	}
}

func (o *outlet) clearDeadline() {}

// read returns bytes in a buffer that the caller returns, or an error and no
// buffer.
func (o *outlet) read(bool) (*[]byte, int, error) {
	buf := buffers.Get().(*[]byte)
	n, err := o.f.Read(*buf)
	if n <= 0 {
		buffers.Put(buf)
		return nil, 0, err
	}
	return buf, n, nil
}
