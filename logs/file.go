package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
)

// A File is a log file that can be reopened by name after rotation: the moved
// file keeps the old lines, and the new file gets the further ones. Make one
// with OpenFile. Its methods may be called concurrently.
type File struct {
	path  string // absolute: after a chdir, Reopen opens the same file
	fixed bool   // standard output or error, which Close leaves open
	open  Opener

	mu sync.Mutex // one Reopen or Close at a time
	f  atomic.Pointer[os.File]
}

// An Opener opens a file as os.OpenFile does.
type Opener func(path string, flag int, perm fs.FileMode) (*os.File, error)

// OpenFile opens the log file at path for appending, and creates it with mode
// 0640 less the umask if it does not exist. It refuses a directory, a socket,
// a block device, a named pipe that nobody reads (it does not wait for a
// reader), and the name of a Net::Server logging class. The names /dev/stdout
// and /dev/stderr mean the process's own streams, whatever they are connected
// to.
func OpenFile(path string) (*File, error) { return OpenFileWith(path, nil) }

// OpenFileWith is OpenFile with a function that opens the path, now and at
// each Reopen; nil means os.OpenFile.
func OpenFileWith(path string, open Opener) (*File, error) {
	if path == "" {
		return nil, errors.New("log file: no name given")
	}
	if err := CheckFileName(path); err != nil {
		return nil, err
	}
	if open == nil {
		open = os.OpenFile
	}
	if std := standardStream(path); std != nil {
		l := &File{path: path, fixed: true}
		l.f.Store(std)
		return l, nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("log file %s: %w", path, err)
	}
	l := &File{path: abs, open: open}
	f, err := openLog(abs, open)
	if err != nil {
		return nil, err
	}
	l.f.Store(f)
	return l, nil
}

// Name returns the file's path, made absolute.
func (l *File) Name() string { return l.path }

// Write appends b in one system call where the system allows it. It returns
// os.ErrClosed after Close.
func (l *File) Write(b []byte) (int, error) {
	for {
		f := l.f.Load()
		if f == nil {
			return 0, fmt.Errorf("log file %s: %w", l.path, os.ErrClosed)
		}
		n, err := f.Write(b)
		if n == 0 && errors.Is(err, os.ErrClosed) && l.f.Load() != f {
			continue // Reopen came in between
		}
		return n, err
	}
}

// Reopen opens the path again and writes there from then on; a concurrent
// Write goes to one of the two files, whole. If the path cannot be opened, the
// current file stays open, and the error says why.
func (l *File) Reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f.Load() == nil {
		return fmt.Errorf("log file %s: %w", l.path, os.ErrClosed)
	}
	if l.fixed {
		return nil
	}
	f, err := openLog(l.path, l.open)
	if err != nil {
		return fmt.Errorf("%w; the one in use stays open", err)
	}
	return l.f.Swap(f).Close()
}

// Close closes the file, but not the process's standard streams.
func (l *File) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.f.Swap(nil)
	if f == nil || l.fixed {
		return nil
	}
	return f.Close()
}

// openLog opens path for appending if it is suitable as a log.
func openLog(path string, open Opener) (*os.File, error) {
	f, err := open(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|openNoWait, 0o640)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err // it repeats the path
		}
		if noReader(err, path) {
			err = fmt.Errorf("a named pipe that nobody reads, or a socket: %w", err)
		}
		return nil, fmt.Errorf("log file %s: %w", path, err)
	}
	info, err := f.Stat()
	if err == nil {
		err = checkKind(info.Mode())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("log file %s: %w", path, err)
	}
	return f, nil
}

// checkKind refuses an opened file that is not suitable as a log.
func checkKind(m fs.FileMode) error {
	switch {
	case m.IsRegular(), m&fs.ModeNamedPipe != 0, m&fs.ModeCharDevice != 0:
		return nil
	case m.IsDir():
		return errors.New("is a directory")
	default:
		return fmt.Errorf("is neither a file nor a named pipe nor a terminal (%s)", m)
	}
}

// CheckFileName refuses the name of a Net::Server logging class, which is not
// a file. The only one supported, Sys::Syslog, is not a File.
func CheckFileName(path string) error {
	if isClass(path) {
		return fmt.Errorf("log file %s: this names a logging class of Net::Server, and only Sys::Syslog is supported; give a path (./%s for a file of that name)", path, path)
	}
	return nil
}

// isClass reports whether a conf file for Net::Server means a class by name,
// such as Sys::Syslog, and not a file.
func isClass(name string) bool {
	return strings.Contains(name, "::") && !strings.ContainsAny(name, `/\`)
}

func standardStream(path string) *os.File {
	switch path {
	case "/dev/stdout":
		return os.Stdout
	case "/dev/stderr":
		return os.Stderr
	default:
		return nil
	}
}
