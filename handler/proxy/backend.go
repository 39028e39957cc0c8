package proxy

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"netserver"
)

const defaultConnectTimeout = 5 * time.Second

// A Backend is where a Handler connects its clients to: one target, or several
// that share the clients. Any number of Handlers may share a Backend. Its fields
// must not change once it is in use, and it must not be copied then.
type Backend struct {
	// Name stands in errors, records and lists.
	Name string
	// Targets are where clients may be connected to. At least one is required.
	Targets []Target
	// ConnectTimeout bounds connecting to one target: the look-up of its name,
	// all addresses, and the steps after that, up to the end of its TLS
	// handshake. Default 5 s; negative leaves it to the system, which may take
	// minutes.
	ConnectTimeout time.Duration

	// Header, if set, appends to b what a target gets before anything else, a
	// PROXY header that tells of c, and returns the result. c is nil when no
	// client is behind the connection, as with a health check. It may run for
	// many clients at once.
	Header func(b []byte, c *netserver.Conn) ([]byte, error)
	// StartTLS, if set, plays the dialog by which the protocol of the target
	// changes to TLS. nc has a deadline. It must read no byte too many.
	StartTLS func(ctx context.Context, nc net.Conn) error
	// TLS, if set, makes a TLS client connection of nc, handshake included. t is
	// the target, with the host that its certificate must be for in Address. nc
	// has a deadline. An error closes nothing.
	TLS func(ctx context.Context, nc net.Conn, t Target) (net.Conn, error)

	once      sync.Once
	err       error // what is wrong with the fields
	label     string
	endpoints []*endpoint
	turn      atomic.Uint32
}

// An endpoint is one address that clients are connected to.
type endpoint struct {
	Target
	where address
	label string // how errors name it
}

// open parses the targets, once.
func (b *Backend) open() error {
	b.once.Do(func() {
		if b.label == "" {
			b.label = "backend " + printable(b.Name) + ": "
		}
		b.err = b.parse()
	})
	return b.err
}

func (b *Backend) parse() error {
	for _, t := range b.Targets {
		where, err := parseAddress(t.Address)
		if err != nil {
			return b.failed(printable(t.Address), err)
		}
		b.endpoints = append(b.endpoints, &endpoint{Target: t, where: where, label: b.label + t.Address})
	}
	if len(b.endpoints) == 0 {
		return b.failed("", errors.New("no target: "+forms))
	}
	return nil
}

// next returns the target whose turn it is.
func (b *Backend) next() *endpoint {
	if len(b.endpoints) == 1 {
		return b.endpoints[0]
	}
	return b.endpoints[int(b.turn.Add(1)-1)%len(b.endpoints)]
}

func (b *Backend) connectTimeout() time.Duration {
	switch {
	case b.ConnectTimeout == 0:
		return defaultConnectTimeout
	case b.ConnectTimeout < 0:
		return 0
	}
	return b.ConnectTimeout
}
