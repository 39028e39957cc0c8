package deadline

import "net"

// MaxWrite bounds one write to a client's connection, so that a client that
// takes bytes slowly but steadily is not taken for one that takes none.
const MaxWrite = 64 << 10

// How far behind the bytes that a client has taken those may be that a write
// has handed to the kernel, where only the kernel knows. A part is counted when
// it is through, and Linux wakes the writer to a UNIX socket not for each byte
// that is taken, but when three quarters of the buffer are free.
const (
	slackPart = MaxWrite
	slackUnix = 256 << 10
)

// takenBy returns a function that tells how many bytes c has taken, and by how
// many it may be behind.
func takenBy(c Client, raw net.Conn) (count func() uint64, slack uint64) {
	if u, ok := raw.(interface{ NetConn() net.Conn }); ok {
		raw = u.NetConn()
	}
	slack = slackPart
	switch s := raw.(type) {
	case *net.TCPConn:
		rc, err := s.SyscallConn()
		if _, ok := acked(rc, err); ok {
			return func() uint64 { n, _ := acked(rc, nil); return n }, 0
		}
	case *net.UnixConn:
		slack = slackUnix
	}
	return func() uint64 { _, out := c.Counts(); return out }, slack
}
