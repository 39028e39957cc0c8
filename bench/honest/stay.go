package honest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"netserver/bench/loopback"
)

// stayTime is how long a client that stays waits for an answer.
const stayTime = 10 * time.Second

// A Stay is a number of clients that stay connected, and talk once a second.
type Stay struct {
	conns []net.Conn
	stop  chan struct{}
	wg    sync.WaitGroup
	lines atomic.Int64

	mu   sync.Mutex
	lost []error
}

// StartStay connects n clients, every second one over TLS, which talk until End.
func StartStay(ctx context.Context, plain, secure netip.AddrPort, n int) (*Stay, error) {
	s := &Stay{stop: make(chan struct{})}
	for i := range n {
		c, err := comeToStay(ctx, plain, secure, i%2 == 1)
		if err != nil {
			s.End()
			return nil, fmt.Errorf("client %d that is to stay: %w", i+1, err)
		}
		s.conns = append(s.conns, c)
	}
	for i, c := range s.conns {
		// They talk in turn, not all in one moment.
		first := time.Duration(i) * time.Second / time.Duration(n)
		s.wg.Go(func() { s.talk(c, first) })
	}
	return s, nil
}

func comeToStay(ctx context.Context, plain, secure netip.AddrPort, isTLS bool) (net.Conn, error) {
	to := plain
	if isTLS {
		to = secure
	}
	tc, err := loopback.Dial(ctx, netip.Addr{}, to, stayTime)
	if err != nil || !isTLS {
		return tc, err
	}
	c := tls.Client(tc, TLSConfig())
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, tc.Close())
	}
	return c, nil
}

// Clients returns how many there were at the start.
func (s *Stay) Clients() int { return len(s.conns) }

// Lines returns how many lines they got back so far.
func (s *Stay) Lines() int64 { return s.lines.Load() }

// talk sends a line a second and reads it back.
func (s *Stay) talk(c net.Conn, first time.Duration) {
	t := time.NewTimer(first)
	defer t.Stop()
	line := []byte("still here\n")
	got := make([]byte, len(line))
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
		}
		c.SetDeadline(time.Now().Add(stayTime))
		_, err := c.Write(line)
		if err == nil {
			_, err = io.ReadFull(c, got)
		}
		if err == nil && !bytes.Equal(line, got) {
			err = errors.New("it got something else back")
		}
		if err != nil {
			s.mu.Lock()
			s.lost = append(s.lost, err)
			s.mu.Unlock()
			return
		}
		s.lines.Add(1)
		t.Reset(time.Second)
	}
}

// End has the clients leave and returns what those met that did not get so far.
func (s *Stay) End() []error {
	close(s.stop)
	s.wg.Wait()
	for _, c := range s.conns {
		c.Close()
	}
	return s.lost
}
