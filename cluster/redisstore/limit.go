package redisstore

import (
	"fmt"
	"net"
	"strconv"
	"syscall"

	"netserver/cluster"
)

// Bounds of what a server may answer.
const (
	maxBulk  = cluster.MaxValue + 1024
	maxLine  = 4096
	maxItems = 20_000 // of one array; the commands and slots of a cluster are some thousand
	maxDepth = 8
	maxReply = 8 << 20 // bytes of one answer with all that is in it
)

// A boundedConn ends a connection whose server answers with more than a client
// should take: the library allocates what a length says before it is there.
type boundedConn struct {
	net.Conn
	answers answers
}

// A boundedSocket is one without TLS. The library looks whether the server has
// closed it before it is used again: a server that was started again is no error
// then.
type boundedSocket struct {
	boundedConn
	socket syscall.Conn
}

// SyscallConn implements syscall.Conn.
func (c *boundedSocket) SyscallConn() (syscall.RawConn, error) { return c.socket.SyscallConn() }

// bounded returns nc with bounds.
func bounded(nc net.Conn) net.Conn {
	if socket, ok := nc.(syscall.Conn); ok {
		return &boundedSocket{boundedConn{Conn: nc}, socket}
	}
	return &boundedConn{Conn: nc}
}

// Read implements net.Conn.
func (c *boundedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if bad := c.answers.look(b[:n]); bad != nil {
		c.Close()
		return 0, bad
	}
	return n, err
}

// answers follows the framing of RESP, versions 2 and 3.
type answers struct {
	line  []byte // of what has begun, without its end
	skip  int    // bytes of a string that still come
	open  []int  // items that still come, of each array
	total int    // bytes of the answer
	bad   error
}

func (a *answers) look(b []byte) error {
	for len(b) > 0 && a.bad == nil {
		if a.skip > 0 {
			n := min(a.skip, len(b))
			a.skip -= n
			a.count(n)
			if b = b[n:]; a.skip == 0 {
				a.done()
			}
			continue
		}
		c := b[0]
		b = b[1:]
		a.count(1)
		if c != '\n' {
			if a.line = append(a.line, c); len(a.line) > maxLine {
				a.fail("a line of more than %d bytes", maxLine)
			}
			continue
		}
		a.header(a.line)
		a.line = a.line[:0]
	}
	return a.bad
}

func (a *answers) fail(format string, args ...any) {
	a.bad = fmt.Errorf("%w: the server answers with "+format, append([]any{cluster.ErrValue}, args...)...)
}

func (a *answers) count(n int) {
	if a.total += n; a.total > maxReply {
		a.fail("more than %d bytes", maxReply)
	}
}

// header judges the line that begins a string, an array or something short.
func (a *answers) header(line []byte) {
	if len(line) < 2 || line[len(line)-1] != '\r' {
		a.fail("what is no line")
		return
	}
	kind := line[0]
	switch kind {
	case '$', '=', '!', '*', '~', '>', '%', '|':
	default:
		a.done()
		return
	}
	n, err := strconv.Atoi(string(line[1 : len(line)-1]))
	switch {
	case err != nil || n < -1:
		a.fail("a length that is none")
	case n == -1:
		a.done()
	case kind == '$' || kind == '=' || kind == '!':
		if n > maxBulk {
			a.fail("a string of %d bytes", n)
			return
		}
		a.skip = n + 2
	case n > maxItems:
		a.fail("an array of %d items", n)
	default:
		if kind == '%' || kind == '|' {
			n *= 2
		}
		if kind == '|' {
			n++ // what the attributes are of
		}
		if n == 0 {
			a.done()
		} else if a.open = append(a.open, n); len(a.open) > maxDepth {
			a.fail("arrays in arrays, more than %d deep", maxDepth)
		}
	}
}

// done ends an item, and the arrays that it completes.
func (a *answers) done() {
	for len(a.open) > 0 {
		last := len(a.open) - 1
		if a.open[last]--; a.open[last] > 0 {
			return
		}
		a.open = a.open[:last]
	}
	a.total = 0
}
