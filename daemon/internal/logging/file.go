package logging

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"netserver/internal/place"
	"netserver/logs"
)

// openFile opens the file of log_file.
func (c *Config) openFile() (*logs.File, error) {
	f, err := logs.OpenFileWith(c.File, c.opener())
	if err == nil {
		return f, nil
	}
	if inner := errors.Unwrap(err); inner != nil {
		err = inner // without the path
	}
	return nil, fmt.Errorf("log_file %s: %w", c.File, err)
}

// opener returns what opens the log file, now and again. Root must not
// follow what others may have put in its way to any file on the machine and
// append to that what clients say.
func (c *Config) opener() logs.Opener {
	var o place.Options
	if a := c.Owner; a != nil {
		o.Owner, o.Group = a.UID, a.GID
	}
	return func(path string, flag int, perm fs.FileMode) (*os.File, error) {
		return place.OpenFile(path, flag, perm, o)
	}
}

const (
	followEvery   = time.Second
	followAtLeast = time.Minute // while the file cannot be opened again
)

// Follow calls moved when the log file, or that of the access log, was renamed or removed, until stop is
// closed: rotation without a signal. Without a file it does nothing.
func (l *Log) Follow(stop <-chan struct{}, moved func()) {
	if l.file == nil && (l.access == nil || l.access.file == nil) {
		return
	}
	wait, again := followEvery, false
	t := time.NewTimer(wait)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		next := followEvery
		if l.file != nil && l.file.Moved() || l.access.moved() {
			moved()
			if again {
				next = min(2*wait, followAtLeast)
			}
			again = true
		} else {
			again = false
		}
		wait = next
		t.Reset(wait)
	}
}

// Reopen opens the log file again, if there is one, and logs how that went.
func (l *Log) Reopen() error {
	aerr := l.access.reopen(l.Logger)
	if l.file == nil {
		return aerr
	}
	err := l.file.Reopen()
	if err != nil {
		l.Error(err.Error())
		return err
	}
	Notice(l.Logger, "log file reopened")
	return aerr
}

// journalPrefix returns what stands before a line that is no record, if the
// journal reads w.
func journalPrefix(w io.Writer, l slog.Level) string {
	if f, ok := w.(*os.File); ok && logs.IsJournal(os.Getenv(journalVar), f) {
		return logs.JournalPrefix(l)
	}
	return ""
}

const journalVar = "JOURNAL_STREAM"
