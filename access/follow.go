package access

import (
	"context"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long a directory must be quiet before its files are read,
	// so that one change causes one Reload; maxSettle bounds the delay by a
	// busy directory.
	settle    = 100 * time.Millisecond
	maxSettle = time.Second
	// pollEvery is the interval of the poll that finds changes without events:
	// on network file systems, and behind symbolic links to other directories.
	pollEvery = 5 * time.Second
)

// Follow calls Reload whenever a rule file may have changed, until ctx ends.
// It calls report, which may be nil, when a new Policy is in force (err is
// nil) and when the files are invalid. Follow returns at once if there are no
// rule files.
func (s *Store) Follow(ctx context.Context, report func(err error)) {
	if !s.Follows() {
		return
	}
	if report == nil {
		report = func(error) {}
	}
	var events chan fsnotify.Event
	var lost chan error
	f := follower{store: s, report: report, quiet: time.NewTimer(0)}
	if w, err := fsnotify.NewWatcher(); err == nil {
		defer w.Close()
		f.watcher = w
		events, lost = w.Events, w.Errors
	}
	f.watch()
	defer f.quiet.Stop()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-events:
			if !ok {
				events = nil // the watcher has ended; polling goes on
			}
			f.noticed()
		case _, ok := <-lost: // events were dropped
			if !ok {
				lost = nil
			}
			f.noticed()
		case <-f.quiet.C:
			f.watch()
			f.reload()
		case <-poll.C:
			f.watch()
			f.reload()
		}
	}
}

// dirs returns the directories of the rule files and of their links' targets,
// and the ones above, in which a whole directory can be replaced. It watches
// directories because files are replaced.
func (s *Store) dirs() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	dirs := make(map[string]bool)
	add := func(path string) {
		dir := filepath.Dir(path)
		dirs[dir], dirs[filepath.Dir(dir)] = true, true
	}
	for i := range s.files {
		path := s.files[i].path
		add(path)
		if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
			add(real)
		}
	}
	return dirs
}

// A follower waits until the watched directories are quiet.
type follower struct {
	store   *Store
	report  func(error)
	watcher *fsnotify.Watcher // nil if there is none
	quiet   *time.Timer
	since   time.Time // of the first event since the last reload
}

// watch points the watcher at the directories that now have the names: a
// replaced one is another directory. What cannot be watched is polled.
func (f *follower) watch() {
	if f.watcher == nil {
		return
	}
	dirs := f.store.dirs()
	for _, dir := range f.watcher.WatchList() {
		if !dirs[dir] {
			_ = f.watcher.Remove(dir)
		}
	}
	for dir := range dirs {
		_ = f.watcher.Add(dir)
	}
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
