package proto

import (
	"context"
	"net"
	"time"
)

// A Runner is a Transport with work of its own beside its clients: following
// files, for instance.
type Runner interface {
	// Run works until ctx ends. It is called once, while the port is served.
	Run(ctx context.Context)
}

// A Judge is a Transport whose clients may have to leave because of what
// happens after their handshake: a certificate is revoked or ends.
type Judge interface {
	// Changed returns a channel that is closed when that may be so for
	// clients that are here. Ask again before judging.
	Changed() <-chan struct{}
	// Judge decides whether the client of nc, which Ready returned, may stay.
	// An error ends it. until is when to ask again; zero is never. reason
	// goes into the client's record.
	Judge(ctx context.Context, nc net.Conn) (until time.Time, reason string, err error)
}

// A Waiter is a connection that can wait for input without a buffer to put it
// in, so that an idle client costs none.
type Waiter interface {
	// WaitRead returns nil when a Read would not wait, or may not; end of
	// file and errors are for that Read to tell. It returns an error when the
	// read deadline passes first. It must not be called while a Read runs.
	WaitRead() error
}
