package watch

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A Watcher follows files. The zero Watcher works. Its fields must not change
// while Run runs.
type Watcher struct {
	Poll   time.Duration // how often each file is looked at; 0 means 30 s, negative never
	Settle time.Duration // how long files must be quiet before a change is told; 0 means 100 ms
	// Failed, if set, is told when the system cannot follow a directory, so
	// that only the slow look is left.
	Failed func(dir string, err error)
	// Ready, if set, is called from Run's goroutine once all files are
	// followed: what changed before that has to be found by other means.
	Ready func()
}

// maxSettle bounds the wait for quiet, so that a directory that is written to
// all the time does not hide its changes.
const maxSettle = time.Second

// Run calls changed with the files and directories of list that have changed
// since the call before, until ctx ends. list is asked again after each
// change. Both are called from Run's own goroutine.
func (w *Watcher) Run(ctx context.Context, list func() []string, changed func(paths []string)) {
	r := &runner{w: w, list: list, seen: make(map[string]os.FileInfo), dirs: make(map[string]bool), dirty: make(map[string]bool)}
	var events chan fsnotify.Event
	var errs chan error
	if n, err := fsnotify.NewWatcher(); err == nil {
		defer n.Close()
		r.notify, events, errs = n, n.Events, n.Errors
	} else {
		w.failed("", err)
	}
	r.refresh()
	if w.Ready != nil {
		w.Ready()
	}
	poll := newTicker(w.Poll, 30*time.Second)
	defer poll.Stop()
	settle := time.NewTimer(time.Hour)
	settle.Stop()
	defer settle.Stop()
	var since time.Time // of the first event that is not told yet
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			r.note(e.Name)
		case _, ok := <-errs:
			if !ok {
				errs = nil
				continue
			}
			r.all = true // events were lost
		case <-poll.C:
			r.all = true
			r.tell(changed)
			since = time.Time{}
			continue
		case <-settle.C:
			r.tell(changed)
			since = time.Time{}
			continue
		}
		if since.IsZero() {
			since = time.Now()
		}
		settle.Reset(max(0, min(w.settle(), maxSettle-time.Since(since))))
	}
}

func (w *Watcher) settle() time.Duration {
	if w.Settle > 0 {
		return w.Settle
	}
	return 100 * time.Millisecond
}

func (w *Watcher) failed(dir string, err error) {
	if w.Failed != nil {
		w.Failed(dir, err)
	}
}

func newTicker(d, def time.Duration) *time.Ticker {
	if d == 0 {
		d = def
	}
	if d < 0 {
		t := time.NewTicker(time.Hour)
		t.Stop()
		return t
	}
	return time.NewTicker(d)
}

// runner is the state of one Run.
type runner struct {
	w      *Watcher
	list   func() []string
	notify *fsnotify.Watcher
	seen   map[string]os.FileInfo // what each followed path was at the last look; nil: not there
	dirs   map[string]bool        // that the system follows
	dirty  map[string]bool        // followed paths with an event
	all    bool                   // look at every path
}

// note marks what an event may be about: the path itself if it is followed; or
// everything, for a name that is not, such as Kubernetes' ..data link.
func (r *runner) note(name string) {
	name = filepath.Clean(name)
	dir := filepath.Dir(name)
	_, file := r.seen[name]
	_, folder := r.seen[dir]
	if file {
		r.dirty[name] = true
	}
	if folder {
		r.dirty[dir] = true
	}
	if !file {
		r.all = true
	}
}

// tell looks at what may have changed and reports what has.
func (r *runner) tell(changed func([]string)) {
	var out []string
	look := r.dirty
	if r.all {
		look = make(map[string]bool, len(r.seen))
		for p := range r.seen {
			look[p] = true
		}
	}
	for p := range look {
		now := stat(p)
		if !same(r.seen[p], now) {
			r.seen[p] = now
			out = append(out, p)
		}
	}
	again := r.all || len(out) > 0
	r.all = false
	clear(r.dirty)
	if len(out) > 0 {
		changed(out)
	}
	if again {
		r.refresh()
	}
}

// refresh takes up new paths and follows the directories of all.
func (r *runner) refresh() {
	want := make(map[string]bool)
	dirs := make(map[string]bool)
	for _, p := range r.list() {
		p = filepath.Clean(p)
		want[p] = true
		if _, ok := r.seen[p]; !ok {
			r.seen[p] = stat(p)
		}
		if fi := r.seen[p]; fi != nil && fi.IsDir() {
			dirs[p] = true
		}
		r.follow(p, dirs, 0)
	}
	for p := range r.seen {
		if !want[p] {
			delete(r.seen, p)
		}
	}
	if r.notify == nil {
		return
	}
	for d := range dirs {
		if !r.dirs[d] {
			if err := r.notify.Add(d); err != nil {
				if !os.IsNotExist(err) {
					r.w.failed(d, err)
				}
				continue
			}
			r.dirs[d] = true
		}
	}
	for d := range r.dirs {
		if !dirs[d] || stat(d) == nil {
			r.notify.Remove(d)
			delete(r.dirs, d)
		}
	}
}

// follow adds the directories in which path could be replaced: its own, and
// those of every symbolic link on the way to it.
func (r *runner) follow(path string, dirs map[string]bool, depth int) {
	if depth > 20 {
		return
	}
	dir := filepath.Dir(path)
	if fi, err := os.Lstat(path); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
		if target, err := os.Readlink(path); err == nil {
			if !filepath.IsAbs(target) {
				target = filepath.Join(dir, target)
			}
			r.follow(target, dirs, depth+1)
		}
	}
	if dirs[dir] {
		return // its parents have been seen to
	}
	dirs[dir] = true
	for p := dir; strings.Trim(p, `/\.`) != "" && filepath.Dir(p) != p; p = filepath.Dir(p) {
		if fi, err := os.Lstat(p); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
			r.follow(p, dirs, depth+1)
		}
	}
}

func stat(path string) os.FileInfo {
	fi, err := os.Stat(path)
	if err != nil {
		return nil
	}
	return fi
}

func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && a.Mode() == b.Mode() && os.SameFile(a, b)
}
