package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"testing/slogtest"
	"time"
)

// one returns what a handler writes for one record.
func one(f Format, level slog.Level, msg string, attrs ...slog.Attr) string {
	var b bytes.Buffer
	h := f(&b, Options{Level: slog.LevelDebug})
	r := slog.NewRecord(time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.Local), level, msg, 0)
	r.AddAttrs(attrs...)
	h.Handle(context.Background(), r)
	return b.String()
}

func TestSyslogForms(t *testing.T) {
	zone := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local).Format("Z07:00")
	local0, _ := SyslogFacility("LOG_LOCAL0")
	for _, tt := range []struct {
		form  Syslog
		level slog.Level
		want  string
	}{
		{Syslog{}, slog.LevelError, "<27>Jan  2 03:04:05 net_server: a message n=1\n"},
		{Syslog{PID: 7}, slog.LevelWarn, "<28>Jan  2 03:04:05 net_server[7]: a message n=1\n"},
		{Syslog{Ident: "my app", Facility: local0}, Notice, "<133>Jan  2 03:04:05 my app: a message n=1\n"},
		{Syslog{}, slog.LevelInfo, "<30>Jan  2 03:04:05 net_server: a message n=1\n"},
		{Syslog{}, slog.LevelDebug, "<31>Jan  2 03:04:05 net_server: a message n=1\n"},
		{Syslog{Network: true, Host: "box", PID: 7}, slog.LevelDebug, "<31>1 2026-01-02T03:04:05.678901" + zone + " box net_server 7 - - a message n=1\n"},
		{Syslog{Network: true, Host: "a b\n", Ident: "x y"}, slog.LevelError, "<27>1 2026-01-02T03:04:05.678901" + zone + " a_b_ x_y - - - a message n=1\n"},
		{Syslog{Network: true, Host: strings.Repeat("h", 300)}, slog.LevelError, "<27>1 2026-01-02T03:04:05.678901" + zone + " " + strings.Repeat("h", 255) + " net_server - - - a message n=1\n"},
	} {
		if got := one(tt.form.New, tt.level, "a message", slog.Int("n", 1)); got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
	got := one(Syslog{JSON: true}.New, Notice, "grüße \U0001F600", slog.Int("n", 1))
	if !regexp.MustCompile(`^<29>Jan  2 03:04:05 net_server: {"time":"2026-01-02T03:04:05\.678901234[^"]+","level":"notice","msg":"gr\\u00FC\\u00DFe \\uD83D\\uDE00","n":1}\n$`).MatchString(got) {
		t.Errorf("JSON: %q", got)
	}
}

