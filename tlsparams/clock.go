package tlsparams

import (
	"bytes"
	"context"
	"slices"
	"time"
)

// clockStep is how long keepTime waits at most: the clock may be set.
const clockStep = time.Minute

// keepTime does what is due at a certain moment until ctx ends: nothing about
// the files changes then.
func (s *Source) keepTime(ctx context.Context) {
	for {
		wait := clockStep
		if next := s.onTime(); !next.IsZero() {
			wait = max(0, min(wait, next.Sub(s.env.now())))
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
	}
}

// onTime does what is due, and returns when the next thing is; zero: nothing.
func (s *Source) onTime() (next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.env.now()
	if !s.arrange.IsZero() && !now.Before(s.arrange) {
		table, _ := s.table()
		s.cur.Store(s.newGeneration(table, s.cur.Load().bySite))
		s.env.log().Info("a certificate of SSL_cert_dir has become valid", "port", s.env.port(), "dir", s.p.CertDir)
	}
	if f := &s.stapled; !f.ends.IsZero() && !now.Before(f.ends) {
		f.drop(s.named)
		s.env.log().Warn("the OCSP response of SSL_ocsp_staple_file has expired and is no longer served; replace the file", "port", s.env.port(), "file", s.p.StapleFile, "ended", f.ends)
		f.ends = time.Time{}
	}
	for _, at := range []time.Time{s.arrange, s.stapled.ends} {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// begins returns when the next of slots that is not valid yet will be; zero:
// all have begun.
func begins(slots []*slot, now time.Time) (at time.Time) {
	for _, sl := range slots {
		if from := sl.dates().From; now.Before(from) && (at.IsZero() || from.Before(at)) {
			at = from
		}
	}
	return at
}

// A stapleFile is what is served of SSL_ocsp_staple_file.
type stapleFile struct {
	leaf []byte    // the certificate that it is about
	ends time.Time // zero: it is not served
}

func defaultSlot(named []*slot) *slot {
	if i := slices.IndexFunc(named, func(sl *slot) bool { return sl.name == "" }); i >= 0 {
		return named[i]
	}
	return nil
}

// stale tells whether another certificate is served than the one that the
// response is about, so that the file has to be read again.
func (f *stapleFile) stale(named []*slot) bool {
	sl := defaultSlot(named)
	return sl != nil && !bytes.Equal(sl.cur.Load().Leaf.Raw, f.leaf)
}

// drop takes the response away: clients refuse one that has ended, but not all
// refuse none.
func (f *stapleFile) drop(named []*slot) {
	if sl := defaultSlot(named); sl != nil {
		sl.staple(sl.cur.Load(), nil)
	}
}
