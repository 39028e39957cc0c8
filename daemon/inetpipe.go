package daemon

import (
	"context"
	"io"
	"io/fs"
	"net"
	"os"
	"time"

	"netserver/internal/childproc"
)

// A piped client of type INET is one whose bytes come by standard input and go
// by standard output, which are no socket: pipes, files or a terminal, as
// Net::Server::INET takes them. What serves it gets one end of a socket pair,
// so that limits, TLS and programs work as with any client.
type piped struct {
	*net.UnixConn
	addr net.Addr
}

// LocalAddr returns an address that is none: rules judge it as 0.0.0.0, which
// is what the original calls such a client.
func (c *piped) LocalAddr() net.Addr { return c.addr }

// RemoteAddr returns the same.
func (c *piped) RemoteAddr() net.Addr { return c.addr }

// pipeFlushTime bounds the wait for what a client that is done has still to read.
const pipeFlushTime = 10 * time.Second

// pipeClient makes a client of in and out. flush waits until all that was sent
// to it is out, or a while.
func pipeClient(in, out *os.File) (nc net.Conn, flush func(), err error) {
	a, b, err := childproc.NewPair()
	if err != nil {
		return nil, nil, err
	}
	defer a.Close()
	defer b.Close()
	near, err := childproc.ConnOf(a)
	if err != nil {
		return nil, nil, err
	}
	far, err := childproc.ConnOf(b)
	if err != nil {
		near.Close()
		return nil, nil, err
	}
	go fromPipe(far.(*net.UnixConn), in) // as NewPair makes them
	ctx, done := context.WithCancel(context.Background())
	go toPipe(out, far, done)
	flush = func() {
		select {
		case <-ctx.Done():
		case <-time.After(pipeFlushTime):
		}
	}
	return &piped{UnixConn: near.(*net.UnixConn), addr: &net.TCPAddr{IP: net.IPv4zero}}, flush, nil
}

// fromPipe ends with the input, or with the process: nothing interrupts a read
// from a terminal.
func fromPipe(to *net.UnixConn, in io.Reader) {
	io.Copy(to, in)
	to.CloseWrite()
}

func toPipe(out io.WriteCloser, from io.ReadCloser, done func()) {
	defer done()
	if _, err := io.Copy(out, from); err != nil {
		from.Close() // nobody reads: whoever serves is told so
	}
	out.Close()
}

// isPipe reports whether f is what a piped client can be: not
// /dev/null, which only says that there is no client.
func isPipe(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	m := info.Mode()
	if null, err := os.Stat(os.DevNull); err == nil && os.SameFile(info, null) {
		return false
	}
	return m.IsRegular() || m&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0
}
