package logs

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"
)

// Syslog describes the records for a syslog daemon. Its New makes handlers,
// and is a Format. The zero value is what Net::Server sends to the local
// daemon, without the process number.
//
// A record is one line of printable ASCII, so that nothing a client sends can
// forge another record, and any daemon can read it. It is truncated after Max
// bytes, and says so.
type Syslog struct {
	// Ident names the program; "" is net_server. CheckSyslogIdent checks it.
	Ident string
	// Facility is the number that SyslogFacility returns; 0 is daemon.
	Facility int
	// PID follows the name; 0 is omitted.
	PID int
	// Network selects RFC 5424's form, with the host's name, a precise time
	// and the attributes in the text; otherwise records have the form that
	// daemons expect from local programs.
	Network bool
	// Host is the host's name for Network; "" is the system's own.
	Host string
	// Max bounds a record in bytes, without its newline; 0 or less is 8192.
	// The minimum is 480, which RFC 5424 requires every receiver to accept.
	Max int
	// JSON selects NewJSON's format for the message instead of NewLine's. It
	// includes the time.
	JSON bool
}

// The defaults of Net::Server.
const (
	DefaultSyslogIdent    = "net_server"
	DefaultSyslogFacility = "daemon"
)

const (
	defaultSyslogMax = 8 << 10
	minSyslogMax     = 480

	maxIdent = 48  // RFC 5424's APP-NAME
	maxHost  = 255 // and HOSTNAME
)

// New returns a handler that writes records in this form to w, one Write per
// record, each with a final newline, as SyslogWriter expects.
func (s Syslog) New(w io.Writer, o Options) slog.Handler {
	if s.Max <= 0 {
		s.Max = defaultSyslogMax
	}
	f := &frame{max: max(s.Max, minSyslogMax), head: s.head()}
	return newFramed(w, o, s.JSON, f)
}

// head returns the function that appends the header.
func (s Syslog) head() func([]byte, slog.Level, time.Time) []byte {
	if s.Ident == "" {
		s.Ident = DefaultSyslogIdent
	}
	if s.Facility <= 0 || s.Facility > 23 {
		s.Facility = 3
	}
	tag := s.Ident
	if !s.Network {
		if s.PID > 0 {
			tag += "[" + strconv.Itoa(s.PID) + "]"
		}
		return func(b []byte, l slog.Level, t time.Time) []byte {
			b = appendPriority(b, s.Facility, l)
			// As in the C locale: the day is padded with a blank.
			b = t.Local().AppendFormat(b, "Jan _2 15:04:05 ")
			b = append(b, tag...)
			return append(b, ": "...)
		}
	}
	if s.Host == "" {
		s.Host, _ = os.Hostname()
	}
	pid := "-"
	if s.PID > 0 {
		pid = strconv.Itoa(s.PID)
	}
	rest := fmt.Sprintf(" %s %s %s - - ", headerField(s.Host, maxHost), headerField(tag, maxIdent), pid)
	return func(b []byte, l slog.Level, t time.Time) []byte {
		b = appendPriority(b, s.Facility, l)
		b = append(b, "1 "...)
		b = t.Local().AppendFormat(b, "2006-01-02T15:04:05.000000Z07:00")
		return append(b, rest...)
	}
}

// Made reports whether a record has s's header, apart from the time: the
// facility, a valid severity, the names and the process number. It verifies
// records from other processes.
func (s Syslog) Made(record []byte) bool {
	want := s.head()(nil, slog.LevelInfo, time.Now())
	pri, rest, ok := cutPriority(record)
	first, wanted, _ := cutPriority(want)
	if !ok || pri>>3 != first>>3 || pri&7 < 3 {
		return false
	}
	rest, wanted = afterTime(rest, s.Network), afterTime(wanted, s.Network)
	return len(wanted) > 0 && bytes.HasPrefix(rest, wanted)
}

// cutPriority removes <13> from a record.
func cutPriority(b []byte) (pri int, rest []byte, ok bool) {
	head, rest, ok := bytes.Cut(b, []byte(">"))
	if !ok || len(head) < 2 || len(head) > 4 || head[0] != '<' {
		return 0, nil, false
	}
	pri, err := strconv.Atoi(string(head[1:]))
	return pri, rest, err == nil && pri >= 0
}

// afterTime returns the header after its time.
func afterTime(b []byte, network bool) []byte {
	if !network {
		const stamp = len("Jan _2 15:04:05 ")
		return b[min(stamp, len(b)):]
	}
	b, ok := bytes.CutPrefix(b, []byte("1 "))
	i := bytes.IndexByte(b, ' ')
	if !ok || i < 0 {
		return nil
	}
	return b[i:]
}

func appendPriority(b []byte, facility int, l slog.Level) []byte {
	b = append(b, '<')
	b = strconv.AppendInt(b, int64(facility<<3|severity(l)), 10)
	return append(b, '>')
}

// headerField sanitizes text for a field of RFC 5424's header.
func headerField(text string, most int) string {
	b := []byte(text[:min(len(text), most)])
	for i, c := range b {
		if c == ' ' || !printable(c) {
			b[i] = '_'
		}
	}
	if len(b) == 0 {
		return "-"
	}
	return string(b)
}

// CheckSyslogIdent returns why a name is invalid for Syslog.Ident: it must be
// printable ASCII of at most 48 bytes, and without blanks if network is set.
func CheckSyslogIdent(ident string, network bool) error {
	for i := range len(ident) {
		if !printable(ident[i]) {
			return fmt.Errorf("%q: only printable ASCII can be sent", ident)
		}
	}
	switch {
	case len(ident) > maxIdent:
		return fmt.Errorf("%q is longer than %d bytes", ident, maxIdent)
	case network && strings.Contains(ident, " "):
		return fmt.Errorf("%q: RFC 5424, which is used over a network, does not allow blanks in names", ident)
	}
	return nil
}

var facilities = [...]string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

// SyslogFacility returns the number of a facility by its name, in any case and
// with or without LOG_ before it: user, mail, daemon, auth, syslog, lpr, news,
// uucp, cron, authpriv, ftp and local0 to local7; security is auth. kern is
// reserved for the kernel and refused.
func SyslogFacility(name string) (int, error) {
	word := strings.TrimPrefix(strings.ToLower(name), "log_")
	switch word {
	case "kern":
		return 0, fmt.Errorf("%q is reserved for the kernel", name)
	case "security":
		word = "auth"
	}
	for n, f := range facilities {
		if f == word && f != "" {
			return n, nil
		}
	}
	if strings.Contains(name, "|") {
		return 0, fmt.Errorf("%q: give a single facility", name)
	}
	return 0, fmt.Errorf("unknown facility %q; the facilities are user, mail, daemon, auth, syslog, lpr, news, uucp, cron, authpriv, ftp and local0 to local7", name)
}
