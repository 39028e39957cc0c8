package natsstore

import (
	"context"
	"sync"
	"time"
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

// now returns the time of the server, or ours if it does not tell.
func (c *clock) now(ctx context.Context, s *store, l *link) time.Time {
	c.mu.Lock()
	said, at := c.said, c.at
	c.mu.Unlock()
	if !at.IsZero() && time.Since(at) < clockEvery {
		return said.Add(time.Since(at))
	}
	m, err := s.ask(ctx, l)
	if err != nil {
		s.o.Log.Debug("cluster: the server does not tell the time; taking that of this machine", "error", limited(err))
		m = time.Now()
	}
	c.mu.Lock()
	c.said, c.at = m, time.Now()
	c.mu.Unlock()
	return m
}

// hear takes the time of a message that has just come.
func (c *clock) hear(said time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() || said.After(c.said.Add(time.Since(c.at))) || time.Since(c.at) > clockEvery/2 {
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
