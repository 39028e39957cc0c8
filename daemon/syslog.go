package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"netserver/conf"
	"netserver/logs"
)

// SyslogConfig is how the log goes to syslog, for the LogFile Sys::Syslog.
// The texts are those of the keys syslog_ident and so on; "" is the default
// of each.
type SyslogConfig struct {
	Ident    string // default net_server
	Facility string // default daemon
	LogOpt   string // default pid,nofatal
	LogSock  string // default the daemon of this machine
}

// defaultLogOpt is Net::Server's.
const defaultLogOpt = "pid,nofatal"

func (c *SyslogConfig) define(s *conf.Set) {
	define := func(name, arg, def, help string, p *string, check func(string) error) {
		s.Define(conf.Key{Name: name, Group: groupServer, Arg: arg, Default: def, Help: help, When: factSyslog, Theirs: true}, lookedAt{conf.String(p), check})
	}
	define("syslog_ident", "NAME", logs.DefaultSyslogIdent, "with log_file Sys::Syslog: name of the program",
		&c.Ident, func(v string) error { return logs.CheckSyslogIdent(v, false) })
	define("syslog_facility", "NAME", logs.DefaultSyslogFacility, "with log_file Sys::Syslog: user, mail, daemon, auth, authpriv, local0 to local7 and so on",
		&c.Facility, func(v string) error { _, err := facility(v); return err })
	define("syslog_logopt", "WORDS", defaultLogOpt, "with log_file Sys::Syslog, joined by commas: pid adds the process number; without nofatal the server does not start if syslog cannot be reached; ndelay and nowait say what is always so",
		&c.LogOpt, func(v string) error { _, err := parseLogOpt(v); return err })
	define("syslog_logsock", "WHERE", "", "with log_file Sys::Syslog: native or unix (the daemon of this machine), stream, udp:HOST:PORT, tcp:HOST:PORT, or a socket's path (default native)",
		&c.LogSock, func(v string) error { _, err := logs.ParseSyslogTarget(v); return err })
}

// lookedAt is a Binder that looks at each value first.
type lookedAt struct {
	conf.Binder
	check func(string) error
}

func (b lookedAt) Set(vals []conf.Value) error {
	for _, v := range vals {
		if err := b.check(v.Text); err != nil {
			return v.Errorf("%w", err)
		}
	}
	return b.Binder.Set(vals)
}

func facility(name string) (int, error) {
	if name == "" {
		name = logs.DefaultSyslogFacility
	}
	return logs.SyslogFacility(name)
}

// A logOpt is what the words of syslog_logopt come to.
type logOpt struct{ pid, nofatal bool }

// parseLogOpt reads words joined by commas, bars or blanks.
func parseLogOpt(text string) (o logOpt, err error) {
	if text == "" {
		text = defaultLogOpt
	}
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(",| ", r) }) {
		switch word {
		case "pid":
			o.pid = true
		case "nofatal":
			o.nofatal = true
		case "ndelay", "nowait": // so it is always
		case "cons":
			return o, errors.New("cons: a server does not write to the system's console; lines wait for syslog, and those that are lost are counted")
		default:
			return o, fmt.Errorf("there is no word %q; there are pid, nofatal, ndelay and nowait", word)
		}
	}
	return o, nil
}

// toSyslog reports whether the log goes to syslog: by Net::Server's spelling
// or a shorter one, in any case.
func (c *Config) toSyslog() bool {
	switch strings.ToLower(c.LogFile) {
	case "sys::syslog", "net::server::log::sys::syslog", "syslog":
		return true
	}
	return false
}

// logKeys are the keys of the log that stay as they are until the server is
// started again.
var logKeys = [...]string{"log_file", "log_format", "syslog_ident", "syslog_facility", "syslog_logopt", "syslog_logsock"}

// checkLog says what is wrong with the keys of the log.
func (c *Config) checkLog() error {
	if !c.toSyslog() {
		return logs.CheckFileName(c.LogFile)
	}
	_, _, _, err := c.syslog()
	return err
}

