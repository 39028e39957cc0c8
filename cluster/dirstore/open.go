package dirstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"netserver/cluster"
	"netserver/cluster/internal/lifetime"
	"netserver/internal/place"
)

// A store is a directory below the one of the URL, named by the namespace.
type store struct {
	o      cluster.StoreOptions
	dir    string
	ends   lifetime.Ends
	ahead  atomic.Int64  // how far the file system's clock is ahead of ours, in nanoseconds
	slots  chan struct{} // of operations that run
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex
	held *handle // nil: not open
	gone bool    // closed
}

// A handle is the open directory, closed when nobody uses it.
type handle struct {
	root *os.Root
	uses int // below store.mu
}

// maxRunning bounds the operations that run at the same time: those of a file
// system that hangs cannot be ended.
const maxRunning = 16

// Open opens the directory of a URL such as dir:/var/lib/netserver/cluster, and
// makes it if it is missing. It is an error if somebody else than root and this
// process's user could write to it.
func Open(ctx context.Context, name string, o cluster.StoreOptions) (cluster.Store, error) {
	o, err := o.WithDefaults()
	if err != nil {
		return nil, fmt.Errorf("directory store: %w", err)
	}
	path, err := parse(name)
	if err != nil {
		return nil, err
	}
	s := &store{
		o: o, dir: filepath.Join(path, o.Namespace),
		slots: make(chan struct{}, maxRunning), closed: make(chan struct{}),
	}
	if err := s.do(ctx, s.prepare); err != nil {
		s.Close()
		return nil, fmt.Errorf("directory store %s: %w", path, err)
	}
	return s, nil
}

// parse returns the path of a URL.
func parse(name string) (string, error) {
	u, err := url.Parse(name)
	if err != nil || u.Scheme != "dir" || u.Host != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !filepath.IsAbs(filepath.FromSlash(u.Path)) {
		return "", errors.New("the URL of a directory store is dir: and an absolute path, as dir:/var/lib/netserver/cluster")
	}
	return filepath.Clean(filepath.FromSlash(u.Path)), nil
}

// prepare makes and opens the directory, and compares clocks if it can write.
func (s *store) prepare() error {
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer s.release(h)
	if w, err := s.write(h.root, kindGone, nil, 0, nil); err == nil {
		h.root.Remove(w.temp)
	}
	return nil
}

// acquire returns the directory as it is there now: it may have been replaced.
// release gives it back. No lock is held while the file system works.
func (s *store) acquire() (*handle, error) {
	s.mu.Lock()
	h, gone := s.held, s.gone
	if h != nil {
		h.uses++
	}
	s.mu.Unlock()
	if gone {
		return nil, cluster.ErrClosed
	}
	if h != nil {
		if stillThere(h.root, s.dir) {
			return h, nil
		}
		s.release(h)
	}
	root, err := open(s.dir)
	if err != nil {
		return nil, err
	}
	h = &handle{root, 2} // the store and the caller
	s.mu.Lock()
	old := s.held
	if gone = s.gone; !gone {
		s.held = h
	}
	s.mu.Unlock()
	if gone {
		root.Close()
		return nil, cluster.ErrClosed
	}
	if old != nil {
		s.release(old)
	}
	return h, nil
}

func (s *store) release(h *handle) {
	s.mu.Lock()
	h.uses--
	last := h.uses == 0
	s.mu.Unlock()
	if last {
		h.root.Close()
	}
}

// open makes the directory if it is missing, and opens it.
func open(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := place.Unwritable(dir); err != nil {
		return nil, err
	}
	return os.OpenRoot(dir)
}

func stillThere(root *os.Root, dir string) bool {
	held, err := root.Stat(".")
	if err != nil {
		return false
	}
	now, err := os.Stat(dir)
	return err == nil && os.SameFile(held, now)
}

// Close implements cluster.Store.
func (s *store) Close() error {
	s.once.Do(func() {
		close(s.closed)
		s.mu.Lock()
		h := s.held
		s.held, s.gone = nil, true
		s.mu.Unlock()
		if h != nil {
			s.release(h)
		}
	})
	return nil
}

// do runs f, and returns when it has or when its time is over: then f goes on in
// its goroutine until the file system answers.
func (s *store) do(ctx context.Context, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-s.closed:
		return cluster.ErrClosed
	default:
	}
	select {
	case s.slots <- struct{}{}:
	case <-s.closed:
		return cluster.ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("the file system has not answered %d operations: %w", maxRunning, ctx.Err())
	}
	done := make(chan error, 1)
	go s.run(f, done)
	select {
	case err := <-done:
		return told(err)
	case <-s.closed:
		return cluster.ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("the file system has not answered: %w", ctx.Err())
	}
}

func (s *store) run(f func() error, done chan<- error) {
	defer func() { <-s.slots }()
	done <- f()
}

// told returns the error as package cluster names it.
func told(err error) error {
	for _, k := range []struct {
		is  error
		say error
	}{
		{syscall.ENOSPC, cluster.ErrFull},
		{syscall.EDQUOT, cluster.ErrFull},
		{syscall.EROFS, cluster.ErrReadOnly},
		{fs.ErrPermission, cluster.ErrDenied},
	} {
		if errors.Is(err, k.is) {
			return fmt.Errorf("%w: %w", k.say, err)
		}
	}
	return err
}

// clock is now by the file system's clock.
func (s *store) clock() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }
