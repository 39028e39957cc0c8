package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// answerTime is how long a datagram waits for an answer.
const answerTime = 10 * time.Second

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
