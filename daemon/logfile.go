package daemon

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

// openLogFile opens the file of log_file.
func (c *Config) openLogFile() (*logs.File, error) {
	f, err := logs.OpenFileWith(c.LogFile, c.logOpener())
	if err == nil {
		return f, nil
	}
	if inner := errors.Unwrap(err); inner != nil {
		err = inner // without the path
	}
	return nil, fmt.Errorf("log_file %s: %w", c.LogFile, err)
}

// logOpener returns what opens the log file, now and again. Root must not
// follow what others may have put in its way to any file on the machine and
// append to that what clients say.
func (c *Config) logOpener() logs.Opener {
	var o place.Options
	if a := c.identity.Account; a != nil {
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

// followLog calls moved when the log file was renamed or removed, until stop
// is closed: rotation without a signal.
func followLog(f *logs.File, stop <-chan struct{}, moved func()) {
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
		if f.Moved() {
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

// reopenLog opens the log file again.
func (o *openedLog) reopen() error {
	if o.file == nil {
		return nil
	}
	err := o.file.Reopen()
	if err != nil {
		o.log.Error(err.Error())
		return err
	}
	notice(o.log, "log file opened again")
	return nil
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
