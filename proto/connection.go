package proto

import (
	"context"
	"crypto/tls"
	"net"
)

// The interfaces below are what a connection that Ready returned can do beside
// net.Conn's methods. *TLSConn has them all; a connection that embeds one has
// them by that.

// A Waiter is a connection that can wait for input without a buffer to put it
// in, so that an idle client costs none.
type Waiter interface {
	// WaitRead returns nil when a Read would not wait, or may not; end of
	// file and errors are for that Read to tell. It returns an error when the
	// read deadline passes first. It must not be called while a Read runs.
	WaitRead() error
}

// A Secured connection speaks TLS. Once Ready has returned it,
// ConnectionState may be called at any time and does not wait.
type Secured interface{ ConnectionState() tls.ConnectionState }

// A Layer is a connection above another, which NetConn returns.
type Layer interface{ NetConn() net.Conn }

// A HalfCloser can end its sending direction and still read.
type HalfCloser interface{ CloseWrite() error }

// An Unreader tells whether bytes of the client have been read from the socket
// that no Read has returned: closing the socket would not reset the client,
// but they are lost. It must not be called while a Read runs.
type Unreader interface{ Unread() bool }

// A Receiver counts the bytes that it has read below itself, for minimum
// rates: a record that drips in is no byte yet for the handler. Received may
// be called at any time.
type Receiver interface{ Received() uint64 }

// A Truncater tells whether Read has met an end that anybody on the way can
// make, and not the client's word. Truncated may be called at any time.
type Truncater interface{ Truncated() bool }

// A Stopper can go back to what is below it: StopTLS calls it. Stop ends the
// layer, up to the read deadline, and returns the connection below and what
// the client has sent on it already.
type Stopper interface {
	Stop() (nc net.Conn, sent []byte, err error)
}

// A Handshaker shakes hands at its first byte, unless that is done before, as
// tls.Conn does.
type Handshaker interface {
	HandshakeContext(ctx context.Context) error
}

// maxLayers is more than anyone stacks.
const maxLayers = 8

// Socket returns the connection below all layers of nc: a *net.TCPConn or a
// *net.UnixConn as a rule, nc itself if it has none.
func Socket(nc net.Conn) net.Conn {
	for range maxLayers {
		l, ok := nc.(Layer)
		if !ok {
			break
		}
		below := l.NetConn()
		if below == nil {
			break
		}
		nc = below
	}
	return nc
}
