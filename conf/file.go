package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
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
	data, err := readBounded(path)
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
	if isTOML(path) {
		return s.ReadTOML(path, data)
	}
	return s.ReadLines(path, data)
}

// readBounded reads a regular file or a pipe.
func readBounded(path string) ([]byte, error) {
	// Looked at before it is opened: opening a terminal or a tape drive does
	// something, and a directory gets a clearer message.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := checkMode(info.Mode()); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if err := checkMode(info.Mode()); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it is larger than %d MiB", maxFile>>20)
	}
	return data, err
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
