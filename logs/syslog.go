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

// Syslog says what records look like that go to a syslog daemon. Its New makes
// handlers, and is a Format. The zero value is what Net::Server sends to the
// daemon of this machine, but for the process number.
//
// A record is one line of printable ASCII, so that nothing a client sends can
// forge another, and any daemon can read it. What goes beyond Max is cut, and
// the line says so.
type Syslog struct {
	// Ident names the program; "" is net_server. CheckSyslogIdent says what
	// it may be.
	Ident string
	// Facility is the number that SyslogFacility returns; 0 is daemon.
	Facility int
	// PID is put behind the name; 0 is none.
	PID int
	// Network is RFC 5424's form, with the name of the host, a precise time
	// and the message's attributes in its text; otherwise it is the form that
	// daemons expect from programs on their own machine.
	Network bool
	// Host is the host's name for Network; "" is the one that the system has.
	Host string
	// Max is the length of a record in bytes without its newline; 0 or less
	// is 8192, and at least 480, which RFC 5424 has everybody take.
	Max int
	// JSON has the message in NewJSON's format, and not in NewLine's. It keeps
	// its own time, too.
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

// New returns a handler that writes s's form to w, one Write a record, with a
// newline at its end. A SyslogWriter takes such records.
func (s Syslog) New(w io.Writer, o Options) slog.Handler {
	if s.Max <= 0 {
		s.Max = defaultSyslogMax
	}
	f := &frame{max: max(s.Max, minSyslogMax), head: s.head()}
	return newFramed(w, o, s.JSON, f)
}

// head returns the function that makes what stands before the message.
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
			// As C's locale has it: the day is padded with a blank.
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

// Made reports whether a record has the head that s gives it, but for the
// time: the facility, a severity that records have, the names and the process
// number. What another process sends as a record of its own can be told so.
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

// cutPriority takes <13> off a record.
func cutPriority(b []byte) (pri int, rest []byte, ok bool) {
	head, rest, ok := bytes.Cut(b, []byte(">"))
	if !ok || len(head) < 2 || len(head) > 4 || head[0] != '<' {
		return 0, nil, false
	}
	pri, err := strconv.Atoi(string(head[1:]))
	return pri, rest, err == nil && pri >= 0
}

// afterTime returns what follows the time of a head.
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

// headerField makes text fit for a field of RFC 5424's header.
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

// CheckSyslogIdent says what is wrong with a name for Syslog.Ident: it must be
// printable ASCII of at most 48 bytes, and for network without blanks.
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
		return fmt.Errorf("%q: RFC 5424, which is what goes over a network, knows no blanks in names", ident)
	}
	return nil
}

var facilities = [...]string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

// SyslogFacility returns the number of a facility by its name, in any case
// and with or without LOG_ before it: user, mail, daemon, auth, syslog, lpr,
// news, uucp, cron, authpriv, ftp and local0 to local7; security is auth. kern
// is the kernel's own and refused.
func SyslogFacility(name string) (int, error) {
	word := strings.TrimPrefix(strings.ToLower(name), "log_")
	switch word {
	case "kern":
		return 0, fmt.Errorf("%q is for the kernel alone", name)
	case "security":
		word = "auth"
	}
	for n, f := range facilities {
		if f == word && f != "" {
			return n, nil
		}
	}
	if strings.Contains(name, "|") {
		return 0, fmt.Errorf("%q: a record has one facility", name)
	}
	return 0, fmt.Errorf("there is no facility %q; there are user, mail, daemon, auth, syslog, lpr, news, uucp, cron, authpriv, ftp and local0 to local7", name)
}
