package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Bounds of a conf file. Nobody writes so much by hand; a wrong path may lead
// to more.
const (
	maxFile = 16 << 20 // bytes
	maxLine = 64 << 10 // bytes of one line, without its end
)

// ReadFile reads a conf file: TOML if the name ends in .toml, else lines as
// Net::Server has them. What is wrong with the file is in the layer's
// Problems, that it cannot be read at all included.
func (s *Set) ReadFile(path string) Layer {
	data, err := readWhole(path, s.Settle)
	if err != nil {
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err // the path is the place already
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
	l.Unended = len(data) > 0 && data[len(data)-1] != '\n'
	return l
}

const (
	// restTime bounds the wait for a file that is being written.
	restTime = 3 * time.Second
	restLook = 10 * time.Millisecond
)

// readWhole reads a file that nobody writes to meanwhile. One that was changed
// less than settle ago may be half written: it is read when it has rested.
func readWhole(path string, settle time.Duration) ([]byte, error) {
	deadline := time.Now().Add(restTime + settle)
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
			(int64(len(data)) == after.Size() || after.Size() == 0) // as of files that the system makes up
		// A time to come is no sign of a writer, but of another clock.
		if age := time.Since(after.ModTime()); same && (age >= settle || age < 0) {
			return data, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("it has been changing for %v; write a new file beside it and rename that", restTime)
		}
		time.Sleep(restLook)
	}
}

// readBounded reads a regular file or a pipe, and returns what the file was
// like when it was opened.
func readBounded(path string) ([]byte, fs.FileInfo, error) {
	// Looked at before it is opened: opening a terminal or a tape drive does
	// something, and a directory gets a clearer message.
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

// checkMode refuses what is neither file nor pipe.
func checkMode(m fs.FileMode) error {
	switch {
	case m.IsRegular(), m&fs.ModeNamedPipe != 0:
		return nil
	case m.IsDir():
		return errors.New("it is a directory")
	}
	return errors.New("it is neither a file nor a pipe")
}

// withoutBOM cuts the mark that some editors put before UTF-8.
func withoutBOM(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\uFEFF")) }

// errNotFollowed is the fault of a conf_file inside a conf file.
var errNotFollowed = errors.New("a conf file cannot name another one")
