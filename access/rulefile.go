package access

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"netserver/conf"
)

// Bounds of a rule file. A larger one is a mistake and refused.
const (
	maxFileSize = 64 << 20  // bytes
	maxLine     = 4096      // bytes
	maxRules    = 1_000_000 // in one list, including its files
)

// A fileState is the state of a rule file when it was read.
type fileState struct {
	path string
	info fs.FileInfo
	sum  [sha256.Size]byte
	// rules and ended are its number of rules and whether its last line ended
	// in a newline. They are set for valid files.
	rules int
	ended bool
	// fresh is set if the file was written so shortly before it was read that
	// a later write may leave the same time: its content must be compared.
	fresh bool
}

// freshness exceeds the time resolution of any file system.
const freshness = 3 * time.Second

// readFile reads a rule file. It must not block, so it opens regular files
// only.
func readFile(path string) ([]byte, fileState, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fileState{path: path}, err
	}
	state := fileState{path: path, info: info}
	if !info.Mode().IsRegular() {
		return nil, state, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	if info.Size() > maxFileSize {
		return nil, state, tooLarge(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, state, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, state, err
	}
	if len(data) > maxFileSize {
		return nil, state, tooLarge(path)
	}
	after, err := f.Stat()
	if err != nil {
		return nil, state, err
	}
	state.sum = sha256.Sum256(data)
	state.fresh = time.Since(info.ModTime()) < freshness
	if !sameInfo(info, after) || int64(len(data)) != after.Size() {
		// Half of it may be new. Keeping the old state makes the next Reload
		// read it again.
		return nil, state, &fs.PathError{Op: "read", Path: path, Err: errors.New("changed while it was read")}
	}
	return data, state, nil
}

func tooLarge(path string) error {
	return &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("larger than %d MiB", maxFileSize>>20)}
}

func sameInfo(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// changed reports whether the file has changed since.
func (s *fileState) changed() bool {
	info, err := os.Stat(s.path)
	if err != nil || s.info == nil {
		return (err != nil) != (s.info == nil)
	}
	if !sameInfo(s.info, info) {
		return true
	}
	if !s.fresh {
		return false
	}
	data, now, err := readFile(s.path)
	if err != nil || sha256.Sum256(data) != s.sum {
		return true
	}
	s.fresh = now.fresh
	return false
}

// checkWhole returns an error if a file that was valid before may now be half
// written: it is empty, or its last line lost its newline. Half a list of deny
// rules admits everybody on the other half. A full disk or a killed writer
// leaves a file in that state for good.
func (s *fileState) checkWhole(data []byte, before fileState) error {
	switch {
	case before.rules > 0 && len(bytes.TrimSpace(data)) == 0:
		return fmt.Errorf("it is empty now, and held %s: to remove them all, write a comment line (#) into it", countRules(before.rules))
	case before.ended && len(data) > 0 && !s.ended:
		return errors.New("its last line no longer ends in a newline, so it may be half written: end it with one")
	}
	return nil
}

func countRules(n int) string {
	if n == 1 {
		return "1 rule"
	}
	return fmt.Sprintf("%d rules", n)
}

// fileRules splits the content of a rule file, skipping empty lines and lines
// that begin with #. In a file of networks, text after # or ; is skipped too,
// as in published lists; in expressions these are ordinary characters.
func fileRules(path string, data []byte, networks bool) ([]conf.Value, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	var vals []conf.Value
	for n := 1; len(data) > 0; n++ {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte("\n"))
		if len(line) > maxLine {
			return nil, fmt.Errorf("%s:%d: longer than %d bytes", path, n, maxLine)
		}
		if networks {
			if i := bytes.IndexAny(line, "#;"); i >= 0 {
				line = line[:i]
			}
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if len(vals) == maxRules {
			return nil, fmt.Errorf("%s:%d: more than %d rules", path, n, maxRules)
		}
		vals = append(vals, conf.Value{
			Text:   string(line),
			Origin: conf.Origin{Source: conf.SourceFile, File: path, Line: n},
		})
	}
	return vals, nil
}
