package logs

import (
	"errors"
	"io/fs"
	"os"
)

// Current returns the open file, to pass to another process. It is valid until
// the next Reopen or Close; nil after Close.
func (l *File) Current() *os.File { return l.f.Load() }

// IsStream reports whether the file is the process's own standard output or
// error.
func (l *File) IsStream() bool { return l.fixed }

// Moved reports whether the open file was renamed or removed, so that Reopen
// would open a new one. It is false if that is unknown.
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
