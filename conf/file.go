package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// Bounds of a conf file. Nobody writes that much by hand, but a wrong path may
// lead to more.
const (
	maxFile = 16 << 20 // bytes
	maxLine = 64 << 10 // bytes of one line, without its newline
)

// ReadFile reads a conf file: TOML if the name ends in .toml, otherwise
// Net::Server's lines. The layer's Problems hold all errors, including a file
// that cannot be read.
func (s *Set) ReadFile(path string) Layer {
	data, err := readWhole(path, s.StableFor)
	if err != nil {
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err // the origin names the path already
		}
		at := Origin{Source: SourceFile, File: path}
		return Layer{Source: SourceFile, Problems: Problems{
			&Problem{Key: confFile, Origin: at, Err: fmt.Errorf("cannot read it: %w", err)},
		}}
	}
	var l Layer
	if isTOML(path) {
		l = s.ReadTOML(path, data)
	} else {
		l = s.ReadLines(path, data)
	}
	s.recognise(&l, path, data)
	l.NoFinalNewline = len(data) > 0 && data[len(data)-1] != '\n'
	return l
}

// recognise asks Foreign about a file that has what is no key.
func (s *Set) recognise(l *Layer, path string, data []byte) {
	unknown := func(e Entry) bool { return s.index[e.Key] == nil && s.Table(e.Key) == nil }
	if s.Foreign == nil || len(l.Problems) == 0 && !slices.ContainsFunc(l.Entries, unknown) {
		return
	}
	err := s.Foreign(path, data)
	if err == nil {
		return
	}
	p := &Problem{Key: confFile, Origin: Origin{Source: SourceFile, File: path}, Err: err}
	if len(l.Problems) > 0 {
		*l = Layer{Source: SourceFile, Problems: Problems{p}}
		return
	}
	l.foreign = p
}

const (
	// stableWait bounds the wait for a file that is still being written.
	stableWait = 3 * time.Second
	stablePoll = 10 * time.Millisecond
)

// readWhole reads a file that does not change meanwhile. A file changed less
// than stableFor ago may be half written: it is read once it has been unchanged
// for that long.
func readWhole(path string, stableFor time.Duration) ([]byte, error) {
	deadline := time.Now().Add(stableWait + stableFor)
	for {
		data, before, err := readBounded(path)
		if err != nil || !before.Mode().IsRegular() {
			return data, err
		}
		after, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		same := os.SameFile(before, after) && before.Size() == after.Size() && before.ModTime().Equal(after.ModTime()) &&
			(int64(len(data)) == after.Size() || after.Size() == 0) // as for files that the system generates
		// A time in the future means another clock, not a writer.
		if age := time.Since(after.ModTime()); same && (age >= stableFor || age < 0) {
			return data, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("it has been changing for %v; write a new file next to it and rename that", stableWait)
		}
		time.Sleep(stablePoll)
	}
}

// readBounded reads a regular file or a pipe, and returns the file's status at
// open.
func readBounded(path string) ([]byte, fs.FileInfo, error) {
	// Checked before opening: opening a terminal or a tape drive has effects,
	// and a directory gets a clearer message.
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if err := checkMode(info.Mode()); err != nil {
		return nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, nil, err
	}
	if err := checkMode(info.Mode()); err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it is larger than %d MiB", maxFile>>20)
	}
	return data, info, err
}

// checkMode refuses anything but a regular file or a pipe.
func checkMode(m fs.FileMode) error {
	switch {
	case m.IsRegular(), m&fs.ModeNamedPipe != 0:
		return nil
	case m.IsDir():
		return errors.New("it is a directory")
	}
	return errors.New("it is neither a file nor a pipe")
}

// withoutBOM removes the byte order mark that some editors put before UTF-8.
func withoutBOM(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\uFEFF")) }

// errNotFollowed reports a conf_file inside a conf file.
var errNotFollowed = errors.New("a conf file cannot name another one")