func TestJournalForm(t *testing.T) {
	for level, want := range map[slog.Level]string{
		slog.LevelError: "<3>x n=1\n", slog.LevelWarn: "<4>x n=1\n", Notice: "<5>x n=1\n", slog.LevelInfo: "<6>x n=1\n", slog.LevelDebug: "<7>x n=1\n",
	} {
		if got := one(NewJournal, level, "x", slog.Int("n", 1)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := one(NewJournalJSON, slog.LevelWarn, "x"); !strings.HasPrefix(got, `<4>{"time":"2026-01-02`) {
		t.Errorf("got %q", got)
	}
}

// Whatever a client sends, it makes one line of printable ASCII of a bounded
// length.
func TestSyslogCannotBeForged(t *testing.T) {
	evil := "a\n<0>Jan  1 00:00:00 root: forged\r\n\x00\x1b[31m\u0085\u009b\u2028\xff\u202e" + strings.Repeat("x", 1<<20)
	for name, f := range map[string]Format{
		"local": Syslog{}.New, "network": Syslog{Network: true, Max: 2048}.New, "JSON": Syslog{JSON: true}.New, "journal": NewJournal,
	} {
		for _, got := range []string{
			one(f, slog.LevelInfo, evil), one(f, slog.LevelInfo, "m", slog.String("k", evil)), one(f, slog.LevelInfo, "m", slog.String(evil, "v")),
		} {
			checkForm(t, name, got)
			if end := map[bool]string{true: `,"cut":true}`, false: cutMark}[name == "JSON"]; !strings.HasSuffix(got, end+"\n") {
				t.Errorf("%s: a cut is not told: %q", name, got[len(got)-20:])
			}
		}
	}
}

func checkForm(t *testing.T, name, got string) {
	t.Helper()
	body, ok := strings.CutSuffix(got, "\n")
	if !ok || strings.ContainsFunc(body, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("%s: %.200q", name, got)
	}
	most := defaultSyslogMax
	switch name {
	case "network":
		most = 2048
	case "journal":
		most = maxRecord
	}
	if len(body) > most {
		t.Errorf("%s: %d bytes, %d are allowed", name, len(body), most)
	}
}

func FuzzSyslog(f *testing.F) {
	f.Add("a message", "key", "value")
	f.Add("\n<0>", "=\"", "\u2028\xff\x00")
	f.Fuzz(func(t *testing.T, msg, key, value string) {
		for name, format := range map[string]Format{
			"local": Syslog{}.New, "network": Syslog{Network: true, Max: 2048}.New, "JSON": Syslog{JSON: true}.New, "journal": NewJournal,
		} {
			checkForm(t, name, one(format, slog.LevelInfo, msg, slog.String(key, value)))
		}
	})
}

// The handler is a good slog.Handler, whatever stands before its message.
func TestFramedIsAHandler(t *testing.T) {
	var b bytes.Buffer
	h := Syslog{JSON: true}.New(&b, Options{Level: slog.LevelDebug})
	err := slogtest.TestHandler(h, func() []map[string]any {
		var all []map[string]any
		for line := range strings.Lines(b.String()) {
			_, object, ok := strings.Cut(line, "net_server: ")
			if !ok {
				t.Fatalf("%q", line)
			}
			m := make(map[string]any)
			if err := json.Unmarshal([]byte(object), &m); err != nil {
				t.Fatalf("%q: %v", object, err)
			}
			all = append(all, m)
		}
		return all
	})
	if err != nil {
		t.Error(err)
	}
}

func TestFacilities(t *testing.T) {
	for name, want := range map[string]int{"daemon": 3, "LOG_AUTHPRIV": 10, "Local7": 23, "log_user": 1, "security": 4} {
		if got, err := SyslogFacility(name); got != want || err != nil {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
	for _, name := range []string{"kern", "", "local8", "3", "daemon|local0", "log_"} {
		if n, err := SyslogFacility(name); err == nil {
			t.Errorf("%q is %d", name, n)
		}
	}
}

func TestIdents(t *testing.T) {
	for ident, network := range map[string]bool{"": false, "app": true, "my app": false, strings.Repeat("x", 48): true} {
		if err := CheckSyslogIdent(ident, network); err != nil {
			t.Error(err)
		}
	}
	for ident, network := range map[string]bool{"a\nb": false, "über": false, "my app": true, strings.Repeat("x", 49): false} {
		if CheckSyslogIdent(ident, network) == nil {
			t.Errorf("%q is good", ident)
		}
	}
}

func TestSyslogTargets(t *testing.T) {
	for text, want := range map[string]string{
		"": "the syslog daemon of this machine", "native": "the syslog daemon of this machine", "UNIX": "the syslog daemon of this machine",
		"udp": "the syslog daemon at udp:localhost:514", "inet": "the syslog daemon at tcp:localhost:514 or udp:localhost:514",
		"udp:10.0.0.1": "the syslog daemon at udp:10.0.0.1:514", "tcp:log.example:6514": "the syslog daemon at tcp:log.example:6514",
		"tcp://[::1]:99": "the syslog daemon at tcp:[::1]:99", "udp:::1": "the syslog daemon at udp:[::1]:514",
		"/run/x": "the syslog daemon at unix:/run/x", "unix:/run/x": "the syslog daemon at unix:/run/x",
	} {
		got, err := ParseSyslogTarget(text)
		if err != nil || got.String() != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		if network := strings.Contains(want, "p:"); got.Network() != network {
			t.Errorf("%q: network %v", text, got.Network())
		}
	}
	for _, text := range []string{
		"console", "pipe", "eventlog", "x", "udp:", "tcp:host:", "tcp:host:0", "tcp:host:65536", "udp:a b", "udp:host:x", "tcp:a:b:c",
		"unix:x", "unix:/" + strings.Repeat("x", 200), "unix:/a\nb", "http:x", "udp:u@h", "tcp:[::1", "tcp:[]:5",
	} {
		if got, err := ParseSyslogTarget(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func FuzzSyslogTarget(f *testing.F) {
	for _, s := range []string{"", "native", "udp:1.2.3.4:5", "tcp://[::1]:1", "/run/x", "unix:/x", "tcp:a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := ParseSyslogTarget(text)
		if err != nil {
			return
		}
		if len(target.all()) == 0 || target.MaxRecord() < minSyslogMax {
			t.Errorf("%q: %+v", text, target)
		}
		for _, y := range target.all() {
			if strings.ContainsAny(y.addr, "\x00\n") {
				t.Errorf("%q: %+v", text, y)
			}
		}
	})
}

func TestNoLocalDaemon(t *testing.T) {
	path := t.TempDir() + "/none"
	target, err := ParseSyslogTarget(path)
	if err != nil {
		t.Skip(err)
	}
	_, err = target.Dial(context.Background())
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}
