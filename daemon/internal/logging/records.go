package logging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf8"

	"netserver/logs"
)

// maxText bounds a record of syslog that its own maximum does not, in bytes.
const maxText = 4 << 10

// recordCheck returns what tells whether a line is a record as the process pid
// makes them: text alone, in a form, and under its own name.
func (c *Config) recordCheck(form string, pid int) func(line []byte) bool {
	switch form {
	case FormJSON:
		return isJSONRecord
	case FormJournal:
		return func(b []byte) bool { _, ok := cutLevel(b); return ok && isText(b) }
	case FormJournalJSON:
		return func(b []byte) bool {
			rest, ok := cutLevel(b)
			return ok && isJSONRecord(rest)
		}
	case FormSyslog:
		_, format, o, err := c.syslog()
		if err == nil && o.pid {
			format.PID = pid
		}
		return func(b []byte) bool {
			return err == nil && format.Made(b) && isText(b) && len(b) <= max(format.Max, maxText)
		}
	}
	return isText
}

// cutLevel takes the journal's prefix off a line: <3>, error, to <7>. Those
// below are for systems that are going down.
func cutLevel(b []byte) ([]byte, bool) {
	if len(b) < 3 || b[0] != '<' || b[1] < '3' || b[1] > '7' || b[2] != '>' {
		return nil, false
	}
	return b[3:], true
}

func isJSONRecord(b []byte) bool {
	return len(b) > 1 && b[0] == '{' && b[len(b)-1] == '}' && noControl(b) && json.Valid(b)
}

// isText reports whether b is printable ASCII, as all records are that are not
// JSON.
func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// noControl reports whether a terminal would obey nothing in b, which may have
// UTF-8 in it.
func noControl(b []byte) bool {
	return isText(b) || utf8.Valid(b) && bytes.IndexFunc(b, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// appendStreamLine adds a line of a standard stream, as it can be shown where
// form is the form of records; "" is none.
func appendStreamLine(to, line []byte, form string) []byte {
	switch form {
	case FormJournal, FormJournalJSON:
		if len(line) > 2 && line[0] == '<' && line[2] == '>' {
			if _, ok := cutLevel(line); !ok {
				to = append(to, logs.JournalPrefix(0)...)
			}
		}
	}
	for i, c := range line {
		switch {
		case c == '\t', c >= ' ' && c != 0x7f && !(c == 0xc2 && i+1 < len(line) && line[i+1] < 0xa0):
			to = append(to, c)
		case c == '\r' && i == len(line)-1:
		default:
			to = fmt.Appendf(to, "%%%02X", c)
		}
	}
	return to
}
