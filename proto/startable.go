package proto

import (
	"context"
	"net"
	"time"
)

// A Startable is a plain Transport whose clients can start TLS later.
type Startable struct {
	Transport               // what the port speaks until then
	TLS       *TLSTransport // what it speaks from then on; ports may share it
}

// Plain reports whether clients begin without a handshake.
func (s Startable) Plain() bool {
	p, ok := s.Transport.(Plain)
	return ok && p.Plain()
}

// Run follows the files of TLS.
func (s Startable) Run(ctx context.Context) { s.TLS.Run(ctx) }

// Changed is that of TLS.
func (s Startable) Changed() <-chan struct{} { return s.TLS.Changed() }

// Judge is that of TLS; it allows clients that have not started it.
func (s Startable) Judge(ctx context.Context, nc net.Conn) (time.Time, string, error) {
	return s.TLS.Judge(ctx, nc)
}

// Start shakes hands on a connection that was plain so far.
func (s Startable) Start(ctx context.Context, nc net.Conn) (net.Conn, error) {
	return s.TLS.Start(ctx, nc)
}
