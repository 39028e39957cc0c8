package main

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

	"netserver/bench/honest"
	"netserver/bench/loopback"
)

// answerTime is how long a client that stays, or a datagram, waits for an
// answer.
const answerTime = 10 * time.Second

// A stay is a number of clients that stay connected and talk.
type stay struct {
	conns []net.Conn
	stop  chan struct{}
	wg    sync.WaitGroup
	lines atomic.Int64

	mu   sync.Mutex
	lost []error
}

// startStay connects n clients, every second over TLS, which talk until end.
func startStay(ctx context.Context, plain, secure netip.AddrPort, n int) (*stay, error) {
	s := &stay{stop: make(chan struct{})}
	for i := range n {
		c, err := connect(ctx, plain, secure, i%2 == 1)
		if err != nil {
			s.end()
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

func connect(ctx context.Context, plain, secure netip.AddrPort, isTLS bool) (net.Conn, error) {
	to := plain
	if isTLS {
		to = secure
	}
	tc, err := loopback.Dial(ctx, netip.Addr{}, to, answerTime)
	if err != nil || !isTLS {
		return tc, err
	}
	c := tls.Client(tc, honest.TLSConfig())
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, tc.Close())
	}
	return c, nil
}

// talk sends a line a second and reads it back.
func (s *stay) talk(c net.Conn, first time.Duration) {
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
		c.SetDeadline(time.Now().Add(answerTime))
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

// end has the clients leave and returns what those met that did not get so far.
func (s *stay) end() []error {
	close(s.stop)
	s.wg.Wait()
	for _, c := range s.conns {
		c.Close()
	}
	return s.lost
}

// A stream is datagrams to and fro.
type stream struct {
	conn     net.Conn
	stop     chan struct{}
	sender   sync.WaitGroup
	receiver sync.WaitGroup
	sent     int
	answered atomic.Int64
}

func startStream(to netip.AddrPort, perSecond float64) (*stream, error) {
	c, err := net.Dial("udp", to.String())
	if err != nil {
		return nil, err
	}
	s := &stream{conn: c, stop: make(chan struct{})}
	s.sender.Go(func() { s.send(time.Duration(float64(time.Second) / perSecond)) })
	s.receiver.Go(s.receive)
	return s, nil
}

func (s *stream) send(gap time.Duration) {
	tick := time.NewTicker(gap)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		if _, err := fmt.Fprintf(s.conn, "datagram %d", s.sent); err == nil || !errors.Is(err, net.ErrClosed) {
			s.sent++ // one that could not be sent is lost too
		}
	}
}

func (s *stream) receive() {
	b := make([]byte, 100)
	for {
		n, err := s.conn.Read(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil && bytes.HasPrefix(b[:n], []byte("datagram ")) {
			s.answered.Add(1)
		}
	}
}

// end waits for the last answers and returns how many datagrams were sent and
// how many of them were not answered.
func (s *stream) end() (sent, lost int) {
	close(s.stop)
	s.sender.Wait()
	for deadline := time.Now().Add(answerTime); time.Now().Before(deadline) && int(s.answered.Load()) < s.sent; {
		time.Sleep(5 * time.Millisecond)
	}
	s.conn.Close()
	s.receiver.Wait()
	return s.sent, s.sent - int(s.answered.Load())
}
