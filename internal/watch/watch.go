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
	Poll     time.Duration // polling interval; 0 means 30 s, negative never
	Debounce time.Duration // how long files must be quiet before a change is reported; 0 means 100 ms
	// Failed, if set, is called when the system cannot watch a directory,
	// which leaves only polling.
	Failed func(dir string, err error)
	// Ready, if set, is called from Run's goroutine once all files are
	// watched. Earlier changes must be found by other means.
	Ready func()

	look time.Duration // for tests: act as if the system did not report replaced directories, and poll them at this interval
}

// maxDebounce bounds the wait for quiet, so that a directory that is written to
// all the time does not hide changes.
const maxDebounce = time.Second

// Run calls changed with the files and directories of list that have changed
// since the previous call, until ctx ends. It calls list again after each
// change. Both are called from Run's own goroutine.
func (w *Watcher) Run(ctx context.Context, list func() []string, changed func(paths []string)) {
	r := &runner{w: w, list: list, seen: make(map[string]os.FileInfo), dirs: make(map[string]os.FileInfo), dirty: make(map[string]bool)}
	events, errs, replaced := r.open()
	defer r.close()
	r.refresh()
	if w.Ready != nil {
		w.Ready()
	}
	poll := newTicker(w.Poll, 30*time.Second)
	defer poll.Stop()
	look := newTicker(w.dirLook(r.tree), dirPoll)
	defer look.Stop()
	debounce := time.NewTimer(time.Hour)
	debounce.Stop()
	defer debounce.Stop()
	var since time.Time // of the first event not reported yet
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			if e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename) {
				delete(r.dirs, e.Name) // if it is a directory, its watch is gone too
			}
			r.note(e.Name)
		case <-replaced:
			r.all = true
		case <-look.C:
			if !r.moved() {
				continue
			}
			r.all = true
		case _, ok := <-errs:
			if !ok {
				errs = nil
				continue
			}
			r.all = true // events were lost
		case <-poll.C:
			r.all = true
			r.report(changed)
			since = time.Time{}
			if !r.all {
				continue
			}
		case <-debounce.C:
			r.report(changed)
			since = time.Time{}
			if !r.all {
				continue
			}
		}
		if since.IsZero() {
			since = time.Now()
		}
		debounce.Reset(max(0, min(w.debounce(), maxDebounce-time.Since(since))))
	}
}

// open begins to listen to the system, as far as it tells of changes. A channel
// is nil where it does not.
func (r *runner) open() (events chan fsnotify.Event, errs chan error, replaced chan struct{}) {
	if n, err := fsnotify.NewWatcher(); err == nil {
		r.notify, events, errs = n, n.Events, n.Errors
	} else {
		r.w.failed("", err)
	}
	if r.w.look == 0 {
		r.tree = newTree()
	}
	if r.tree != nil {
		replaced = r.tree.changed
	}
	return events, errs, replaced
}

func (r *runner) close() {
	if r.tree != nil {
		r.tree.close()
	}
	if r.notify != nil {
		r.notify.Close()
	}
}

func (w *Watcher) debounce() time.Duration {
	if w.Debounce > 0 {
		return w.Debounce
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

// dirPoll is the polling interval for directories where the system does not
// report replaced ones.
const dirPoll = time.Second

func (w *Watcher) dirLook(t *tree) time.Duration {
	if t != nil {
		return -1
	}
	return w.look
}

// runner is the state of one Run.
type runner struct {
	w      *Watcher
	list   func() []string
	notify *fsnotify.Watcher
	seen   map[string]os.FileInfo // state of each watched path at the last check; nil: missing
	dirs   map[string]os.FileInfo // watched directories, as they were then
	want   map[string]bool        // directories to watch
	tree   *tree                  // reports replaced directories; nil: not supported
	dirty  map[string]bool        // watched paths with an event
	all    bool                   // check every path
}

// moved reports whether a directory is no longer the watched one.
func (r *runner) moved() bool {
	for d := range r.want {
		if now, then := stat(d), r.dirs[d]; (now == nil) != (then == nil) || now != nil && !os.SameFile(now, then) {
			return true
		}
	}
	return false
}

// note marks what an event may affect: the path itself if it is watched, or
// everything for another name, such as Kubernetes' ..data link.
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

// report checks what may have changed and reports what has.
func (r *runner) report(changed func([]string)) {
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

// refresh adds new paths and watches the directories of all. Changes in a
// directory before it was watched are found by another check, which setting
// all requests.
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
	r.want = dirs
	if r.tree != nil {
		r.all = r.tree.set(withAncestors(dirs)) || r.all
	}
	if r.notify == nil {
		return
	}
	for d := range dirs {
		r.all = r.attach(d) || r.all
	}
	for d := range r.dirs {
		if !dirs[d] {
			r.notify.Remove(d)
			delete(r.dirs, d)
		}
	}
}

// attach watches d, and reports whether it was not watched before. A directory
// that replaced another counts as new.
func (r *runner) attach(d string) bool {
	now, then := stat(d), r.dirs[d]
	switch {
	case now != nil && then != nil && os.SameFile(now, then):
		return false
	case then != nil:
		r.notify.Remove(d)
		delete(r.dirs, d)
	}
	if now == nil {
		return false
	}
	if err := r.notify.Add(d); err != nil {
		if !os.IsNotExist(err) {
			r.w.failed(d, err)
		}
		return false
	}
	// If it was replaced in between, moved or the next check finds out.
	r.dirs[d] = now
	return true
}

// withAncestors returns the directories and all above them, each of which may be
// replaced.
func withAncestors(dirs map[string]bool) map[string]bool {
	all := make(map[string]bool, 2*len(dirs))
	for d := range dirs {
		for p := d; !all[p] && filepath.Dir(p) != p; p = filepath.Dir(p) {
			all[p] = true
		}
	}
	return all
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
		return // its parents are done
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
