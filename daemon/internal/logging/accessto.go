package logging

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"netserver/logs"
)

// accessJournal is the access log's word for systemd's journal; a socket's path
// may follow after a colon.
const accessJournal = "journal"

// toJournal returns the socket of the journal that an access_log_file means.
func toJournal(name string) (socket string, ok bool) {
	word, path, found := strings.Cut(name, ":")
	switch {
	case !strings.EqualFold(word, accessJournal):
		return "", false
	case !found:
		return defaultJournal, true
	}
	return path, true
}

// AccessFields reports whether lines of the access log begin with an object of
// their fields and a tab, and AccessUntimed whether those of text have no time:
// who takes them adds it.
func (c *Config) AccessFields() bool { _, ok := toJournal(c.Access); return ok }

// AccessUntimed is described at AccessFields.
func (c *Config) AccessUntimed() bool { return c.AccessFields() || ToSyslog(c.Access) }

// UsesSyslog reports whether one of the logs goes to syslog, and UsesIdent
// whether one has the name and the facility of syslog_ident and syslog_facility.
func (c *Config) UsesSyslog() bool { return ToSyslog(c.File) || c.HasAccess() && ToSyslog(c.Access) }

// UsesIdent is described at UsesSyslog.
func (c *Config) UsesIdent() bool { return c.UsesSyslog() || c.AccessFields() }

// checkAccess says what is wrong with access_log_file.
func (c *Config) checkAccess() error {
	if !c.HasAccess() || accessStream(c.Access) != "" {
		return nil
	}
	var err error
	if socket, ok := toJournal(c.Access); ok {
		err = c.checkJournal(socket)
	} else if argv, ok := toProgram(c.Access); ok {
		err = c.checkProgram(argv)
	} else if ToSyslog(c.Access) {
		if !ToSyslog(c.File) { // or it is said there
			_, _, _, err = c.syslog()
		}
		return err
	} else {
		err = logs.CheckFileName(c.Access)
	}
	if err != nil {
		return fmt.Errorf("access_log_file: %w", err)
	}
	return nil
}

func (c *Config) checkJournal(socket string) error {
	if socket == "" || socket[0] != '/' {
		return fmt.Errorf("%s: after journal: stands the path of a socket, such as %s (./journal for a file of that name)", c.Access, defaultJournal)
	}
	if !canJournal {
		return errors.New("journal: this system has none; only Linux does")
	}
	_, err := facility(c.Syslog.Facility)
	return errors.Join(err, logs.CheckSyslogIdent(c.Syslog.Ident, false))
}

// openAccessSyslog has lines go to syslog, as the log does.
func (c *Config) openAccessSyslog(a *accessLog, log *slog.Logger) error {
	t, form, o, err := c.syslog()
	if err != nil {
		return err
	}
	form.JSON = false // the lines may be JSON, and are not wrapped in it
	dial := t.Dial
	if !o.nofatal {
		first, err := t.Dial(context.Background())
		if err != nil {
			return fmt.Errorf("access_log_file %s: %w; with nofatal in syslog_logopt the server starts anyway", c.Access, err)
		}
		dial = dialFirst(first, t.Dial)
	}
	w := logs.NewSyslogWriter(dial, downReport("syslog", log))
	a.format = form.New
	a.to, a.flush = w, syslogFlush
	a.useQueue(w, log)
	return nil
}

// downReport returns what tells the log that lines of the access log wait.
func downReport(where string, log *slog.Logger) func(error) {
	var last time.Time // of the one goroutine that calls it
	return func(err error) {
		if !last.IsZero() && time.Since(last) < outageEvery {
			return
		}
		last = time.Now()
		log.Warn("cannot write the access log to "+where+"; its lines are queued, and those dropped are counted", "err", err)
	}
}

// openAccessJournal has lines go to the journal at a socket.
func (c *Config) openAccessJournal(a *accessLog, socket string, log *slog.Logger) error {
	fac, err := facility(c.Syslog.Facility)
	if err != nil {
		return err
	}
	w := newJournalWriter(socket, c.Syslog.Ident, fac)
	if err := w.connect(); err != nil {
		return fmt.Errorf("access_log_file %s: %w", c.Access, err)
	}
	a.to, a.flush = w, syslogFlush
	a.useQueue(w, log)
	return nil
}

// openAccessProgram has lines go to a program.
func (c *Config) openAccessProgram(a *accessLog, argv []string, log *slog.Logger) error {
	w, err := c.newProgramWriter(argv, log)
	if err != nil {
		return fmt.Errorf("access_log_file: %w", err)
	}
	a.to, a.flush = w, flushTime
	a.useQueue(w, log)
	return nil
}

// AccessProgram returns the program that takes the access log, with its
// arguments; nil if none does.
func (c *Config) AccessProgram() []string {
	argv, _ := toProgram(c.Access)
	return argv
}

// A lineSink takes lines of the access log, for a queue.
type lineSink func(line []byte)

// sink returns what puts lines into a queue through write, in the form that they
// have where they go.
func (a *accessLog) sink(write io.Writer) lineSink {
	if a.format == nil {
		return func(line []byte) { write.Write(guardLine(line, a.form)) }
	}
	h := a.format(write, logs.Options{})
	return func(line []byte) {
		if n := len(line); n > 0 && line[n-1] == '\n' {
			line = line[:n-1]
		}
		h.Handle(context.Background(), slog.NewRecord(time.Now(), slog.LevelInfo, string(line), 0))
	}
}

// openAccessFile opens a file or a named pipe for the access log.
func (c *Config) openAccessFile() (*logs.File, error) {
	f, err := logs.OpenFileWith(c.Access, c.opener())
	if err != nil {
		return nil, fmt.Errorf("access_log_file: %w", err)
	}
	return f, nil
}
