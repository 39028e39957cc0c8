package relay

import (
	"net"
	"time"
)

// LingerTime and lingerBytes bound what Linger reads and throws away.
const (
	LingerTime  = 2 * time.Second
	lingerBytes = 1 << 20
)

// A HalfCloser can end what it sends and go on reading: close_notify on TLS, a
// FIN on TCP and UNIX sockets.
type HalfCloser interface{ CloseWrite() error }

// Linger ends what is sent to a client that still sends, and reads and throws
// away what comes, for a bounded time. A TCP socket closed with unread input
// sends a reset, and that makes the client's system throw away what it has not
// read yet. nc is what the server writes to, raw what was accepted; the caller
// closes both.
func Linger(nc, raw net.Conn, buf []byte) {
	w, ok := nc.(HalfCloser)
	if !ok {
		return
	}
	raw.SetDeadline(time.Now().Add(LingerTime))
	if w.CloseWrite() != nil {
		// TLS has ended with an alert, which has to arrive too.
		if w, ok = raw.(HalfCloser); !ok || w.CloseWrite() != nil {
			return
		}
	}
	for left := lingerBytes; left > 0; {
		n, err := raw.Read(buf)
		left -= n
		if err != nil {
			return
		}
	}
}
