package daemon

import (
	"context"
	"io"
	"log/slog"
	"time"

	"netserver/internal/proc"
	"netserver/logs"
)

// flushTime bounds how long the end of the program waits for the log.
const flushTime = 2 * time.Second

// An openedLog is where the log of this process goes.
type openedLog struct {
	log   *slog.Logger
	file  *logs.File  // nil: it goes to standard error, or to syslog
	queue *logs.Async // before it
	form  string      // of its records; see logforms.go
	level *slog.LevelVar
	end   func() // writes out what is left, and closes
}

// openLog opens the log of a process that workers do not get theirs from, or
// that is the one they get it from.
func (c *Config) openLog(stderr io.Writer) (*openedLog, error) {
	switch {
	case c.toSyslog():
		return c.openSyslog(stderr)
	case c.LogFile == "":
		return c.logTo(stderr), nil
	}
	f, err := c.openLogFile()
	if err != nil {
		return nil, err
	}
	o := c.logTo(f)
	end := o.end
	o.file, o.end = f, func() { end(); f.Close() }
	return o, nil
}

// logTo makes a logger that writes to out, as startLog does.
func (c *Config) logTo(out io.Writer) *openedLog {
	form := c.streamForm(out)
	o := c.startLog(out, c.formatOf(form), flushTime)
	o.form = form
	return o
}

// startLog makes a logger in a format, behind a queue. Its end writes out what
// is left, for so long as flush at most. Nothing that logs ever waits for the
// disk, the reader of a pipe or a syslog daemon.
func (c *Config) startLog(out io.Writer, format logs.Format, flush time.Duration) *openedLog {
	o := &openedLog{queue: logs.NewAsync(out, 0, format), level: new(slog.LevelVar)}
	o.level.Set(logs.Level(c.LogLevel))
	o.log = slog.New(format(o.queue, logs.Options{Level: o.level}))
	o.end = func() {
		ctx, cancel := context.WithTimeout(context.Background(), flush)
		defer cancel()
		o.queue.Close(ctx)
	}
	return o
}

// pidFile makes the pid file, if there is to be one.
func (p *program) pidFile(log *slog.Logger) (*proc.PIDFile, error) {
	name := p.conf.Process.PIDFile
	if name == "" {
		return nil, nil
	}
	f, err := proc.CreatePIDFile(name)
	if err == nil && f.Note() != "" {
		notice(log, f.Note())
	}
	return f, err
}

func removePID(log *slog.Logger, f *proc.PIDFile) {
	if err := f.Remove(); err != nil {
		log.Error(err.Error())
	}
}
