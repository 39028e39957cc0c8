//go:build !unix

package relay

import (
	"net"
	"syscall"
)

// RawOf returns nil: here nothing waits without a buffer.
func RawOf(net.Conn) syscall.RawConn { return nil }

// IsSocket returns false.
func IsSocket(net.Conn) bool { return false }

// A RawReader only reads: RawOf returns no raw connection here.
type RawReader struct{ buffers buffers }

// NewRawReader returns a RawReader that takes its buffers by take.
func NewRawReader(take func() []byte, release func()) *RawReader {
	return newRawReader(&bufferFuncs{take, release})
}

func newRawReader(b buffers) *RawReader { return &RawReader{b} }

// Read reads from nc.
func (r *RawReader) Read(_ syscall.RawConn, nc net.Conn) (int, error) {
	return nc.Read(r.buffers.take())
}

// HasInput cannot be asked here without waiting, so it reports that there is
// none.
func HasInput(net.Conn) bool { return false }
