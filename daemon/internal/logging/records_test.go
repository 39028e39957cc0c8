package logging

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"netserver/logs"
)

// FuzzOutput: whatever a process writes to its pipes, what goes on from there
// is lines of a bounded length in which nothing does something to a terminal,
// and in the log each is a record.
func FuzzOutput(f *testing.F) {
	forms := [...]string{FormLine, FormJSON, FormJournal, FormJournalJSON, FormSyslog}
	for n := range forms {
		for _, text := range []string{"a\nb", "<0>x\n", "<5>2026/01/01-00:00:00 x\r\n\x1b[2J", `{"a":1}` + "\n" + `<3>{"b":"` + "\u0085" + `"}`, "<29>Nov 28 18:15:43 net_server[7]: x\n"} {
			f.Add([]byte(text), byte(n))
		}
	}
	f.Fuzz(func(t *testing.T, said []byte, n byte) {
		form := forms[int(n)%len(forms)]
		c := new(Config)
		isRecord := c.recordCheck(form, 7)
		var raw int
		eachLine(bytes.NewReader(said), 100, func(line []byte, cut bool) {
			raw++
			if bytes.IndexByte(line, '\n') >= 0 || len(line) > 100 {
				t.Errorf("a line %q", line)
			}
			if isRecord(line) {
				checkRecord(t, form, line)
			}
			shown := appendStreamLine(nil, line, form)
			for i, c := range shown {
				if c < ' ' && c != '\t' || c == 0x7f || c == 0xc2 && i+1 < len(shown) && shown[i+1] < 0xa0 && shown[i+1] >= 0x80 {
					t.Errorf("%q is shown as %q", line, shown)
				}
			}
			if strings.HasPrefix(form, FormJournal) && len(shown) > 2 && shown[0] == '<' && shown[2] == '>' && (shown[1] < '3' || shown[1] > '7') {
				t.Errorf("%q is shown as %q", line, shown)
			}
		})
		if want := bytes.Count(said, []byte("\n")); raw != want && raw != want+1 {
			t.Errorf("%d lines of %d", raw, want)
		}
	})
}

func checkRecord(t *testing.T, form string, line []byte) {
	t.Helper()
	if i := bytes.IndexFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }); i >= 0 && utf8.Valid(line) {
		t.Errorf("%s: %q is a record", form, line)
	}
	if form == FormSyslog && !bytes.Contains(line, []byte("net_server[7]: ")) {
		t.Errorf("%q is a record of process 7", line)
	}
}

// What this project's own formats make is a record in each form.
func TestRecordsAreRecords(t *testing.T) {
	for _, form := range []string{FormLine, FormJSON, FormJournal, FormJournalJSON, FormSyslog} {
		c := new(Config)
		format := c.Format(form)
		_, sys, _, _ := c.syslog()
		var b bytes.Buffer
		log := slog.New(format(&b, logs.Options{Level: slog.LevelDebug}))
		for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, logs.Notice, slog.LevelWarn, slog.LevelError} {
			b.Reset()
			log.Log(t.Context(), l, "ein Gruß\nan\x1b[2J alle", "key", "\x00 \u0085 \u202e ü", "long", strings.Repeat("x", 100<<10))
			line := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
			if !c.recordCheck(form, sys.PID)(line) || bytes.IndexByte(line, '\n') >= 0 {
				t.Errorf("%s: %.300q is no record", form, line)
			}
		}
	}
}

// TestGuardLine: what a client begins a line of the access log with is no
// priority to the journal, and stays as it is elsewhere.
func TestGuardLine(t *testing.T) {
	for _, form := range []string{FormLine, FormJSON, FormJournal, FormJournalJSON, FormSyslog} {
		for line, guarded := range map[string]string{"<0>x\n": "<6><0>x\n", "<x\n": "<6><x\n", "x<0>\n": "x<0>\n", "\n": "\n"} {
			if !strings.HasPrefix(form, FormJournal) {
				guarded = line
			}
			if got := string(guardLine([]byte(line), form)); got != guarded {
				t.Errorf("%s: %q becomes %q", form, line, got)
			}
		}
	}
}
