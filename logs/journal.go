package logs

import (
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"
)

// NewJournal returns a handler for a standard error that systemd's journal
// reads: <3> to <7> for the level, as in sd-daemon(3), and NewLine's line
// without the time, which the journal adds.
func NewJournal(w io.Writer, o Options) slog.Handler {
	return newFramed(w, o, false, &frame{max: maxRecord, head: journalHead})
}

// NewJournalJSON is NewJournal with NewJSON's object as the message, its time
// included.
func NewJournalJSON(w io.Writer, o Options) slog.Handler {
	return newFramed(w, o, true, &frame{max: maxRecord, head: journalHead})
}

func journalHead(b []byte, l slog.Level, _ time.Time) []byte {
	return append(b, JournalPrefix(l)...)
}

// JournalPrefix returns the journal's prefix for a line of level l, such as
// <4>.
func JournalPrefix(l slog.Level) string { return "<" + strconv.Itoa(severity(l)) + ">" }

// IsJournal reports whether systemd's journal reads f: whether stream, the
// value of the environment variable JOURNAL_STREAM, names f by device and file
// number. A parent that passes its environment on may have redirected its
// standard error, so the variable alone proves nothing.
func IsJournal(stream string, f *os.File) bool {
	if stream == "" || f == nil {
		return false
	}
	id, ok := fileID(f)
	return ok && stream == id
}
