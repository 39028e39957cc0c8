package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"netserver/internal/watch"
	"netserver/logs"
)

// maxTargetsFile is more than maxEndpoints lines need.
const maxTargetsFile = 1 << 20

// A fileState is the version of a targets file that is in force.
type fileState struct {
	path  string // absolute
	data  []byte // the last version that was read, good or not
	count int    // targets in the one in force
	ended bool   // its last line ended in a newline
	said  string // why the last version was rejected
}

// read reads a targets file. An error says that it is missing, has a mistake in
// it, or may be half written.
func (f *fileState) read(path string) ([]Target, error) {
	data, err := readWhole(path)
	if err != nil {
		return nil, err
	}
	f.data = data
	targets, err := parseTargets(path, data)
	if err != nil {
		return nil, err
	}
	ended := len(data) == 0 || data[len(data)-1] == '\n'
	switch {
	case f.count > 0 && len(bytes.TrimSpace(data)) == 0:
		return nil, fmt.Errorf("%s is empty now, and held %d targets: to remove them all, write a comment line (#) into it", path, f.count)
	case f.ended && !ended:
		return nil, fmt.Errorf("%s: its last line no longer ends in a newline, so it may be half written: end it with one", path)
	}
	f.count, f.ended = len(targets), ended
	return targets, nil
}

// readWhole reads a regular file that does not change meanwhile.
func readWhole(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTargetsFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxTargetsFile {
		return nil, fmt.Errorf("%s is larger than %d MiB", path, maxTargetsFile>>20)
	}
	after, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(info, after) || !info.ModTime().Equal(after.ModTime()) || after.Size() != int64(len(data)) {
		return nil, fmt.Errorf("%s changed while it was read", path)
	}
	return data, nil
}

func parseTargets(path string, data []byte) (list []Target, err error) {
	line := 0
	for text := range bytes.Lines(data) {
		line++
		text = bytes.TrimSpace(text)
		if len(text) == 0 || text[0] == '#' {
			continue
		}
		t, err := ParseTarget(string(text))
		if err != nil {
			return nil, fmt.Errorf("%w (%s:%d)", err, path, line)
		}
		if list = append(list, t); len(list) > maxEndpoints {
			return nil, fmt.Errorf("%s has more than %d targets", path, maxEndpoints)
		}
	}
	return list, nil
}

// follow uses each new version of TargetsFile until ctx ends.
func (b *Backend) follow(ctx context.Context) {
	w := &watch.Watcher{Ready: b.reread}
	w.Run(ctx, func() []string { return []string{b.file.path} }, func([]string) { b.reread() })
}

// reread reads TargetsFile, and uses it if it has changed and is good.
func (b *Backend) reread() {
	f := &b.file
	if data, err := readWhole(b.file.path); err == nil && bytes.Equal(data, f.data) {
		return
	}
	before := *f
	targets, err := f.read(b.file.path)
	if err == nil {
		err = b.useFile(targets)
	}
	if err == nil {
		f.said = ""
		b.log(logs.Notice, "new targets", slog.String("file", b.file.path), slog.Int("targets", len(targets)))
		return
	}
	f.count, f.ended = before.count, before.ended
	if f.said != err.Error() {
		f.said = err.Error()
		b.log(slog.LevelError, "new targets rejected; the current ones stay", slog.String("err", f.said))
	}
}

// useFile makes targets those of TargetsFile.
func (b *Backend) useFile(targets []Target) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := append(b.Targets[:len(b.Targets):len(b.Targets)], targets...)
	if at, err := b.setTargets(append(list, b.added...)); err != nil {
		return fmt.Errorf("%s: target %s: %w", b.file.path, at, err)
	}
	return nil
}
