package tlsparams

import (
	"context"
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"netserver/internal/certfile"
	"netserver/internal/watch"
)

const warnEvery = time.Hour

// Run follows the files of the parameters, fetches OCSP staples if
// SSL_ocsp_staple asks for them and warns of certificates that end soon, until
// ctx ends. Without Run a Source serves what it has. Run it once.
func (s *Source) Run(ctx context.Context) {
	var wg sync.WaitGroup
	if !s.env.Unfollowed {
		wg.Go(func() { s.follow(ctx) })
	}
	wg.Go(func() { s.warnOfEnds(ctx) })
	wg.Go(func() { s.keepTime(ctx) })
	if s.p.Staple {
		wg.Go(func() { s.refreshStaples(ctx) })
	}
	wg.Wait()
}

// follow reloads what changes. What fails is tried once more after a while,
// before the error is published.
func (s *Source) follow(ctx context.Context) {
	if len(s.Files()) == 0 {
		return // a watcher holds four descriptors
	}
	w := &watch.Watcher{Poll: s.env.Poll,
		Failed: func(dir string, err error) {
			s.env.log().Warn("cannot watch files for changes; polling them instead", "port", s.env.port(), "directory", dir, "error", err)
		},
	}
	w.Follow(ctx, s.Files, s.reload)
}

// warnOfEnds warns 30, 7 and 1 days before a certificate ends, and after.
func (s *Source) warnOfEnds(ctx context.Context) {
	tick := time.NewTicker(warnEvery)
	defer tick.Stop()
	for {
		for _, line := range s.endings() {
			s.env.log().Warn(line, "port", s.env.port())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// endings returns a line for each certificate and list that has come nearer to
// its end than it was warned of before.
func (s *Source) endings() []string {
	now := s.env.now()
	s.mu.Lock()
	slots := s.slots()
	s.mu.Unlock()
	var out []string
	for _, sl := range slots {
		leaf, span := sl.cur.Load().Leaf, sl.dates()
		left := span.To.Sub(now)
		step := 0
		for _, days := range []int{30, 7, 1} {
			if left <= time.Duration(days)*24*time.Hour {
				step = days
			}
		}
		if left <= 0 {
			step = -1
		}
		sl.mu.Lock()
		news := step != 0 && step != sl.lastWarn
		sl.lastWarn = step
		sl.mu.Unlock()
		switch {
		case news && step < 0:
			out = append(out, fmt.Sprintf("the certificate %s %s has expired%s", certfile.Name(leaf), sl.files.Cert, endOf(span, leaf, "ended")))
		case news:
			out = append(out, fmt.Sprintf("the certificate %s %s ends within %d days%s", certfile.Name(leaf), sl.files.Cert, step, endOf(span, leaf, "ends")))
		}
	}
	return append(out, s.endingLists(now)...)
}

// endingLists warns of revocation lists that end within a day: then, with
// SSL_crl_policy closed, nobody can come in any more.
func (s *Source) endingLists(now time.Time) []string {
	var out []string
	for _, st := range s.cur.Load().bySite {
		if st.lists != nil {
			out = append(out, st.lists.Stale(now, 24*time.Hour)...)
		}
	}
	return out
}

// endOf says when a certificate ends, and which of its chain ends first if that is
// another.
func endOf(span certfile.Span, leaf *x509.Certificate, verb string) string {
	on := span.To.UTC().Format(time.DateTime)
	if span.To.Equal(leaf.NotAfter) {
		return ", on " + on
	}
	return ": " + span.Ends + " " + verb + " on " + on
}
