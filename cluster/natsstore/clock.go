package natsstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	clockKey   = ".clock" // no key of a Store begins so
	clockEvery = 30 * time.Second
)

// A clock knows what the server's says, or what it said at least: so that no
// value ends too early. The zero value is ready.
type clock struct {
	mu   sync.Mutex
	said time.Time // by the server
	at   time.Time // when it was heard
}

// now returns the time of the server. If it does not tell, time goes on from
// what it said before; that of this machine, by which another's lease may seem to
// be over, is taken only from a server that answers and has never said any.
func (c *clock) now(ctx context.Context, s *store, l *link) (time.Time, error) {
	c.mu.Lock()
	said, at := c.said, c.at
	c.mu.Unlock()
	known := !at.IsZero()
	if known && time.Since(at) < clockEvery {
		return said.Add(time.Since(at)), nil
	}
	m, err := s.ask(ctx, l)
	var answer *jetstream.APIError
	switch {
	case err == nil:
	case known:
		m = said.Add(time.Since(at))
	case errors.As(err, &answer):
		s.o.Log.Debug("cluster: the server does not tell the time; taking that of this machine", "error", limited(err))
		return time.Now(), nil
	default:
		return time.Time{}, err
	}
	c.mu.Lock()
	c.said, c.at = m, time.Now()
	c.mu.Unlock()
	return m, nil
}

// hear takes the time of a message, which may have been on its way for long: it
// moves the clock forward only.
func (c *clock) hear(said time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() || said.After(c.said.Add(time.Since(c.at))) {
		c.said, c.at = said, time.Now()
	}
}

// ask returns the time of a message that is written now.
func (s *store) ask(ctx context.Context, l *link) (time.Time, error) {
	if err := s.publish(ctx, l, clockKey, []byte(magic), nil, nil); err != nil {
		return time.Time{}, err
	}
	e, err := s.last(ctx, l, clockKey)
	if err != nil {
		return time.Time{}, err
	}
	return e.created, nil
}