// syslog returns where the log goes and what it looks like there.
func (c *Config) syslog() (t logs.SyslogTarget, form logs.Syslog, o logOpt, err error) {
	s := &c.Syslog
	var errs []error
	note := func(key string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	t, err = logs.ParseSyslogTarget(s.LogSock)
	note("syslog_logsock", err)
	note("syslog_ident", logs.CheckSyslogIdent(s.Ident, t.Network()))
	fac, err := facility(s.Facility)
	note("syslog_facility", err)
	o, err = parseLogOpt(s.LogOpt)
	note("syslog_logopt", err)
	form = logs.Syslog{Ident: s.Ident, Facility: fac, Network: t.Network(), Max: t.MaxRecord(), JSON: c.LogFormat == "json"}
	if o.pid {
		form.PID = os.Getpid()
	}
	return t, form, o, errors.Join(errs...)
}

// openSyslog makes the log of a process that reaches the daemon itself. What
// cannot be sent is told on stderr once in a while.
func (c *Config) openSyslog(stderr io.Writer) (*openedLog, error) {
	t, form, o, err := c.syslog()
	if err != nil {
		return nil, err
	}
	dial := t.Dial
	if !o.nofatal {
		first, err := t.Dial(context.Background())
		if err != nil {
			return nil, fmt.Errorf("log_file %s: %w; with nofatal in syslog_logopt the server starts without it", c.LogFile, err)
		}
		dial = dialFirst(first, t.Dial)
	}
	b := &bell{stderr: stderr, target: t.String()}
	opened := c.startSyslog(form, dial, b.ring)
	return opened, nil
}

// syslogFlush bounds how long the end of a process waits for syslog, which may
// not come back. The supervisor waits after its workers.
const syslogFlush = time.Second

// startSyslog makes a log that dial connects to the daemon.
func (c *Config) startSyslog(form logs.Syslog, dial dialFunc, down func(error)) *openedLog {
	w := logs.NewSyslogWriter(dial, down)
	o := c.startLog(w, form.New, syslogFlush)
	end := o.end
	o.form = formSyslog
	o.end = func() {
		end()
		w.Close()
	}
	return o
}

type dialFunc func(context.Context) (net.Conn, error)

// dialFirst returns a function that has a connection already.
func dialFirst(first net.Conn, dial dialFunc) dialFunc {
	var used atomic.Bool
	return func(ctx context.Context) (net.Conn, error) {
		if !used.Swap(true) {
			return first, nil
		}
		return dial(ctx)
	}
}

// A bell tells on standard error that the log cannot be written.
type bell struct {
	stderr io.Writer
	target string
	busy   atomic.Bool
	last   time.Time // of the one goroutine that rings
}

const bellEvery = time.Minute

// ring does not wait, and is not heard more than once a minute.
func (b *bell) ring(err error) {
	if !b.last.IsZero() && time.Since(b.last) < bellEvery || b.busy.Swap(true) {
		return
	}
	b.last = time.Now()
	go b.tell(err)
}

func (b *bell) tell(err error) {
	defer b.busy.Store(false)
	warn(b.stderr, fmt.Errorf("the log cannot be written to syslog; lines wait, and those that are too many will be counted: %w", err))
}

// keepLog gives a new configuration the log of the one in force, which stays
// until the server is started again.
func (s *supervisor) keepLog(c *Config, pl *plan) {
	old := s.newest().plan.Values
	if pl.Values == nil {
		pl.Values = make(conf.Values)
	}
	for _, key := range logKeys {
		if len(old[key]) > 0 {
			pl.Values[key] = old[key]
		} else {
			delete(pl.Values, key)
		}
	}
	c.LogFile, c.LogFormat, c.Syslog = s.conf.LogFile, s.conf.LogFormat, s.conf.Syslog
}

// expect makes room for an answer of the supervisor's.
func (w *worker) expect(answer chan message) (id uint64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return 0, false
	}
	w.lastID++
	w.answers[w.lastID] = answer
	return w.lastID, true
}

// forget gives up waiting for an answer that may come with files.
func (w *worker) forget(id uint64, answer chan message) {
	w.mu.Lock()
	delete(w.answers, id)
	w.mu.Unlock()
	select {
	case m := <-answer:
		closeFiles(m.files)
	default:
	}
}
