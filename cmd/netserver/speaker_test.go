package main_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"testing"
)

// A speaker is a client inside the test.
type speaker struct {
	net.Conn
	t     testing.TB
	heard transcript
	ended chan struct{} // closed when nothing more can come
	err   error         // why, once ended is closed
}

// newSpeaker reads c in the background from now on.
func newSpeaker(t testing.TB, c net.Conn) *speaker {
	s := &speaker{Conn: c, t: t, ended: make(chan struct{})}
	go s.listen()
	t.Cleanup(func() { c.Close(); <-s.ended })
	return s
}

func (s *speaker) listen() {
	_, s.err = io.Copy(&s.heard, s.Conn)
	close(s.ended)
}

// says sends text.
func (s *speaker) says(format string, args ...any) {
	s.t.Helper()
	if _, err := fmt.Fprintf(s.Conn, format, args...); err != nil {
		s.t.Fatalf("sending: %v", err)
	}
}

// CloseWrite tells the server that nothing more will come.
func (s *speaker) CloseWrite() error { return s.Conn.(interface{ CloseWrite() error }).CloseWrite() }

// hears waits for what matches pattern in all that the server sent, and
// returns its submatches.
func (s *speaker) hears(pattern string) (found []string) {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	s.heard.await(s.t, pattern, s.ended, func(text string) bool {
		found = re.FindStringSubmatch(text)
		return found != nil
	})
	return found
}

// ends waits until the server has closed the connection, and returns all that
// it sent. A reset is an end, too; a silence is none.
func (s *speaker) ends() string {
	s.t.Helper()
	<-s.ended // the deadline of dial bounds this
	if errors.Is(s.err, os.ErrDeadlineExceeded) {
		s.t.Fatalf("the server did not close the connection; it sent %q", &s.heard)
	}
	return s.heard.String()
}

// endsCleanly is ends for a connection that must not be reset.
func (s *speaker) endsCleanly() string {
	s.t.Helper()
	text := s.ends()
	if s.err != nil {
		s.t.Errorf("after %q: %v", text, s.err)
	}
	return text
}
