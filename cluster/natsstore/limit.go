package natsstore

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"time"

	"netserver/cluster"
)

// Bounds of what a server may send.
const (
	maxInfo    = 32 << 10                 // the line that greets, and its later forms
	maxLine    = 4096                     // all other lines
	maxPayload = 1<<20 + cluster.MaxValue // a message: the most that servers take by default, which is no value but can be told so
)

// A boundedConn ends a connection whose server sends more than a client should
// take: the library allocates what a length says before it is there. A write
// ends within the timeout.
type boundedConn struct {
	net.Conn
	timeout time.Duration
	info    []byte // to be read before all else
	frames  frames
}

// Read implements net.Conn.
func (c *boundedConn) Read(b []byte) (int, error) {
	if len(c.info) > 0 {
		n := copy(b, c.info)
		c.info = c.info[n:]
		return n, nil
	}
	n, err := c.Conn.Read(b)
	if bad := c.frames.look(b[:n]); bad != nil {
		c.Close()
		return 0, bad
	}
	return n, err
}

// Write implements net.Conn.
func (c *boundedConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// frames follows the framing of the protocol of NATS.
type frames struct {
	line []byte // of what has begun, without its end
	skip int    // bytes of a message that still come
	bad  error
}

func (f *frames) look(b []byte) error {
	for len(b) > 0 && f.bad == nil {
		if f.skip > 0 {
			n := min(f.skip, len(b))
			f.skip -= n
			b = b[n:]
			continue
		}
		end := bytes.IndexByte(b, '\n')
		part, rest := b, []byte(nil)
		if end >= 0 {
			part, rest = b[:end], b[end+1:]
		}
		if f.line = append(f.line, part...); len(f.line) > maxLine && !(len(f.line) <= maxInfo && isInfo(f.line)) {
			f.fail("a line of more than %d bytes", maxLine)
		}
		if b = rest; end >= 0 && f.bad == nil {
			f.header(f.line)
			f.line = f.line[:0]
		}
	}
	return f.bad
}

func isInfo(line []byte) bool { return len(line) > 4 && bytes.EqualFold(line[:4], []byte("INFO")) }

func (f *frames) fail(format string, args ...any) {
	f.bad = fmt.Errorf("%w: the server sends "+format, append([]any{cluster.ErrValue}, args...)...)
}

// header judges a line; a message comes after that which says so.
func (f *frames) header(line []byte) {
	fields := bytes.Fields(line)
	if len(fields) == 0 || !bytes.EqualFold(fields[0], []byte("MSG")) && !bytes.EqualFold(fields[0], []byte("HMSG")) {
		return
	}
	n, err := strconv.ParseUint(string(fields[len(fields)-1]), 10, 31)
	switch {
	case err != nil:
		f.fail("a length that is none")
	case n > maxPayload:
		f.fail("a message of %d bytes", n)
	default:
		f.skip = int(n) + len("\r\n")
	}
}
