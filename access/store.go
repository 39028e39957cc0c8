package access

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"netserver/conf"
)

// A Store holds the Policy in force and makes a new one when a rule file has
// changed. A file that cannot be used changes nothing: the Policy before it
// stays. A Store is safe for concurrent use.
//
// A file should be replaced by renaming a new one over it. One that is written
// in place may be read when a part of it is there. So a file that is empty, and
// had rules, or whose last line has no end, and had one, is not believed.
type Store struct {
	policy atomic.Pointer[Policy]

	mu    sync.Mutex // one Reload at a time
	rules Rules
	files []fileState          // as they were when last read, with or without success
	good  map[string]fileState // as they were when they came into force
	err   error                // of the last Reload that read them
}

// NewStore compiles the rules and returns a Store that follows their files.
// Relative paths mean the present working directory for ever.
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

// Policy returns the Policy in force. A client should be decided on with one
// Policy from beginning to end.
func (s *Store) Policy() *Policy { return s.policy.Load() }

// Reload looks whether a rule file has changed since it was last read, and if
// so makes a new Policy of all of them. It reports whether a new Policy is in
// force. With an error, the old one stays; the same fault is reported once,
// until a file changes again. Without a change Reload costs a stat per file.
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
	s.files = files // after a failure too: only a change makes another try worth while
	if err != nil {
		s.err = fmt.Errorf("the access rules stay as they were: %w", err)
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

// Follows reports whether there are rule files, so that the Policy can change.
func (s *Store) Follows() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.files) > 0
}

// Err returns why the rule files as they are now are not in force, or nil.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
