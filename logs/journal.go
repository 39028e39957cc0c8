package logs

import (
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"
)

// NewJournal returns a handler for a standard error that systemd's journal
// reads: <3> to <7> for the level, as sd-daemon(3) has it, and NewLine's line
// without the time, which the journal knows.
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

// JournalPrefix returns what stands before a line of level l that the journal
// reads, such as <4>.
func JournalPrefix(l slog.Level) string { return "<" + strconv.Itoa(severity(l)) + ">" }

// IsJournal reports whether systemd's journal reads f: whether stream, the
// value of the environment variable JOURNAL_STREAM, names f by device and
// file number. A program that passes its environment on may have redirected
// its standard error, so the variable alone says nothing.
func IsJournal(stream string, f *os.File) bool {
	if stream == "" || f == nil {
		return false
	}
	id, ok := fileID(f)
	return ok && stream == id
}
