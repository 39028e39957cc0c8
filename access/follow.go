package access

import (
	"context"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long a directory must be quiet before files in it are
	// read, so that one change is one Reload; maxSettle is how long a busy
	// one can put that off.
	settle    = 100 * time.Millisecond
	maxSettle = time.Second
	// pollEvery finds what is not announced: changes on network file
	// systems, and behind symbolic links to other directories.
	pollEvery = 5 * time.Second
)

// Follow calls Reload whenever a rule file may have changed, until ctx ends.
// report, which may be nil, is called when a new Policy is in force (err is
// nil) and when the files cannot be used. Follow returns at once if there are
// no rule files.
func (s *Store) Follow(ctx context.Context, report func(err error)) {
	dirs := s.dirs()
	if len(dirs) == 0 {
		return
	}
	if report == nil {
		report = func(error) {}
	}
	var events chan fsnotify.Event
	var lost chan error
	if w, err := fsnotify.NewWatcher(); err == nil {
		defer w.Close()
		for dir := range dirs {
			// What cannot be watched is polled.
			_ = w.Add(dir)
		}
		events, lost = w.Events, w.Errors
	}
	f := follower{store: s, report: report, quiet: time.NewTimer(0)}
	defer f.quiet.Stop()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-events:
			if !ok {
				events = nil // the watcher has ended; there is still the poll
			}
			f.noticed()
		case _, ok := <-lost: // events were dropped
			if !ok {
				lost = nil
			}
			f.noticed()
		case <-f.quiet.C:
			f.reload()
		case <-poll.C:
			f.reload()
		}
	}
}

// dirs returns the directories that the rule files are in. Directories are
// watched, not files, because files are replaced.
func (s *Store) dirs() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	dirs := make(map[string]bool)
	for i := range s.files {
		dirs[filepath.Dir(s.files[i].path)] = true
	}
	return dirs
}

// A follower waits for a directory to become quiet.
type follower struct {
	store  *Store
	report func(error)
	quiet  *time.Timer
	since  time.Time // of the first event since the last reload
}

func (f *follower) noticed() {
	now := time.Now()
	if f.since.IsZero() {
		f.since = now
	}
	f.quiet.Reset(max(0, min(settle, maxSettle-now.Sub(f.since))))
}

func (f *follower) reload() {
	f.since = time.Time{}
	if changed, err := f.store.Reload(); changed || err != nil {
		f.report(err)
	}
}
