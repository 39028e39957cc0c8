package logging

import (
	"io"
	"os"

	"netserver/logs"
)

// The forms of records, as a supervisor names them to the processes whose
// records it writes.
const (
	FormLine        = "line"
	FormJSON        = "json"
	FormJournal     = "journal"
	FormJournalJSON = "journal json"
	FormSyslog      = "syslog"
)

// streamForm returns the form of records that go to w: with the journal's
// prefix if w is what the journal reads.
func (c *Config) streamForm(w io.Writer) string {
	if f, ok := w.(*logs.File); ok && f.IsStream() {
		w = f.Current()
	}
	json := c.JSON
	f, ok := w.(*os.File)
	journal := ok && logs.IsJournal(os.Getenv(journalVar), f)
	switch {
	case journal && json:
		return FormJournalJSON
	case journal:
		return FormJournal
	case json:
		return FormJSON
	}
	return FormLine
}

// Format returns what makes records of a form. A form that it does not know
// is one of a later version.
func (c *Config) Format(form string) logs.Format {
	switch form {
	case FormJSON:
		return logs.NewJSON
	case FormJournal:
		return logs.NewJournal
	case FormJournalJSON:
		return logs.NewJournalJSON
	case FormSyslog:
		if _, form, _, err := c.syslog(); err == nil {
			return form.New
		}
	}
	return logs.NewLine
}
