package access

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"netserver/conf"
)

// A Store holds the current Policy and makes a new one when a rule file has
// changed. An invalid file changes nothing: the current Policy stays. A Store
// is safe for concurrent use.
//
// Replace a file by renaming a new one over it. A file written in place may be
// read half written. So a file that had rules and is empty now, or whose last
// line lost its newline, is rejected.
type Store struct {
	policy atomic.Pointer[Policy]

	mu    sync.Mutex // one Reload at a time
	rules Rules
	files []fileState          // when last read, successfully or not
	good  map[string]fileState // when they came into force
	err   error                // of the last Reload that read them
}

// NewStore compiles the rules and returns a Store that follows their files.
// Relative paths are resolved now, against the current directory.
func NewStore(r Rules) (*Store, error) {
	for _, files := range []*[]conf.Value{&r.AllowFile, &r.DenyFile, &r.CIDRAllowFile, &r.CIDRDenyFile} {
		*files = slices.Clone(*files)
		for i := range *files {
			v := &(*files)[i]
			if v.Text == "" {
				continue // Compile reports it
			}
			abs, err := filepath.Abs(v.Text)
			if err != nil {
				return nil, err
			}
			v.Text = abs
		}
	}
	p, files, err := r.compile(nil)
	if err != nil {
		return nil, err
	}
	s := &Store{rules: r, files: files, good: byPath(files)}
	s.policy.Store(p)
	return s, nil
}

// Policy returns the current Policy. Use one Policy for a client from
// beginning to end.
func (s *Store) Policy() *Policy { return s.policy.Load() }

// Reload checks whether a rule file has changed since it was last read, and if
// so makes a new Policy from all of them. It reports whether a new Policy is
// in force. With an error, the old one stays; the same error is reported only
// once until a file changes again. Without a change, Reload costs one stat per
// file.
func (s *Store) Reload() (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stale := false
	for i := range s.files {
		stale = s.files[i].changed() || stale
	}
	if !stale {
		return false, nil
	}
	p, files, err := s.rules.compile(s.good)
	s.files = files // after a failure too: only a change makes another attempt worthwhile
	if err != nil {
		s.err = fmt.Errorf("new access rules rejected; the current ones stay: %w", err)
		return false, s.err
	}
	s.err = nil
	s.good = byPath(files)
	s.policy.Store(p)
	return true, nil
}

func byPath(files []fileState) map[string]fileState {
	m := make(map[string]fileState, len(files))
	for _, f := range files {
		m[f.path] = f
	}
	return m
}

// Follows reports whether there are rule files, and so whether the Policy can
// change.
func (s *Store) Follows() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.files) > 0
}

// Err returns why the present rule files are not in force, or nil.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
