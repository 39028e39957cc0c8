//go:build !unix

package netserver

import (
	"net"
	"syscall"
)

func (c *Conn) initRaw() {}

// A rawReader is not used: initRaw sets no raw connection here.
type rawReader struct{ take func() []byte }

func newRawReader(take func() []byte, _ func()) *rawReader { return &rawReader{take} }

func (r *rawReader) read(_ syscall.RawConn, nc net.Conn) (int, error) { return nc.Read(r.take()) }

// hasInput cannot be asked here without waiting: assume there is none.
func (c *Conn) hasInput() bool { return false }
