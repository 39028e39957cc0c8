package daemon

import (
	"io"
	"os"

	"netserver/logs"
)

// The forms of records, as a supervisor names them to the processes whose
// records it writes.
const (
	formLine        = "line"
	formJSON        = "json"
	formJournal     = "journal"
	formJournalJSON = "journal json"
	formSyslog      = "syslog"
)

// streamForm returns the form of records that go to w: with the journal's
// prefix if w is what the journal reads.
func (c *Config) streamForm(w io.Writer) string {
	if f, ok := w.(*logs.File); ok && f.IsStream() {
		w = f.Current()
	}
	json := c.LogFormat == "json"
	f, ok := w.(*os.File)
	journal := ok && logs.IsJournal(os.Getenv(journalVar), f)
	switch {
	case journal && json:
		return formJournalJSON
	case journal:
		return formJournal
	case json:
		return formJSON
	}
	return formLine
}

// formatOf returns what makes records of a form. A form that it does not know
// is one of a later version.
func (c *Config) formatOf(form string) logs.Format {
	switch form {
	case formJSON:
		return logs.NewJSON
	case formJournal:
		return logs.NewJournal
	case formJournalJSON:
		return logs.NewJournalJSON
	case formSyslog:
		if _, form, _, err := c.syslog(); err == nil {
			return form.New
		}
	}
	return logs.NewLine
}
