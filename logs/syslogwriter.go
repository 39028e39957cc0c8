package logs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// A SyslogWriter sends the records of a Syslog to a syslog daemon. While the
// daemon is unreachable, Write waits for it, so put an Async above: its queue
// holds the records logged in the meantime, and counts those lost. Make one
// with NewSyslogWriter.
//
// Write is for one goroutine; Close may be called at any time.
type SyslogWriter struct {
	dial func(context.Context) (net.Conn, error)
	down func(error)

	ctx    context.Context // cancelled by Close
	cancel context.CancelFunc

	mu   sync.Mutex // of conn, as Close closes it
	conn net.Conn

	// For the writing goroutine only.
	began   time.Time     // of conn
	delay   time.Duration // before the next attempt to connect
	isDown  bool          // since the last record sent
	lastErr error         // why records were delayed or lost
	errAt   time.Time
	refused time.Time // when a datagram came back
	lost    uint64    // records lost
	buf     []byte
}

const (
	syslogSend     = 10 * time.Second // per record, for a daemon that does not read
	firstReconnect = 100 * time.Millisecond
	maxReconnect   = 10 * time.Second
	// steadySyslog is how long a connection must have lasted for an immediate
	// reconnect.
	steadySyslog = time.Second
)

// NewSyslogWriter returns a writer that connects with dial, at the first
// Write. TCP connections use octet counting (RFC 6587), UNIX streams end each
// record with a newline, and others carry one record per datagram.
//
// down, if not nil, is called by Write when the daemon becomes unreachable,
// with the reason, once until it is reachable again. It must not block.
func NewSyslogWriter(dial func(context.Context) (net.Conn, error), down func(error)) *SyslogWriter {
	s := &SyslogWriter{dial: dial, down: down}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Write sends records, each with its newline. It returns when all are sent, or
// with os.ErrClosed and the length of those sent.
func (s *SyslogWriter) Write(records []byte) (int, error) {
	n := 0
	for n < len(records) {
		record := records[n:]
		next := len(record)
		if i := bytes.IndexByte(record, '\n'); i >= 0 {
			record, next = record[:i], i+1
		}
		if err := s.send(record); err != nil {
			return n, err
		}
		n += next
	}
	return n, nil
}

// Close closes the connection and ends a waiting Write.
func (s *SyslogWriter) Close() error {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		s.conn.Close()
	}
	return nil
}

// send sends one record and retries until it is sent or the writer is closed.
func (s *SyslogWriter) send(record []byte) error {
	for tries := 0; ; {
		if s.ctx.Err() != nil {
			return fmt.Errorf("syslog: %w", os.ErrClosed)
		}
		if s.conn == nil && !s.connect() {
			continue
		}
		err := s.sendOnce(record)
		switch {
		case err == nil:
			s.isDown = false
			return nil
		case tooLong(err) && len(record) > minSyslogMax:
			record = append(record[:minSyslogMax-len(cutMark):minSyslogMax-len(cutMark)], cutMark...)
		case tooLong(err):
			s.lose(err)
			return nil
		case isUDP(s.conn) && isRefused(err):
			// This is the response to the previous datagram, which is lost.
			// The current one was not sent.
			s.lose(err)
			s.refused = time.Now()
			if tries++; tries > 2 {
				return nil
			}
		default:
			s.broken(err)
		}
	}
}

func (s *SyslogWriter) sendOnce(record []byte) error {
	s.buf = s.buf[:0]
	kind := s.conn.LocalAddr().Network()
	if kind == "tcp" {
		s.buf = strconv.AppendInt(s.buf, int64(len(record)), 10)
		s.buf = append(s.buf, ' ')
	}
	s.buf = append(s.buf, record...)
	if kind == "unix" {
		s.buf = append(s.buf, '\n')
	}
	s.conn.SetWriteDeadline(time.Now().Add(syslogSend))
	_, err := s.conn.Write(s.buf)
	return err
}

// connect connects, after a delay if earlier attempts failed.
func (s *SyslogWriter) connect() bool {
	if s.delay > 0 {
		t := time.NewTimer(s.delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-s.ctx.Done():
			return false
		}
	}
	c, err := s.dial(s.ctx)
	if err != nil {
		s.failed(err)
		return false
	}
	s.mu.Lock()
	s.conn = c
	if s.ctx.Err() != nil {
		c.Close()
	}
	s.mu.Unlock()
	s.began = time.Now()
	if k := c.LocalAddr().Network(); k == "tcp" || k == "unix" {
		go discardAnswers(c)
	}
	return true
}

// discardAnswers detects the end of a connection before the next record is
// sent. A daemon sends nothing.
func discardAnswers(c net.Conn) {
	io.Copy(io.Discard, c)
	c.Close()
}

// broken drops a connection that failed.
func (s *SyslogWriter) broken(err error) {
	s.mu.Lock()
	s.conn.Close()
	s.conn = nil
	s.mu.Unlock()
	if time.Since(s.began) >= steadySyslog {
		s.delay = 0
		s.note(err)
		return
	}
	s.failed(err)
}

// failed delays the next attempt.
func (s *SyslogWriter) failed(err error) {
	s.delay = min(max(2*s.delay, firstReconnect), maxReconnect)
	s.note(err)
	if !s.isDown && s.ctx.Err() == nil {
		s.isDown = true
		if s.down != nil {
			s.down(err)
		}
	}
}

func (s *SyslogWriter) note(err error) { s.lastErr, s.errAt = innermost(err), time.Now() }

func (s *SyslogWriter) lose(err error) {
	s.lost++
	s.note(err)
}

// takeLost returns how many records were lost since the last call, unless
// records are still being lost: the report would be lost too.
func (s *SyslogWriter) takeLost() (n uint64, more bool) {
	if time.Since(s.refused) < steadySyslog {
		return 0, s.lost > 0
	}
	n, s.lost = s.lost, 0
	return n, false
}

// reason returns why records may have been lost in the queue above: the daemon
// was unreachable a moment ago.
func (s *SyslogWriter) reason() error {
	if time.Since(s.errAt) > time.Minute {
		return nil
	}
	return s.lastErr
}

func isUDP(c net.Conn) bool { return c.LocalAddr().Network() == "udp" }
