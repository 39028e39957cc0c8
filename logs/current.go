package logs

import (
	"errors"
	"io/fs"
	"os"
)

// Current returns the open file, to hand to another process. It is valid until
// the next Reopen or Close; nil after Close.
func (l *File) Current() *os.File { return l.f.Load() }

// IsStream reports whether the file is the process's own standard output or
// error.
func (l *File) IsStream() bool { return l.fixed }

// Moved reports whether another file, or none, has the name now: the one that
// is open was renamed or removed, and Reopen would open a new one. It is false
// if that cannot be told.
func (l *File) Moved() bool {
	f := l.f.Load()
	if f == nil || l.fixed {
		return false
	}
	open, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(l.path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	return !os.SameFile(open, named)
}
