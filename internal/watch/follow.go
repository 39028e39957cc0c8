package watch

import (
	"context"
	"path/filepath"
	"sync"
	"time"
)

// retryAfter is when files that could not be used are read once more: the other
// half of a pair may be under way.
const retryAfter = time.Second

// Follow calls reload with what has changed of the files of list, and at first
// with all of them, until ctx ends. What fails is tried once more after a while,
// with final set: then the files are as they are meant to be. reload may run in
// several goroutines at once. Fields of w other than Ready are obeyed.
func (w *Watcher) Follow(ctx context.Context, list func() []string, reload func(final bool, paths []string) error) {
	retry := make(chan []string)
	var jobs sync.WaitGroup
	defer jobs.Wait()
	load := func(paths []string) {
		if reload(false, paths) == nil {
			return
		}
		select {
		case retry <- paths:
		case <-ctx.Done():
		}
	}
	w.Ready = func() { load(list()) } // for what has changed before
	jobs.Go(func() { retryLoop(ctx, retry, reload) })
	w.Run(ctx, list, load)
}

// retryLoop collects paths that failed and reloads them when they have had time
// to become whole.
func retryLoop(ctx context.Context, in <-chan []string, reload func(bool, []string) error) {
	var paths []string
	timer := time.NewTimer(retryAfter)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-in:
			paths = append(paths, p...)
			timer.Reset(retryAfter)
		case <-timer.C:
			reload(true, paths)
			paths = nil
		}
	}
}

// Touches returns a function that tells whether a file or directory is among
// paths, or holds one of them. No paths stand for all.
func Touches(paths []string) func(string) bool {
	if len(paths) == 0 {
		return func(string) bool { return true }
	}
	set := make(map[string]bool)
	for _, p := range paths {
		set[filepath.Clean(p)] = true
		set[filepath.Dir(filepath.Clean(p))] = true
	}
	return func(f string) bool { return f != "" && set[filepath.Clean(f)] }
}
