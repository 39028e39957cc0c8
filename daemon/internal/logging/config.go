package logging

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"netserver/internal/identity"
	"netserver/logs"
)

// Config is where the log goes and what it looks like there.
type Config struct {
	Level  int    // 0 to 4, as log_level
	File   string // "" is standard error; see ToSyslog
	JSON   bool   // objects, not lines
	Access string // access_log_file: a file, a standard stream, syslog or journal; "" is none
	Syslog Syslog
	Owner  *identity.Account // whose directories, beside root's, File may be in; nil is nobody's
}

// Syslog is how the log goes to syslog. "" is the default of each.
type Syslog struct {
	Ident    string // net_server
	Facility string // daemon
	Options  string // DefaultSyslogOptions
	Socket   string // the daemon of this machine
}

// DefaultSyslogOptions are Net::Server's.
const DefaultSyslogOptions = "pid,nofatal"

// ToSyslog reports whether a file's name means syslog: by Net::Server's
// spelling or a shorter one, in any case.
func ToSyslog(file string) bool {
	switch strings.ToLower(file) {
	case "sys::syslog", "net::server::log::sys::syslog", "syslog":
		return true
	}
	return false
}

// Check says what is wrong with c.
func (c *Config) Check() error {
	err := c.checkAccess()
	if !ToSyslog(c.File) {
		return errors.Join(err, logs.CheckFileName(c.File))
	}
	_, _, _, serr := c.syslog()
	return errors.Join(err, serr)
}

// CheckSyslogFacility says what is wrong with a facility's name.
func CheckSyslogFacility(name string) error {
	_, err := facility(name)
	return err
}

// CheckSyslogOptions says what is wrong with the words of syslog_logopt.
func CheckSyslogOptions(text string) error {
	_, err := parseSyslogOptions(text)
	return err
}

func facility(name string) (int, error) {
	if name == "" {
		name = logs.DefaultSyslogFacility
	}
	return logs.SyslogFacility(name)
}

// syslogOptions are what the words of syslog_logopt mean.
type syslogOptions struct{ pid, nofatal bool }

// parseSyslogOptions reads words joined by commas, bars or blanks.
func parseSyslogOptions(text string) (o syslogOptions, err error) {
	if text == "" {
		text = DefaultSyslogOptions
	}
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(",| ", r) }) {
		switch word {
		case "pid":
			o.pid = true
		case "nofatal":
			o.nofatal = true
		case "ndelay", "nowait": // so it is always
		case "cons":
			return o, errors.New("cons: a server does not write to the system console; lines are queued for syslog, and lost ones are counted")
		default:
			return o, fmt.Errorf("unknown word %q; known are pid, nofatal, ndelay and nowait", word)
		}
	}
	return o, nil
}

// syslog returns where the log goes and what it looks like there.
func (c *Config) syslog() (t logs.SyslogTarget, form logs.Syslog, o syslogOptions, err error) {
	s := &c.Syslog
	var errs []error
	note := func(key string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	t, err = logs.ParseSyslogTarget(s.Socket)
	note("syslog_logsock", err)
	note("syslog_ident", logs.CheckSyslogIdent(s.Ident, t.Network()))
	fac, err := facility(s.Facility)
	note("syslog_facility", err)
	o, err = parseSyslogOptions(s.Options)
	note("syslog_logopt", err)
	form = logs.Syslog{Ident: s.Ident, Facility: fac, Network: t.Network(), Max: t.MaxRecord(), JSON: c.JSON}
	if o.pid {
		form.PID = os.Getpid()
	}
	return t, form, o, errors.Join(errs...)
}
