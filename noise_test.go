package netserver_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netserver"
)

// Of scanners' noise a few lines are logged, and once a minute how many more
// there were of each kind; what ends the server tells the rest.
func TestNoiseIsSummarisedOnceAMinute(t *testing.T) {
	wrap := overTLS(t)
	var log lockedLog
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	synctest.Test(t, func(t *testing.T) {
		s.Log = slog.New(slog.NewTextHandler(&log, nil))
		l := newPipeListener()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, wrap(l)) }()
		noise := func(n int) {
			for range n {
				c := l.dialFrom("192.0.2.1", 1)
				io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
				io.Copy(io.Discard, c)
				c.Close()
			}
			synctest.Wait()
		}
		count := func(what string, want int) {
			t.Helper()
			if n := strings.Count(log.String(), what); n != want {
				t.Errorf("after %v: %d lines with %q, want %d:\n%s", time.Now(), n, what, want, log.String())
			}
		}
		noise(100)
		count(`outcome="not tls"`, 10)
		count("not logged individually", 0)
		time.Sleep(time.Minute)
		synctest.Wait()
		count(`"not tls"=90`, 1)
		noise(5) // a new minute
		count(`outcome="not tls"`, 15)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		count("not logged individually", 1)
		noise(12)
		cancel()
		<-done
		count(`outcome="not tls"`, 25)
		count(`"not tls"=2`, 1)
		count("not logged individually", 2)
	})
}

// A lockedLog may be looked at while it is written.
type lockedLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
