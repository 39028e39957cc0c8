package dirstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"netserver/cluster"
)

const (
	attempts = 100              // if others keep writing the same key
	gcAge    = 10 * time.Minute // after which what is over is removed; no operation takes that long
	maxTaken = gcAge / 2        // of one write; a process that was stopped for longer has lost
)

// current returns the last write of a key; nil if there is none.
func (s *store) current(root *os.Root, key string) (*file, listing, error) {
	for range attempts {
		l, _, err := list(root)
		if err != nil {
			return nil, nil, err
		}
		num := l.last(key)
		if num == 0 {
			return nil, l, nil
		}
		f, err := s.read(root, key, num)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another write has replaced it
		}
		return f, l, err
	}
	return nil, nil, fmt.Errorf("%s changes all the time", key)
}

// with runs f with the directory, within the time of a call.
func (s *store) with(ctx context.Context, f func(*os.Root) error) error {
	return s.do(ctx, func() error {
		h, err := s.acquire()
		if err != nil {
			return err
		}
		defer s.release(h)
		return f(h.root)
	})
}

// Get implements cluster.Store.
func (s *store) Get(ctx context.Context, key string) (cluster.Value, error) {
	if err := cluster.CheckKey(key); err != nil {
		return cluster.Value{}, err
	}
	var found *file
	err := s.with(ctx, func(root *os.Root) error {
		f, _, err := s.current(root, key)
		switch {
		case err != nil:
			return err
		case !f.there():
			return fmt.Errorf("%s: %w", key, cluster.ErrNotFound)
		case f.bad != nil:
			return f.bad
		}
		found = f
		return nil
	})
	if err != nil {
		return cluster.Value{}, err
	}
	return found.Value, nil
}

// Put implements cluster.Store.
func (s *store) Put(ctx context.Context, key string, data []byte, rev uint64, ttl time.Duration) (uint64, error) {
	return s.change(ctx, key, kindValue, data, ttl, &rev)
}

// Set implements cluster.Store.
func (s *store) Set(ctx context.Context, key string, data []byte, ttl time.Duration) (uint64, error) {
	return s.change(ctx, key, kindValue, data, ttl, nil)
}

// Delete implements cluster.Store.
func (s *store) Delete(ctx context.Context, key string, rev uint64) error {
	only := &rev
	if rev == 0 {
		only = nil
	}
	_, err := s.change(ctx, key, kindGone, nil, 0, only)
	return err
}

// change writes the next file of a key, if its revision is still that of rev.
func (s *store) change(ctx context.Context, key string, kind byte, data []byte, ttl time.Duration, rev *uint64) (uint64, error) {
	if err := cluster.CheckWrite(key, data, ttl); err != nil {
		return 0, err
	}
	data = append([]byte{}, data...) // the caller's may change when the time is over
	var made uint64
	err := s.with(ctx, func(root *os.Root) (err error) {
		made, err = s.writeNext(ctx, root, key, kind, data, ttl, rev)
		return err
	})
	if err != nil {
		return 0, err
	}
	return made, nil
}

func (s *store) writeNext(ctx context.Context, root *os.Root, key string, kind byte, data []byte, ttl time.Duration, rev *uint64) (uint64, error) {
	begin := time.Now()
	changed := fmt.Errorf("%s: %w", key, cluster.ErrChanged)
	temp := ""
	defer func() {
		if temp != "" {
			root.Remove(temp)
		}
	}()
	for range attempts {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		f, l, err := s.current(root, key)
		if err != nil {
			return 0, err
		}
		var there uint64
		if f.there() {
			there = f.Rev
		}
		switch {
		case rev != nil && (*rev != there || f.there() && f.bad != nil):
			return 0, changed
		case kind == kindGone && !f.there():
			return 0, nil
		}
		num, err := nextNum(key, l.last(key))
		if err != nil {
			return 0, err
		}
		w, err := s.write(root, kind, data, ttl, f)
		if temp = w.temp; err != nil {
			return 0, err
		}
		err = root.Link(temp, fileName(key, num))
		if err == nil {
			return s.settle(root, key, num, w.random, time.Since(begin) > maxTaken)
		}
		if !errors.Is(err, fs.ErrExist) {
			return 0, err
		}
		if rev != nil {
			return 0, changed
		}
		root.Remove(temp)
	}
	return 0, fmt.Errorf("%s changes all the time", key)
}

// settle looks at the directory after a write. Who was slow may have had a number
// that was free only because its file was removed again. Then later ones are
// there that do not follow ours.
func (s *store) settle(root *os.Root, key string, num, random uint32, late bool) (uint64, error) {
	if late {
		root.Remove(fileName(key, num))
		return 0, fmt.Errorf("%s: writing took longer than %v", key, maxTaken)
	}
	f, l, err := s.current(root, key)
	if err != nil {
		return 0, err
	}
	if f == nil {
		return 0, fmt.Errorf("%s: its file has been removed", key)
	}
	follows, known := f.follows(num, random)
	for _, n := range l[key] {
		if n < f.num {
			root.Remove(fileName(key, n))
		}
	}
	switch {
	case !known:
		return 0, fmt.Errorf("%s: others have written it so often that nothing tells whether this write counted", key)
	case !follows:
		return 0, fmt.Errorf("%s: %w", key, cluster.ErrChanged)
	}
	return uint64(num)<<32 | uint64(random), nil
}
